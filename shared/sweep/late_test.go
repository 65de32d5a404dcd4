package sweep_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"trackstore/shared/sweep"
	"trackstore/shared/track"
)

// expired opens an upload, lets a sweep expire it, and makes that so long ago.
func (r *rig) expired(trackID track.ID, backend string, ago time.Duration) track.Upload {
	r.T.Helper()
	u := r.Ticket(trackID, backend)
	r.Exec("UPDATE track_uploads SET created_at = created_at - interval '30 days', expires_at = now() - interval '1 second' WHERE id = $1", u.ID)
	if got, err := r.Store.ExpireUploads(r.T.Context(), []track.ID{u.ID}); err != nil || len(got) != 1 {
		r.T.Fatalf("%+v, %v", got, err)
	}
	r.Exec("UPDATE track_uploads SET finished_at = finished_at - $2::interval WHERE id = $1", u.ID, ago)
	r.Exec("UPDATE track_discards SET discarded_at = discarded_at - $2::interval WHERE storage_key = $1", u.Key, ago)
	return u
}

// Bytes that came after their ticket's end are found by the sweep, until their grace is over, and
// a last time right before they would go: what came before that is stored, not removed.
func TestLateBytesAreFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ages := []time.Duration{0, time.Hour, grace - time.Minute, grace - time.Millisecond, grace, grace + time.Hour}
	for _, backend := range []string{track.S3, track.Local} {
		var came, empty []track.Upload
		for _, ago := range ages {
			u := r.expired(track.ID{}, backend, ago)
			r.put(backend, u.Key)
			came, empty = append(came, u), append(empty, r.expired(track.ID{}, backend, ago))
		}
		if got := r.dryRun(); len(got) != len(ages)+3 {
			t.Errorf("%s: a dry run says %q", backend, got)
		}
		if got := r.sweep(); got.Stored != len(ages) || got.Failures != 0 {
			t.Errorf("%s: %+v", backend, got)
		}
		for i, u := range came {
			if got := r.state(u); got != "stored" || !r.has(backend, u.Key) {
				t.Errorf("%s, %v ago: %s, there %v", backend, ages[i], got, r.has(backend, u.Key))
			}
			if got := r.query("SELECT count(*) FROM track_discards WHERE storage_key = $1", u.Key); got != "0" {
				t.Errorf("%s, %v ago: its bytes are still to go", backend, ages[i])
			}
			over := ages[i] >= grace-time.Millisecond
			if got := r.state(empty[i]); got != "expired" || r.isGone(backend, empty[i].Key) != over {
				t.Errorf("%s, %v ago: nothing came, and it is %s, over %v", backend, ages[i], got, r.isGone(backend, empty[i].Key))
			}
		}
	}
}

// What could not be looked at, is locked, or what another file has overtaken: none is lost or wins.
func TestLateBytesThatCannotBeStoredNow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	locked := r.expired(track.ID{}, track.S3, grace+time.Hour)
	other := r.expired(track.ID{}, track.S3, grace+time.Hour)
	overtaken := r.expired(track.ID{}, track.S3, grace+time.Hour)
	newer := r.Ticket(overtaken.TrackID, track.S3)
	for _, u := range []track.Upload{locked, other, overtaken, newer} {
		r.put(track.S3, u.Key)
	}
	tx, err := r.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM tracks WHERE id = $1 FOR UPDATE", locked.TrackID); err != nil {
		t.Fatal(err)
	}
	counts, err := sweep.New(r.config).Run(t.Context(), sweep.Options{})
	if err == nil || counts.Stored != 2 || counts.Removed != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
	if r.state(locked) != "expired" || !r.has(track.S3, locked.Key) || r.state(other) != "stored" {
		t.Errorf("the locked one: %s, there %v; the other one: %s", r.state(locked), r.has(track.S3, locked.Key), r.state(other))
	}
	if r.has(track.S3, overtaken.Key) || r.state(overtaken) != "expired" || r.query("SELECT storage_key FROM tracks WHERE id = $1", newer.TrackID) != newer.Key {
		t.Error("the overtaken one is there, or has won")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.sweep(); got.Stored != 1 || r.state(locked) != "stored" {
		t.Errorf("%+v, %s", got, r.state(locked))
	}
}

// A row that the platform's table refuses to fail, or whose note cannot be entered, holds up no other.
func TestARefusedRowHoldsUpNoSweep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Exec("ALTER TABLE tracks ADD CONSTRAINT never_failed CHECK (title <> 'bad' OR status <> 'failed')")
	r.Exec("ALTER TABLE track_discards ADD CONSTRAINT as_an_index_too_small CHECK (storage_key <> 'long.wav')")
	bad, good := r.Ticket(track.ID{}, track.S3, func(t *track.Ticket) { t.Title = "bad" }), r.Ticket(track.ID{}, track.S3)
	r.Exec("UPDATE track_uploads SET created_at = created_at - interval '1 day', expires_at = now()")
	for _, path := range []string{"short.wav", "long.wav"} {
		r.Exec("UPDATE tracks SET deleted_at = now() - interval '30 days' WHERE id = $1", r.Track("", path))
	}
	r.put(track.Local, "short.wav")
	counts, err := sweep.New(r.config).Run(t.Context(), sweep.Options{})
	if err == nil || counts.Expired != 2 || counts.Deleted != 2 {
		t.Errorf("%+v, %v", counts, err)
	}
	if got := r.query("SELECT status FROM tracks WHERE id = $1", good.TrackID); got != "failed" {
		t.Errorf("the good one is %s", got)
	}
	if got := r.state(bad) + r.query("SELECT status FROM tracks WHERE id = $1", bad.TrackID); got != "expireduploading" {
		t.Errorf("the refused one is %s", got)
	}
	if r.has(track.Local, "short.wav") {
		t.Error("the other deleted file is still there")
	}
}

// frozen is a backend whose removals stop on the way, once, until thaw has run.
type frozen struct {
	sweep.Backend
	inside bool // between the look at what is there and the removal
	thaw   func()
}

func (b *frozen) Remove(ctx context.Context, key string, mayGo func(context.Context) error) error {
	once := b.thaw
	b.thaw = func() {}
	if !b.inside {
		once()
		return b.Backend.Remove(ctx, key, mayGo)
	}
	return b.Backend.Remove(ctx, key, func(ctx context.Context) error {
		err := mayGo(ctx)
		once()
		return err
	})
}

// A sweep that is stopped between its mark and the removal, for longer than the grace, removes
// nothing that was written anew meanwhile: neither where it was stopped before its last look at
// the mark, nor, as the bucket keeps versions, after it.
func TestAFrozenSweepRemovesNothingNew(t *testing.T) {
	t.Parallel()
	for name, inside := range map[string]bool{"before its last look": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.Track("", "a.wav")
			key := track.MigratedKey(id, 1, 1, "a.wav")
			r.put(track.S3, key)
			r.Exec("UPDATE tracks SET file_version = 2 WHERE id = $1", id) // nothing wants it
			r.discard(id, track.S3, key, grace+time.Hour)
			config := r.config
			config.Backends = map[string]sweep.Backend{track.S3: &frozen{Backend: r.S3, inside: inside, thaw: func() {
				if got := r.sweep(); got.Removed != 1 || r.has(track.S3, key) {
					t.Errorf("another sweep: %+v", got)
				}
				// More than a grace later, the key is free again, and a move writes it.
				r.Exec("UPDATE track_discards SET discarded_at = discarded_at - 2 * $1::interval, removed_at = removed_at - 2 * $1::interval, gone_at = gone_at - 2 * $1::interval", grace)
				r.sweep()
				r.put(track.S3, key)
				r.Exec("UPDATE tracks SET file_version = 1, storage_backend = 's3', storage_key = $2 WHERE id = $1", id, key)
			}}}
			if _, err := sweep.New(config).Run(t.Context(), sweep.Options{}); err != nil {
				t.Fatal(err)
			}
			if !r.has(track.S3, key) {
				t.Error("the frozen sweep has removed what a row names")
			}
		})
	}
}

// racing is a confirmer after whose look bytes come: they are confirmed while the sweep goes on.
type racing struct {
	sweep.Confirmer
	come func(absent []track.Upload)
}

func (c racing) ConfirmEach(ctx context.Context, ids []track.ID, dryRun bool) ([]track.Confirmation, error) {
	each, err := c.Confirmer.ConfirmEach(ctx, ids, dryRun)
	var absent []track.Upload
	for _, e := range each {
		if e.Err == nil && e.State == track.UploadExpired {
			absent = append(absent, e.Upload)
		}
	}
	c.come(absent)
	return each, err
}

// Between the sweep's last look and its mark bytes come, and are confirmed by others at the very moment at which it marks
// them: one of the two wins, never both, and neither is lost.
func TestTheNoteOfARemovalAndAConfirmationExcludeEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const uploads = 40
	for range uploads {
		r.expired(track.ID{}, track.S3, grace)
	}
	var others sync.WaitGroup
	var came sync.Map // by key
	config := r.config
	config.Confirm = racing{r.config.Confirm, func(absent []track.Upload) {
		for _, u := range absent {
			if _, twice := came.LoadOrStore(u.Key, true); twice {
				continue
			}
			r.put(track.S3, u.Key)
			others.Go(func() {
				if _, err := r.config.Confirm.ConfirmEach(t.Context(), []track.ID{u.ID}, false); err != nil {
					t.Error(err)
				}
			})
		}
	}}
	for range 2 {
		others.Go(func() {
			if _, err := sweep.New(config).Run(t.Context(), sweep.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	others.Wait()
	r.sweep()
	if n := r.query("SELECT count(*) FROM track_uploads WHERE state NOT IN ('stored', 'expired')"); n != "0" {
		t.Errorf("%s are neither", n)
	}
	rows, err := r.DB.Query(t.Context(), `SELECT u.storage_key, u.state = 'stored', coalesce(t.storage_key, '') = u.storage_key, d.id IS NOT NULL
		FROM track_uploads u JOIN tracks t ON t.id = u.track_id LEFT JOIN track_discards d ON d.storage_key = u.storage_key`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := 0
	for rows.Next() {
		var key string
		var isStored, isNamed, isNoted bool
		if err := rows.Scan(&key, &isStored, &isNamed, &isNoted); err != nil {
			t.Fatal(err)
		}
		if isNamed != isStored || isNoted == isStored || isStored && !r.has(track.S3, key) {
			t.Errorf("%s: stored %v, named %v, noted %v, there %v", key, isStored, isNamed, isNoted, r.has(track.S3, key))
		}
		if isStored {
			stored++
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d were confirmed in time", stored, uploads)
}
