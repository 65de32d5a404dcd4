package storetest_test

import (
	"net/url"
	"testing"

	"trackstore/internal/storetest"
	"trackstore/shared/diskstore"
)

// A backend of one's own passes the suite by a test like this one.
func ExampleRun() {
	_ = func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) storetest.Env {
			base, err := url.Parse("http://127.0.0.1:8080/disk")
			if err != nil {
				t.Fatal(err)
			}
			store, err := diskstore.New(diskstore.Config{Root: t.TempDir(), URL: base, Secret: []byte("thirty-two bytes of a secret key")})
			if err != nil {
				t.Fatal(err)
			}
			return storetest.Env{Backend: store, Origin: "https://app.example.com"}
		})
	}
}
