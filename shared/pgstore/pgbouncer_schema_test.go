package pgstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/testenv"
	"trackstore/shared/schema"
)

// The schema comes up behind a pooler of transactions, as often as it is asked to and with traffic beside it, and leaves
// no lock on a connection that the pooler gives to somebody else.
func TestPgBouncerSchemaUp(t *testing.T) {
	t.Parallel()
	database := testenv.EmptyPostgres(t)
	direct, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(context.WithoutCancel(t.Context()))
	if _, err := direct.Exec(t.Context(), `
		CREATE TABLE tracks (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), creator_id uuid NOT NULL, title text NOT NULL, file_path text, plays bigint DEFAULT 0);
		INSERT INTO tracks (creator_id, title, file_path) SELECT gen_random_uuid(), 'x', n || '.mp3' FROM generate_series(1, 1000) n`); err != nil {
		t.Fatal(err)
	}
	pooled := schema.Database{URL: withQuery(pgBouncer(t, database, 4), "default_query_exec_mode", "exec")}

	ctx, stop := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	for range 6 {
		traffic.Go(func() {
			store := openStore(t, pooled.URL)
			for ctx.Err() == nil {
				if err := store.Ping(t.Context()); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for range 2 {
		var runs sync.WaitGroup
		for range 2 { // at the same time
			runs.Go(func() {
				if _, err := schema.Up(t.Context(), pooled); err != nil {
					t.Error(err)
				}
			})
		}
		runs.Wait()
		if found, err := schema.Check(t.Context(), pooled, ""); err != nil || len(found) > 0 {
			t.Errorf("check: %+v, %v", found, err)
		}
	}
	if _, err := schema.Down(t.Context(), pooled, 2); err != nil {
		t.Error(err)
	}
	if change, err := schema.Up(t.Context(), pooled); err != nil || change.From == change.To {
		t.Errorf("up again: %+v, %v", change, err)
	}
	stop()
	traffic.Wait()
	var left int
	if err := direct.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").Scan(&left); err != nil || left > 0 {
		t.Errorf("%d locks are left, %v", left, err)
	}

	// Behind somebody who holds the lock, a run ends with its context and leaves nothing either.
	if _, err := schema.Down(t.Context(), pooled, 1); err != nil {
		t.Error(err)
	}
	if _, err := direct.Exec(t.Context(), "SELECT pg_advisory_lock(hashtext('trackstore schema'), hashtext('public'))"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := schema.Up(short, pooled); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("behind a lock: %v after %v", err, time.Since(began))
	}
	if _, err := direct.Exec(t.Context(), "SELECT pg_advisory_unlock_all()"); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Up(t.Context(), pooled); err != nil {
		t.Error(err)
	}
}
