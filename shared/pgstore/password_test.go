package pgstore_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/testenv"
	"trackstore/shared/config"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// A password that is rotated while the process lives is read anew, once the server has refused the old one.
func TestRotatedPassword(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	exec := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE ROLE rotated LOGIN PASSWORD 'old'")
	defer exec("DROP ROLE rotated")

	password, reads, unreadable := "old", 0, error(nil)
	read := func(context.Context) (config.Secret, error) {
		reads++
		u := *address
		u.User = url.UserPassword("rotated", password)
		return config.NewSecret(u.String()), unreadable
	}
	store, err := pgstore.OpenSecret(t.Context(), read, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}

	exec("ALTER ROLE rotated PASSWORD 'new'")
	exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'")
	for range 2 { // by the connection that was ended, and by one that would be new
		if err := store.Ping(t.Context()); !errors.Is(err, track.ErrUnavailable) {
			t.Fatalf("by the old password: %v", err)
		}
	}
	unreadable = errors.New("the secret is out of reach")
	if err := store.Ping(t.Context()); !errors.Is(err, track.ErrUnavailable) || !errors.Is(err, unreadable) {
		t.Errorf("without the new one: %v", err)
	}
	unreadable, password = nil, "new"
	if err := store.Ping(t.Context()); err != nil {
		t.Fatalf("by the new one: %v", err)
	}
	before := reads
	exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'")
	_ = store.Ping(t.Context()) // by the connection that was ended
	if err := store.Ping(t.Context()); err != nil || reads != before {
		t.Errorf("a password that holds was read %d times more, %v", reads-before, err)
	}
}
