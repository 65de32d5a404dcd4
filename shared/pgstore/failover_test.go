package pgstore_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"trackstore/internal/devstack/localpg"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// A server that goes away and comes back, as in a failover: calls meanwhile fail in a way that says "try again", and
// afterwards they work, with nothing restarted on this side.
func TestReconnectsAfterAFailover(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "failover") // t.TempDir's parents are closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	start := func(port int) *localpg.Server {
		t.Helper()
		server, err := localpg.Start(t.Context(), localpg.Config{DataDir: filepath.Join(dir, "data"), Port: port, Copy: true, Log: t.Output()})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	stop := func(server *localpg.Server) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	first := start(0)
	address, err := url.Parse(first.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	store, err := pgstore.Open(t.Context(), first.URL("postgres"), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}

	stop(first)
	if err := store.Ping(t.Context()); !track.IsRetryable(err) {
		t.Errorf("with the server gone: %v", err)
	}
	second := start(port)
	defer stop(second)
	for tries := 0; ; tries++ { // a connection of the pool may still be a broken one
		err := store.Ping(t.Context())
		if err == nil {
			break
		}
		if tries == 4 || !errors.Is(err, track.ErrUnavailable) {
			t.Fatalf("with the server back, try %d: %v", tries, err)
		}
	}
}
