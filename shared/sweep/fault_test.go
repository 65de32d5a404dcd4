package sweep_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/internal/testenv/stores"
	"trackstore/shared/sweep"
	"trackstore/shared/track"
)

// fault makes one call of a sweep fail, the nth of those that change something: before it
// took effect, or after. As in a crash, where it is a crash, nothing works from then on.
type fault struct {
	nth       int
	persisted bool
	crash     bool

	mu    sync.Mutex
	calls int
	name  string // of the call that failed
}

// around runs a call, unless it is the one to fail.
func (f *fault) around(name string, call func() error) error {
	f.mu.Lock()
	f.calls++
	mine, dead := f.calls == f.nth, f.crash && f.calls > f.nth
	if mine {
		f.name = name
	}
	f.mu.Unlock()
	if dead || mine && !f.persisted {
		return fmt.Errorf("%s: cut: %w", name, track.ErrUnavailable)
	}
	if err := call(); err != nil {
		return err
	}
	if mine {
		return fmt.Errorf("%s: cut after the fact: %w", name, track.ErrUnavailable)
	}
	return nil
}

type faultyStore struct {
	sweep.Store
	*fault
}

func (s faultyStore) ExpireUploads(ctx context.Context, ids []track.ID) (expired []track.Upload, err error) {
	err = s.around("expire", func() (err error) { expired, err = s.Store.ExpireUploads(ctx, ids); return err })
	return expired, err
}

func (s faultyStore) NoteDiscards(ctx context.Context, discards []track.Discard) (n int64, err error) {
	err = s.around("note", func() (err error) { n, err = s.Store.NoteDiscards(ctx, discards); return err })
	return n, err
}

func (s faultyStore) MarkDiscards(
	ctx context.Context, discards []track.Discard, names [][]string, grace time.Duration, dryRun bool,
) (marked map[int64]bool, err error) {
	err = s.around("mark", func() (err error) {
		marked, err = s.Store.MarkDiscards(ctx, discards, names, grace, dryRun)
		return err
	})
	return marked, err
}

func (s faultyStore) DiscardsGone(ctx context.Context, discards []track.Discard) error {
	return s.around("gone", func() error { return s.Store.DiscardsGone(ctx, discards) })
}

type faultyConfirmer struct {
	sweep.Confirmer
	*fault
}

func (c faultyConfirmer) ConfirmEach(ctx context.Context, ids []track.ID, dryRun bool) (each []track.Confirmation, err error) {
	err = c.around("confirm", func() (err error) { each, err = c.Confirmer.ConfirmEach(ctx, ids, dryRun); return err })
	return each, err
}

type faultyBackend struct {
	sweep.Backend
	*fault
}

func (b faultyBackend) Remove(ctx context.Context, key string, mayGo func(context.Context) error) error {
	return b.around("delete", func() error { return b.Backend.Remove(ctx, key, mayGo) })
}

func (b faultyBackend) AbortMultipart(ctx context.Context, key, multipartID string) error {
	return b.around("abort", func() error { return b.Backend.AbortMultipart(ctx, key, multipartID) })
}

func (b faultyBackend) List(ctx context.Context, prefix string) iter.Seq2[track.Object, error] {
	if prefix == track.UploadsPrefix { // the first look, whose failure is none where it is the disk's
		return b.Backend.List(ctx, prefix)
	}
	return func(yield func(track.Object, error) bool) {
		if err := b.around("list", func() error { return nil }); err != nil {
			yield(track.Object{}, err)
			return
		}
		b.Backend.List(ctx, prefix)(yield)
	}
}

// under is the rig's sweeper with a fault in its parts.
func (r *rig) under(f *fault) *sweep.Sweeper {
	c := r.config
	c.Store = faultyStore{c.Store, f}
	c.Confirm = faultyConfirmer{c.Confirm, f}
	c.Backends = map[string]sweep.Backend{}
	for name, b := range r.config.Backends {
		c.Backends[name] = faultyBackend{b, f}
	}
	return sweep.New(c)
}

// Each call fails once, before and after it took effect, with the rest of the sweep going
// on or all of it dead. No bytes that a row names are ever lost, and the next sweep ends
// where one without the fault does.
func TestFaultsAtEveryStep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config.Store = old{r.Store}
	r.config.UploadTTL = time.Nanosecond
	failed := make(map[string]bool)
	for _, crash := range []bool{false, true} {
		for _, persisted := range []bool{false, true} {
			for nth := 1; ; nth++ {
				name := fmt.Sprintf("call %d, persisted %t, crash %t", nth, persisted, crash)
				s := r.scene()
				f := &fault{nth: nth, persisted: persisted, crash: crash}
				_, err := r.under(f).Run(t.Context(), sweep.Options{})
				if f.name == "" { // there are fewer calls
					if err != nil {
						t.Fatalf("without a fault: %v", err)
					}
					s.check(name)
					break
				}
				if err == nil {
					t.Errorf("%s: nobody is told of the failure of %s", name, f.name)
				}
				failed[f.name] = true
				s.checkSafe(name + ": " + f.name)
				r.sweep()
				s.check(name + ": " + f.name)
				r.Exec("TRUNCATE tracks, track_uploads, track_discards") // or each sweep has more to look at
			}
		}
	}
	want := map[string]bool{"confirm": true, "expire": true, "abort": true, "note": true, "mark": true, "delete": true, "gone": true, "list": true}
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Errorf("calls that failed: %s", diff)
	}
}

// scene is work for a sweep: tracks, uploads and discards of all kinds.
type scene struct {
	*rig
	lost, overdue, parts track.Upload
	multipart            string
	kept, gone           []place
}

type place struct{ backend, key string }

func (r *rig) scene() scene {
	s := scene{rig: r}
	s.lost = r.Ticket(track.ID{}, track.S3) // its event is
	r.put(track.S3, s.lost.Key)
	s.kept = append(s.kept, place{track.S3, s.lost.Key})

	s.overdue = r.Ticket(track.ID{}, track.S3)
	s.parts = r.Ticket(track.ID{}, track.S3, func(t *track.Ticket) { t.Method, t.PartSize = track.MethodMultipart, track.MinPartSize })
	var err error
	if s.multipart, err = r.S3.CreateMultipart(r.T.Context(), s.parts.Key, "audio/wav", nil); err != nil {
		r.T.Fatal(err)
	}
	if _, err := r.Store.BeginMultipart(r.T.Context(), s.parts.ID, s.multipart); err != nil {
		r.T.Fatal(err)
	}
	r.Exec("UPDATE track_uploads SET expires_at = now() - interval '1 second' WHERE id IN ($1, $2)", s.overdue.ID, s.parts.ID)

	id := track.NewID()
	for _, backend := range []string{track.S3, track.Local} {
		replaced, named := id.String()+"/replaced.wav", id.String()+"/named.wav"
		for _, key := range []string{replaced, named} {
			r.put(backend, key)
			r.discard(id, backend, key, grace+time.Minute)
		}
		s.gone = append(s.gone, place{backend, replaced})
		s.kept = append(s.kept, place{backend, named})
	}
	r.Track(id.String()+"/named.wav", "")
	r.Track("", id.String()+"/named.wav")

	deleted := track.NewID()
	its := []place{{track.S3, track.UploadKey(deleted, track.NewID(), "x.wav")}, {track.Local, deleted.String() + ".wav"},
		{track.S3, track.MigratedKey(deleted, 1, 1, "x.wav")}}
	for _, p := range its {
		r.put(p.backend, p.key)
	}
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key, deleted_at)
		VALUES ($1, $2, 'x', $3, 's3', $4, now() - $5::interval)`, deleted, stores.Owner, its[1].key, its[0].key, grace+time.Minute)
	s.gone = append(s.gone, its...)
	return s
}

// checkSafe checks what must hold at any moment.
func (s scene) checkSafe(when string) {
	s.T.Helper()
	for _, p := range s.kept {
		if !s.has(p.backend, p.key) {
			s.T.Errorf("%s: %v is lost", when, p)
		}
	}
	for _, p := range s.gone {
		if s.isGone(p.backend, p.key) && s.has(p.backend, p.key) {
			s.T.Errorf("%s: %v is noted as gone, and is there", when, p)
		}
		if !s.has(p.backend, p.key) && s.query("SELECT bool_or(removed_at IS NOT NULL) FROM track_discards WHERE backend = $1 AND storage_key = $2", p.backend, p.key) != "true" {
			s.T.Errorf("%s: %v was removed without a mark", when, p)
		}
	}
}

// check checks what a whole sweep leaves.
func (s scene) check(when string) {
	s.T.Helper()
	s.checkSafe(when)
	for _, p := range s.gone {
		if s.has(p.backend, p.key) || !s.isGone(p.backend, p.key) {
			s.T.Errorf("%s: %v is still there, or not noted as gone", when, p)
		}
	}
	got := []string{s.state(s.lost), s.state(s.overdue), s.state(s.parts)}
	if diff := cmp.Diff([]string{"stored", "expired", "expired"}, got); diff != "" {
		s.T.Errorf("%s: %s", when, diff)
	}
	if _, err := s.S3.ListParts(context.Background(), s.parts.Key, s.multipart); err == nil {
		s.T.Errorf("%s: the multipart upload is still there", when)
	}
	if n := s.query("SELECT count(*) FROM track_discards WHERE storage_key LIKE '%named.wav'"); n != "0" {
		s.T.Errorf("%s: %s notes of bytes that rows name", when, n)
	}
}

// endless has as many pending uploads as one looks at.
type endless struct{ sweep.Store }

func (s endless) UnsettledUploads(ctx context.Context, spec track.LookSpec) ([]track.Upload, error) {
	spec.After, spec.Since = track.Upload{}, 0
	return s.Store.UnsettledUploads(ctx, spec)
}

// Where there are more uploads to look at than a sweep has time for, bytes are removed all the same, and records.
func TestNoStepHoldsUpTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config.Store = endless{r.Store}
	r.Ticket(track.ID{}, track.S3)
	key := track.UploadKey(track.NewID(), track.NewID(), "x.wav")
	r.put(track.S3, key)
	r.discard(track.NewID(), track.S3, key, grace+time.Minute)
	r.Exec(`INSERT INTO companion_sessions (token_hash, user_id, created_at, expires_at) VALUES (sha256('x'), gen_random_uuid(), now() - interval '2 days', now() - interval '1 day')`)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	counts, err := sweep.New(r.config).Run(ctx, sweep.Options{})
	if err != nil || counts.Removed != 1 || counts.Done {
		t.Errorf("%+v, %v", counts, err)
	}
	if got := r.query("SELECT count(*) FROM companion_sessions"); got != "0" {
		t.Errorf("%s sessions are left", got)
	}
}
