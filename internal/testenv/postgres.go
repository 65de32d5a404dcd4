package testenv

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/devstack/localpg"
	"trackstore/shared/schema"
)

// postgres is the server, and a pool of connections that create and drop databases.
type postgres struct {
	*localpg.Server
	admin *pgxpool.Pool
	last  atomic.Int64 // number of the last test database
}

// migrated is the database that tests get copies of.
const migrated = "migrated"

var pg = server[*postgres]{start: startPostgres}

func startPostgres(ctx context.Context, dir string) (*postgres, func(context.Context) error, error) {
	s, err := localpg.Start(ctx, localpg.Config{DataDir: filepath.Join(dir, "postgres"), Copy: true})
	if err != nil {
		return nil, nil, err
	}
	p := &postgres{Server: s}
	if err := p.prepare(ctx); err != nil {
		return nil, nil, errors.Join(err, s.Stop(ctx))
	}
	return p, func(ctx context.Context) error {
		p.admin.Close()
		return s.Stop(ctx)
	}, nil
}

func (p *postgres) prepare(ctx context.Context) (err error) {
	if p.admin, err = pgxpool.New(ctx, p.URL("postgres")); err != nil {
		return err
	}
	if err := p.CreateDatabase(ctx, migrated); err != nil {
		return err
	}
	if _, err := schema.Up(ctx, schema.Database{URL: p.URL(migrated)}); err != nil {
		return err
	}
	// Long ago, as far as tests of graces go.
	conn, err := pgx.Connect(ctx, p.URL(migrated))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "UPDATE trackstore_adoption SET adopted_at = now() - interval '10 years'")
	return errors.Join(err, conn.Close(ctx)) // who copies it must find nobody connected
}

// Postgres returns the URL of a database of the test's own, with the whole schema and no rows. It is dropped when the
// test ends, open connections or not.
func Postgres(t testing.TB) string {
	t.Helper()
	return database(t, migrated)
}

// EmptyPostgres is like Postgres, but the database has no schema.
func EmptyPostgres(t testing.TB) string {
	t.Helper()
	return database(t, "template0")
}

func database(t testing.TB, template string) string {
	t.Helper()
	p := pg.get(t)
	name := fmt.Sprintf("test_%d", p.last.Add(1))
	ident := pgx.Identifier{name}.Sanitize()
	if _, err := p.admin.Exec(t.Context(), "CREATE DATABASE "+ident+" TEMPLATE "+template); err != nil {
		t.Fatal("testenv: create a database:", err)
	}
	t.Cleanup(func() {
		if _, err := p.admin.Exec(context.Background(), "DROP DATABASE "+ident+" WITH (FORCE)"); err != nil {
			t.Error("testenv: drop the database:", err)
		}
	})
	return p.URL(name)
}
