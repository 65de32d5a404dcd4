package ingest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/track"
)

// Any permutation, with any repetition, of the same events leaves the same rows: in
// batches of any size, several at once, with clients who complete uploads in between.
func TestTheOrderOfEventsDoesNotShow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	events, uploads := r.scene()
	r.save()
	for _, e := range events {
		r.handle(e)
	}
	want := r.rows()
	if diff := cmp.Diff(r.outcomes(uploads), map[string]string{
		"new, first of two": "stored", "new, second of two": "stored", "old, first of two": "stored", "old, second of two": "stored",
		"replacement": "stored", "HTML": "failed not_audio", "HTML, then a file": "failed not_audio", "a file after HTML": "stored",
		"file before cut": "stored", "cut": "failed size_mismatch", "of a deleted track": "aborted", "migrated": "stored", "on its way": "pending",
	}); diff != "" {
		t.Fatal(diff)
	}

	rounds := uint64(60)
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		r.restore()
		r.play(rand.New(rand.NewPCG(seed, 0)), events, uploads)
		if diff := cmp.Diff(want, r.rows()); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// scene opens uploads of all kinds and sends their bytes. It returns the events that
// follow, among others that are none of our business.
func (r *rig) scene() (events [][]byte, uploads map[string]track.Upload) {
	uploads = make(map[string]track.Upload)
	open := func(name string, id track.ID, backend string, file, sent []byte) track.Upload {
		u := r.ticket(id, backend, file)
		uploads[name] = u
		if sent != nil {
			r.send(u, sent)
		}
		events = append(events, s3Event(r.bucketOf(u), u.Key))
		return u
	}
	html := make([]byte, 8000)
	copy(html, "<!DOCTYPE html><html>")

	u := open("new, first of two", track.ID{}, track.S3, wav(1), wav(1))
	open("new, second of two", u.TrackID, track.Local, wav(2)[:7000], wav(2)[:7000])
	id := r.Track("", "two.wav")
	open("old, first of two", id, track.Local, wav(3), wav(3))
	open("old, second of two", id, track.S3, wav(4)[:6000], wav(4)[:6000])
	open("replacement", r.Track("", "one.wav"), track.S3, wav(5), wav(5))
	open("migrated", r.Track("tracks/moved.wav", "moved.wav"), track.S3, wav(6), wav(6))
	open("HTML", track.ID{}, track.S3, html, html)
	u = open("HTML, then a file", track.ID{}, track.S3, html, html)
	open("a file after HTML", u.TrackID, track.S3, wav(7), wav(7))
	u = open("file before cut", track.ID{}, track.S3, wav(8), wav(8))
	open("cut", u.TrackID, track.S3, wav(9), wav(9)[:100])
	u = open("of a deleted track", track.ID{}, track.S3, wav(1), wav(1))
	r.Exec("UPDATE tracks SET deleted_at = now() WHERE id = $1", u.TrackID)
	open("on its way", track.ID{}, track.S3, wav(1), nil)

	events = append(events,
		s3Event("another-bucket", u.Key), s3Event(r.Bucket.Name, "tracks/moved.wav", "x"),
		s3Event(r.Bucket.Name, track.UploadKey(track.NewID(), track.NewID(), "x.wav")),
		s3EventNamed("ObjectRemoved:Delete", r.Bucket.Name, u.Key), []byte(`{"Event":"s3:TestEvent"}`))
	return events, uploads
}

// play has every event handled at least once, in a random order, with repetitions and in
// random batches by several consumers, while clients complete uploads.
func (r *rig) play(random *rand.Rand, events [][]byte, uploads map[string]track.Upload) {
	var ids []track.ID
	for _, u := range uploads {
		ids = append(ids, u.ID)
	}
	all := append([][]byte(nil), events...)
	for range random.IntN(2 * len(events)) {
		all = append(all, events[random.IntN(len(events))])
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })

	var work []func(context.Context) error
	for len(all) > 0 {
		n := min(1+random.IntN(10), len(all))
		batch := sqsEvent(all[:n]...)
		all = all[n:]
		work = append(work, func(ctx context.Context) error {
			failed, err := handle(ctx, r.Ingester, batch)
			if err == nil && len(failed) > 0 {
				err = fmt.Errorf("to be tried again: %v", failed)
			}
			return err
		})
	}
	for range random.IntN(6) {
		some := ids[:1+random.IntN(len(ids))]
		work = append(work, func(ctx context.Context) error {
			_, err := r.Confirm(ctx, some...)
			return err
		})
	}
	random.Shuffle(len(work), func(i, j int) { work[i], work[j] = work[j], work[i] })
	queue := make(chan func(context.Context) error, len(work))
	for _, f := range work {
		queue <- f
	}
	close(queue)
	var consumers sync.WaitGroup
	for range 1 + random.IntN(4) {
		consumers.Go(func() {
			for f := range queue {
				if err := f(r.T.Context()); err != nil {
					r.T.Error(err)
				}
			}
		})
	}
	consumers.Wait()
}

// rows are all rows, without times and without the numbers of notes.
func (r *rig) rows() []string {
	r.T.Helper()
	rows, err := r.DB.Query(r.T.Context(), `
		SELECT (to_jsonb(t) - 'updated_at')::text FROM tracks t
		UNION ALL SELECT (to_jsonb(u) - 'finished_at')::text FROM track_uploads u
		UNION ALL SELECT (to_jsonb(d) - 'id' - 'discarded_at')::text FROM track_discards d
		ORDER BY 1`)
	if err != nil {
		r.T.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			r.T.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		r.T.Fatal(err)
	}
	return all
}

func (r *rig) outcomes(uploads map[string]track.Upload) map[string]string {
	all := make(map[string]string)
	for name, u := range uploads {
		all[name] = r.state(u)
	}
	return all
}

// save keeps the rows, for restore to begin anew with; the objects stay as they are.
func (r *rig) save() {
	r.Exec("CREATE TABLE saved_tracks AS TABLE tracks")
	r.Exec("CREATE TABLE saved_uploads AS TABLE track_uploads")
}

func (r *rig) restore() {
	r.Exec("TRUNCATE tracks, track_uploads, track_discards")
	r.Exec("INSERT INTO tracks TABLE saved_tracks")
	r.Exec("INSERT INTO track_uploads OVERRIDING SYSTEM VALUE TABLE saved_uploads")
}
