package s3store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/track"
)

func TestBucketBearsOneID(t *testing.T) {
	t.Parallel()
	bucket := testenv.S3(t)
	store := stores.OpenS3(t, bucket)
	ctx := t.Context()
	if id, err := store.ID(ctx); err != nil || !id.IsZero() {
		t.Fatalf("got %s, %v", id, err)
	}
	id := track.NewID()
	if err := store.Mark(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := store.Mark(ctx, track.NewID()); !errors.Is(err, track.ErrExists) {
		t.Errorf("it was marked twice: %v", err)
	}
	if got, err := store.ID(ctx); err != nil || got != id {
		t.Errorf("got %s, %v, want %s", got, err, id)
	}
	for _, prefix := range []string{track.UploadsPrefix, track.MigratedPrefix} {
		for o, err := range store.List(ctx, prefix) {
			t.Errorf("%s is listed below %s: %v", o.Key, prefix, err)
		}
	}

	// Another bucket is reached by its name, and is another one.
	other := testenv.S3(t)
	in, err := store.In(other.Name)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := in.ID(ctx); err != nil || !id.IsZero() {
		t.Errorf("got %s, %v", id, err)
	}
	if again, _ := store.In(other.Name); again != in {
		t.Error("the same bucket has two stores")
	}
	for _, name := range []string{"", bucket.Name} {
		if same, err := store.In(name); same != store || err != nil {
			t.Errorf("%q is not itself: %v", name, err)
		}
	}
	signed, err := store.SignGet(ctx, track.GetSpec{Key: "k", Bucket: other.Name, TTL: time.Minute})
	if err != nil || !strings.Contains(signed.URL, "/"+other.Name+"/k?") {
		t.Errorf("got %s, %v", signed.URL, err)
	}
	nowhere, err := store.In("trackstore-nowhere")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nowhere.ID(ctx); !errors.Is(err, track.ErrPlace) {
		t.Errorf("got %v", err)
	}
}

// What answers 200 to everything, as the page of a proxy does, is no S3.
func TestAnswersOfSomethingElse(t *testing.T) {
	t.Parallel()
	store := against(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Welcome to the guest network</title>")
	})
	ctx := t.Context()
	_, idErr := store.ID(ctx)
	_, headErr := store.Head(ctx, "k", "")
	_, versionErr := store.Head(ctx, "k", "v")
	for what, err := range map[string]error{
		"ID": idErr, "Mark": store.Mark(ctx, track.NewID()), "Create": create(ctx, store), "Head": headErr, "Head of a version": versionErr,
	} {
		if !errors.Is(err, track.ErrPlace) || track.IsRetryable(err) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// A bucket is asked who it is before anything else, once, and until it has answered well.
func TestBucketIsProvedFirst(t *testing.T) {
	t.Parallel()
	bucket := testenv.S3(t)
	var mu sync.Mutex
	answer := fmt.Errorf("%w: it is another one", track.ErrPlace)
	asked := 0
	store := stores.OpenS3(t, bucket, func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return answer
	})
	ctx := t.Context()
	spec := track.PutSpec{Key: "uploads/a/b.wav", Size: 1, ContentType: "audio/wav", TTL: time.Minute}
	calls := map[string]func() error{
		"Create": func() error { return create(ctx, store) },
		"Head":   func() error { _, err := store.Head(ctx, "k", ""); return err },
		"Open":   func() error { _, err := store.Open(ctx, "k", "", 0, -1); return err },
		"Delete": func() error { return store.Delete(ctx, "k") },
		"List": func() error {
			for _, err := range store.List(ctx, "") {
				return err
			}
			return nil
		},
		"CreateMultipart": func() error { _, err := store.CreateMultipart(ctx, "k", "", nil); return err },
		"SignPut":         func() error { _, err := store.SignPut(ctx, spec); return err },
		"SignPost":        func() error { _, err := store.SignPost(ctx, spec); return err },
	}
	for what, call := range calls {
		if err := call(); !errors.Is(err, track.ErrPlace) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if id, err := store.ID(ctx); err != nil || !id.IsZero() {
		t.Errorf("something was written: %s, %v", id, err)
	}
	answer, asked = fmt.Errorf("%w: the database", track.ErrUnavailable), 0
	if err := calls["SignPut"](); !track.IsRetryable(err) {
		t.Errorf("got %v", err)
	}
	answer = nil
	var group sync.WaitGroup
	for range 8 {
		for _, call := range calls {
			group.Go(func() { _ = call() })
		}
	}
	group.Wait()
	if asked != 2 {
		t.Errorf("it was asked %d times, not twice", asked)
	}
}
