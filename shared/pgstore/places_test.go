package pgstore_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"trackstore/internal/testenv/stores"
	"trackstore/shared/track"
)

func TestOnePlaceOfAKindIsRecorded(t *testing.T) {
	t.Parallel()
	set := stores.New(t)
	ctx := t.Context()
	if p, err := set.Store.Place(ctx, track.Root); !errors.Is(err, track.ErrNotFound) {
		t.Fatalf("got %+v, %v", p, err)
	}
	var group sync.WaitGroup
	got := make([]track.Place, 8)
	for i := range got {
		group.Go(func() {
			var err error
			got[i], err = set.Store.RecordPlace(ctx, track.Place{Kind: track.Bucket, ID: track.NewID(), Name: "one"})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if slices.ContainsFunc(got, func(p track.Place) bool { return p != got[0] }) {
		t.Fatalf("several were recorded: %+v", got)
	}

	is := track.Place{Kind: track.Bucket, ID: track.NewID(), Name: "two", IsMarked: true}
	if err := set.Store.NotePlace(ctx, got[0], is); err != nil {
		t.Fatal(err)
	}
	if err := set.Store.NotePlace(ctx, got[0], track.Place{Kind: track.Bucket, ID: track.NewID(), Name: "three"}); err != nil {
		t.Fatal(err) // it is another one by now
	}
	if p, err := set.Store.Place(ctx, track.Bucket); err != nil || p != is {
		t.Fatalf("got %+v, %v, want %+v", p, err, is)
	}

	other := track.Place{Kind: track.Bucket, ID: track.NewID(), Name: "four", IsMarked: true}
	for _, p := range []track.Place{other, is, other} { // there and back
		if err := set.Store.ReplacePlace(ctx, p); err != nil {
			t.Fatal(err)
		}
		if now, err := set.Store.Place(ctx, track.Bucket); err != nil || now != p {
			t.Fatalf("got %+v, %v, want %+v", now, err, p)
		}
	}
}

// Rows that are older than tracks.storage_bucket come to name the bucket, but for those that
// are locked or refused: nobody waits for these, and they hold nothing up.
func TestTracksComeToNameTheirBucket(t *testing.T) {
	t.Parallel()
	set := stores.New(t)
	ctx := t.Context()
	set.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key)
		SELECT gen_random_uuid(), gen_random_uuid(), n::text, '', 's3', 'tracks/' || n FROM generate_series(1, 2500) n`)
	set.Exec(`INSERT INTO tracks (id, creator_id, title, file_path) SELECT gen_random_uuid(), gen_random_uuid(), 'local', 'x'`)
	set.Exec(`ALTER TABLE tracks ADD CONSTRAINT platform CHECK (title <> '1000' OR storage_bucket IS NULL)`)
	tx, err := set.DB.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `SELECT FROM tracks WHERE title = '2000' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	unnamed := func() (titles []string) {
		rows, err := set.DB.Query(ctx, `SELECT title FROM tracks WHERE storage_bucket IS NULL ORDER BY title`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var title string
			if err := rows.Scan(&title); err != nil {
				t.Fatal(err)
			}
			titles = append(titles, title)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return titles
	}
	if err := set.Store.NameBuckets(ctx, "audio"); err != nil {
		t.Fatal(err)
	}
	if got := unnamed(); !slices.Equal(got, []string{"1000", "2000", "local"}) {
		t.Errorf("%q name no bucket", got)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := set.Store.NameBuckets(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	if got := unnamed(); !slices.Equal(got, []string{"1000", "local"}) {
		t.Errorf("%q name no bucket", got)
	}
}
