package diskstore_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"trackstore/internal/storetest"
	"trackstore/shared/diskstore"
)

const origin = "https://app.example"

func TestBackend(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Env {
		return storetest.Env{Backend: open(t, diskstore.Config{}), Origin: origin}
	})
}

// open returns a store over a folder of the test's own, with its server.
func open(t testing.TB, cfg diskstore.Config) *diskstore.Store {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	var err error
	if cfg.URL, err = url.Parse(server.URL + "/disk/"); err != nil {
		t.Fatal(err)
	}
	if cfg.Root == "" {
		cfg.Root = t.TempDir()
	}
	cfg.Secret = []byte("a secret of the tests")
	cfg.AllowedOrigins = []string{origin}
	store, err := diskstore.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	handler = store.Handler()
	return store
}
