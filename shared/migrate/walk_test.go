package migrate_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// claimsSeen notes from which ranges a run claims.
type claimsSeen struct {
	*pgstore.Store
	mu     sync.Mutex
	claims []track.Stretch // that won something
}

func (c *claimsSeen) Claim(ctx context.Context, spec track.ClaimSpec) (track.Claims, error) {
	claims, err := c.Store.Claim(ctx, spec)
	if len(claims.Leases) > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.claims = append(c.claims, spec.Stretch)
	}
	return claims, err
}

// addRows makes n local tracks, in as many ranges as that gives, of which all have one small file.
func (r *rig) addRows(n int) {
	r.Helper()
	r.write("one.wav", content(1, 64))
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path)
		SELECT gen_random_uuid(), gen_random_uuid(), 'x', 'one.wav' FROM generate_series(1, $1::int)`, n)
	r.Exec(`ANALYZE tracks`)
}

// A run claims from all ranges in turn, so that its writes are spread over the keys; one that was stopped is
// gone on with where it was; and what came behind it meanwhile is found.
func TestARunWalksFromSeveralStarts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const tracks = 4000
	r.addRows(tracks)
	seen := &claimsSeen{Store: r.Store}
	j := job()
	j.Limit = 1000
	if s, err := runner(seen, r.upload()).Run(t.Context(), j); err != nil || s.Migrated != 1000 || s.Remaining != tracks-1000 {
		t.Fatalf("%+v, %v", s, err)
	}
	ranges := map[int]int{}
	for _, s := range seen.claims {
		ranges[s.Range]++
		if s.IsBehind {
			t.Errorf("claimed behind the walk: %+v", s)
		}
	}
	least, most := tracks, 0
	for _, claims := range ranges {
		least, most = min(least, claims), max(most, claims)
	}
	if len(ranges) != 4 || most-least > 1 {
		t.Errorf("claims of each range: %v", ranges)
	}
	// Behind the walk: the first tracks of all become candidates again.
	back := r.one(`WITH first AS (SELECT id FROM tracks WHERE storage_backend = 's3' AND set_config('trackstore.writer', 'on', true) = 'on' ORDER BY id LIMIT 20),
		again AS (UPDATE tracks t SET storage_backend = 'local', storage_key = NULL FROM first WHERE t.id = first.id RETURNING t.id)
		SELECT count(*)::text FROM again`)
	seen.claims = nil
	if s, err := runner(seen, r.upload()).Run(t.Context(), job()); err != nil || s.Migrated != tracks-1000+20 || !s.Done || back != "20" {
		t.Fatalf("%+v, %v, %s are back", s, err, back)
	}
	if first := seen.claims[0]; first.IsBehind || first.After.IsZero() {
		t.Errorf("the second run began at %+v", first)
	}
	if n := r.one(`SELECT count(*)::text FROM track_migration_ranges WHERE direction = 'to_s3'`); n != "0" {
		t.Errorf("%s ranges are kept although all is done", n)
	}
}

// A verification that was stopped says where it came to, and the next one goes on there: between them they check each
// track, and few of them twice.
func TestVerifyGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(300)
	r.run(r.upload(), job())
	ctx, stop := context.WithCancel(t.Context())
	var told atomic.Int64
	verifier := migrate.Verifier{Records: r.Store, Files: r.Disk, Bucket: r.S3, Found: func(f migrate.Finding) { t.Errorf("%+v", f) }}
	stopped := verifier
	stopped.Reached = func(track.ID) {
		if told.Add(1) == 3 {
			stop()
		}
	}
	first, err := stopped.Verify(ctx, 1, track.ID{})
	if err == nil || first.After.IsZero() || first.Checked >= 300 {
		t.Fatalf("%+v, %v", first, err)
	}
	covered := r.one(fmt.Sprintf(`SELECT count(*)::text FROM tracks WHERE id <= '%s'`, first.After))
	second, err := verifier.Verify(t.Context(), 1, first.After)
	if err != nil || !second.After.IsZero() {
		t.Fatalf("%+v, %v", second, err)
	}
	if left := r.one(fmt.Sprintf(`SELECT count(*)::text FROM tracks WHERE id > '%s'`, first.After)); fmt.Sprint(second.Checked) != left || covered == "0" {
		t.Errorf("%d of %s tracks were checked, behind %s that were before", second.Checked, left, covered)
	}
	if first.Checked+second.Checked < 300 {
		t.Errorf("%d and %d of 300 tracks were checked", first.Checked, second.Checked)
	}
}
