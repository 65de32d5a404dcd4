package migrate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// addMany makes n small local tracks.
func (r *rig) addMany(n int) map[track.ID][]byte {
	r.Helper()
	want := map[track.ID][]byte{}
	for i := range n {
		c := content(i, 100+i)
		want[r.add(fmt.Sprintf("many/%d.wav", i), c)] = c
	}
	return want
}

func TestSeveralRunsShareTheTracks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := r.addMany(400)
	summaries := make([]migrate.Summary, 3)
	var group sync.WaitGroup
	for i := range summaries {
		group.Go(func() { summaries[i], _ = r.run(r.upload(), job()) })
	}
	group.Wait()
	claimed, migrated := 0, 0
	for _, s := range summaries {
		claimed, migrated = claimed+s.Claimed, migrated+s.Migrated
		if !s.Done {
			t.Errorf("a run ended before all was done: %+v", s)
		}
	}
	if claimed != len(want) || migrated != len(want) {
		t.Errorf("%d claimed and %d migrated of %d: some were done twice or not at all", claimed, migrated, len(want))
	}
	for id, c := range want {
		r.holds(id, track.S3, c)
	}
}

// A run waits for the leases of others, and takes over those that are not renewed.
func TestDeadLeasesAreTakenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := r.addMany(20)
	spec := track.ClaimSpec{Direction: track.ToS3, Token: track.NewID(), For: 700 * time.Millisecond, Limit: 10}
	claims, err := r.Store.Claim(t.Context(), spec)
	if err != nil || len(claims.Leases) != 10 || !claims.More {
		t.Fatalf("%+v, %v", claims, err)
	}
	impatient := job()
	impatient.Patience = 0
	if s, _ := r.run(r.upload(), impatient); s.Migrated != 10 || s.Remaining != 10 || s.Done {
		t.Errorf("beside a live lease: %+v", s)
	}
	if s, _ := r.run(r.upload(), job()); s.Migrated != 10 || !s.Done {
		t.Errorf("after it died: %+v", s)
	}
	for id, c := range want {
		r.holds(id, track.S3, c)
	}
	// The dead worker wakes up: nothing of it counts any more.
	var outcomes []track.Outcome
	for _, l := range claims.Leases {
		outcomes = append(outcomes, track.Outcome{Lease: l, Result: track.Failure{Kind: track.Missing, Err: errors.New("late")}})
	}
	verdicts, err := r.Store.Settle(t.Context(), track.ToS3, outcomes)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Verdict != track.Lost {
			t.Errorf("the dead worker's outcome is %s", v.Verdict)
		}
	}
	if err := r.Store.Release(t.Context(), claims.Leases); err != nil {
		t.Fatal(err)
	}
	if n := r.one(`SELECT count(*)::text FROM track_migrations WHERE state = 'migrated'`); n != "20" {
		t.Errorf("%s moves are recorded", n)
	}
}

// The heartbeat holds leases longer than they last.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := r.addMany(4)
	slow := &slowMover{Mover: r.upload(), delay: 1500 * time.Millisecond}
	j := job()
	j.Lease = 500 * time.Millisecond
	var group sync.WaitGroup
	group.Go(func() {
		if s, _ := r.run(slow, j); s.Migrated != len(want) {
			t.Errorf("%+v", s)
		}
	})
	time.Sleep(700 * time.Millisecond)
	if claims, err := r.Store.Claim(t.Context(), track.ClaimSpec{
		Direction: track.ToS3, Token: track.NewID(), For: time.Second, Limit: 10,
	}); err != nil || len(claims.Leases) != 0 {
		t.Errorf("leases with a heartbeat were taken: %+v, %v", claims, err)
	}
	group.Wait()
}

type slowMover struct {
	migrate.Mover
	delay time.Duration
}

func (s *slowMover) Move(ctx context.Context, l track.Lease) (track.Result, error) {
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.Mover.Move(ctx, l)
}

// Tracks that are replaced or deleted while they are copied are not flipped. The copies are
// noted for the sweep, and the new files are moved in the same run.
func TestOvertakenTracks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	replaced, deleted := r.add("old.wav", []byte("old")), r.add("deleted.wav", []byte("deleted"))
	removed := r.add("removed.wav", []byte("removed")) // the row itself, by a platform that does not mark
	r.write("new.wav", []byte("new"))
	overtaking := &overtakingMover{Mover: r.upload(), overtake: func(id track.ID) {
		r.Exec(`UPDATE tracks SET file_path = 'new.wav' WHERE id = $1 AND id = $2`, id, replaced)
		r.Exec(`UPDATE tracks SET deleted_at = now() WHERE id = $1 AND id = $2`, id, deleted)
		r.Exec(`DELETE FROM tracks WHERE id = $1 AND id = $2`, id, removed)
	}}
	summary, _ := r.run(overtaking, job())
	if summary.Claimed != 4 || summary.Migrated != 1 || summary.Failed != 0 || !summary.Done {
		t.Errorf("%+v", summary)
	}
	r.holds(replaced, track.S3, []byte("new"))
	if got := r.one(`SELECT storage_backend FROM tracks WHERE id = $1`, deleted); got != track.Local {
		t.Error("a deleted track was flipped")
	}
	if n := r.one(`SELECT count(*)::text FROM track_discards WHERE reason = 'orphaned' AND removed_at IS NULL`); n != "3" {
		t.Errorf("%s copies are noted", n)
	}
	r.settled()
}

// overtakingMover has a user change each track once, after its copy and before its flip.
type overtakingMover struct {
	migrate.Mover
	overtake func(track.ID)
	seen     sync.Map
}

func (m *overtakingMover) Move(ctx context.Context, l track.Lease) (track.Result, error) {
	o, err := m.Mover.Move(ctx, l)
	if _, again := m.seen.LoadOrStore(l.TrackID, true); !again {
		m.overtake(l.TrackID)
	}
	return o, err
}

// A rollback stops the workers of a migration at their next claim.
func TestTurningTheDirectionStopsTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const tracks = 1000 // more than are claimed ahead
	r.addMany(tracks)
	turning := &overtakingMover{Mover: r.upload(), overtake: func(track.ID) {
		if err := r.Store.SetDirection(context.Background(), track.ToLocal); err != nil {
			t.Error(err)
		}
	}}
	summary, err := runner(r.Store, turning).Run(t.Context(), job())
	if !errors.Is(err, migrate.ErrDirectionChanged) || summary.Claimed == 0 || summary.Claimed == tracks {
		t.Errorf("%+v, %v", summary, err)
	}
	r.settled()
}

// A rollback that overtakes a migration also takes back what was in flight at that moment.
func TestARollbackWaitsForWhatIsInFlight(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := r.addMany(5)
	var group sync.WaitGroup
	group.Go(func() {
		slow := &slowMover{Mover: r.upload(), delay: time.Second}
		if s, err := runner(r.Store, slow).Run(t.Context(), job()); !errors.Is(err, migrate.ErrDirectionChanged) || s.Migrated != len(want) {
			t.Errorf("the migration: %+v, %v", s, err)
		}
	})
	for r.one(`SELECT count(*)::text FROM track_migrations`) != "5" {
		time.Sleep(10 * time.Millisecond)
	}
	r.turn(track.ToLocal)
	if s, _ := r.run(r.restore(), job()); s.Migrated != len(want) || !s.Done {
		t.Errorf("the rollback: %+v", s)
	}
	group.Wait()
	for id, c := range want {
		r.holds(id, track.Local, c)
	}
	r.settled()
}

// A run of some tracks does not wait for those who move others.
func TestARunOfSomeTracksWaitsForTheseAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mine := r.add("mine.wav", []byte("mine"))
	other := r.add("other.wav", []byte("other"))
	claims, err := r.Store.Claim(t.Context(), track.ClaimSpec{
		Direction: track.ToS3, Token: track.NewID(), For: time.Hour, Limit: 1, Selection: track.Selection{TrackIDs: []track.ID{other}},
	})
	if err != nil || len(claims.Leases) != 1 {
		t.Fatalf("%+v, %v", claims, err)
	}
	j := job()
	j.TrackIDs = []track.ID{mine}
	if s, _ := r.run(r.upload(), j); s.Migrated != 1 || !s.Done { // or the test takes an hour
		t.Errorf("%+v", s)
	}
}

// A claim that had to wait looks at the tracks as they were before; what others have moved
// meanwhile is not claimed again, and keeps its record.
func TestAClaimThatWaitedLeavesFinishedTracksAlone(t *testing.T) {
	t.Parallel()
	for _, d := range []track.Direction{track.ToS3, track.ToLocal} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			first, second := r.add("first.wav", []byte("first")), r.add("second.wav", []byte("second"))
			var mover migrate.Mover = r.upload()
			if d == track.ToLocal {
				r.run(mover, job())
				mover = r.restore()
				r.turn(d)
			}
			claim := func(d track.Direction, lease time.Duration, ids ...track.ID) track.Claims {
				claims, err := r.Store.Claim(t.Context(), track.ClaimSpec{
					Direction: d, Token: track.NewID(), For: lease, Limit: 10, Selection: track.Selection{TrackIDs: ids},
				})
				if err != nil {
					t.Error(err)
				}
				return claims
			}
			claim(d, time.Millisecond, first)
			lock, err := r.DB.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Rollback(context.WithoutCancel(t.Context()))
			if _, err := lock.Exec(t.Context(), `SELECT FROM track_migrations WHERE track_id = $1 FOR UPDATE`, first); err != nil {
				t.Fatal(err)
			}

			var claims track.Claims
			var waiting sync.WaitGroup
			waiting.Go(func() { claims = claim(d, time.Minute) })
			for r.one(`SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == "0" {
				time.Sleep(5 * time.Millisecond)
			}
			j := job()
			j.TrackIDs, j.Limit = []track.ID{second}, 1
			if s, _ := r.run(mover, j); s.Migrated != 1 {
				t.Errorf("%+v", s)
			}
			if err := lock.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			waiting.Wait()
			if len(claims.Leases) != 1 || claims.Leases[0].TrackID != first {
				t.Errorf("claimed %+v", claims.Leases)
			}
			if got := r.one(`SELECT state || ' ' || (crc64nvme IS NOT NULL) FROM track_migrations WHERE track_id = $1`, second); got != "migrated true" {
				t.Errorf("the record of a finished move is now: %s", got)
			}
		})
	}
}

func (r *rig) batch() *migrate.Batch {
	return &migrate.Batch{
		Ledger: r.Store, Upload: r.upload(), Restore: r.restore(),
		Lease: 2 * time.Second, Log: quiet,
	}
}

func (r *rig) handle(input string) (migrate.Summary, error) {
	r.Helper()
	var in migrate.Input
	if err := json.Unmarshal([]byte(input), &in); err != nil {
		return migrate.Summary{}, err
	}
	return r.batch().Handle(r.Context(), in)
}

func TestBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := r.addMany(30)
	var one track.ID
	for one = range want {
		break
	}
	steps := []struct {
		input                        string
		claimed, migrated, remaining int
		done                         bool
	}{
		{fmt.Sprintf(`{"track_ids":[%q]}`, one), 1, 1, 0, true},
		{`{"limit":9}`, 9, 9, 20, false},
		{`{"direction":"to_s3","max_seconds":1e300}`, 20, 20, 0, true},
		{`{}`, 0, 0, 0, true},
		{`{"direction":"to_local","limit":10}`, 10, 10, 20, false},
		{`{}`, 20, 20, 0, true}, // goes on in the direction that holds
	}
	for _, s := range steps {
		got, err := r.handle(s.input)
		if err != nil || got.Claimed != s.claimed || got.Migrated != s.migrated || got.Remaining != int64(s.remaining) || got.Done != s.done {
			t.Errorf("%s: %+v, %v", s.input, got, err)
		}
	}
	for id, c := range want {
		r.holds(id, track.Local, c)
	}
}

func TestBatchRefusesBadInput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, input := range []string{
		`{"direction":"up"}`, `{"limit":0}`, `{"limit":"many"}`, `{"max_seconds":0}`, `{"max_seconds":-1}`, `{"track_ids":["x"]}`, `{"unknown":1}`, `[]`,
		fmt.Sprintf(`{"track_ids":[%q]}`, track.NewID()),
	} {
		if got, err := r.handle(input); err == nil {
			t.Errorf("%s: %+v", input, got)
		}
	}
}

// While tracks are moved the other way, a batch changes nothing, and says that it is done.
func TestBatchLeavesTheDirectionToThoseAtWork(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(3)
	if s, err := r.handle(`{"limit":2}`); err != nil || s.Migrated != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	r.turn(track.ToLocal)
	claims, err := r.Store.Claim(t.Context(), track.ClaimSpec{Direction: track.ToLocal, Token: track.NewID(), For: time.Minute, Limit: 1})
	if err != nil || len(claims.Leases) != 1 {
		t.Fatalf("%+v, %v", claims, err)
	}
	if s, err := r.handle(`{"direction":"to_s3"}`); err != nil || s.Claimed != 0 || !s.Done {
		t.Errorf("%+v, %v", s, err)
	}
	if err := r.Store.Release(t.Context(), claims.Leases); err != nil {
		t.Fatal(err)
	}
	if s, err := r.handle(`{"direction":"to_s3"}`); err != nil || s.Migrated != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A batch ends before its time is over, and gives back what it could not finish.
func TestBatchEndsInTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 40 {
		r.add(fmt.Sprintf("%d.wav", i), content(i, 100_000))
	}
	b := r.batch()
	b.Upload = migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: r.S3, Large: r.S3, Sniff: noSniff, Bandwidth: 1})
	started := time.Now()
	two := 2.0
	summary, err := b.Handle(t.Context(), migrate.Input{MaxSeconds: &two})
	if took := time.Since(started); err != nil || took > 5*time.Second || summary.Done || summary.Claimed == 0 {
		t.Errorf("%+v, %v, after %s", summary, err, took)
	}
	r.settled()

	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second) // as Lambda gives it, and five seconds of it are kept
	defer cancel()
	if summary, err := b.Handle(ctx, migrate.Input{}); err != nil || ctx.Err() != nil || summary.Done {
		t.Errorf("%+v, %v", summary, err)
	}
	r.settled()
}

// A batch whose time ends in the middle of a large file leaves neither a lease nor parts
// that are paid for.
func TestBatchEndsInTheMiddleOfALargeFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := content(1, 40<<20)
	id := r.add("large.wav", c)
	b := r.batch()
	parts := &countedParts{Store: r.S3}
	b.Upload = migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: r.S3, Large: parts, Sniff: noSniff, Bandwidth: 4 << 20})
	two := 2.0
	if summary, err := b.Handle(t.Context(), migrate.Input{MaxSeconds: &two}); err != nil || summary.Done || summary.Migrated != 0 {
		t.Errorf("%+v, %v", summary, err)
	}
	if parts.begun.Load() == 0 {
		t.Error("no part was begun: the test cuts nothing short")
	}
	for m, err := range r.S3.ListMultiparts(t.Context(), "") {
		t.Errorf("a multipart upload is left: %+v, %v", m, err)
	}
	r.settled()
	r.holds(id, track.Local, c)
}

// countedParts counts the parts that are begun.
type countedParts struct {
	*s3store.Store
	begun atomic.Int32
}

func (p *countedParts) PutPart(ctx context.Context, spec track.NewPart, body io.ReadSeeker) (track.Part, error) {
	p.begun.Add(1)
	return p.Store.PutPart(ctx, spec, body)
}
