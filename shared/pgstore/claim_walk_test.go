package pgstore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/testenv"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// What a claim reads does not grow with what was moved before it: not in the ranges that others walked half
// way, for whoever has just started, and also while the index remembers all that was moved.
func TestFirstClaimDoesNotWalkOverWhatWasMoved(t *testing.T) {
	t.Parallel()
	for _, ids := range []string{randomIDs, growingIDs} {
		store, sql := walked(t, ids, 20_000)
		// The walk of before left these behind; whoever starts after it has to find them all the same.
		behind := execute(t, sql, `UPDATE tracks SET storage_backend = 'local', storage_key = NULL WHERE id IN
			(SELECT id FROM tracks WHERE storage_backend = 's3' AND set_config('trackstore.writer', 'on', true) = 'on' ORDER BY md5(id::text) LIMIT 10)`)
		stretches := stretchesOf(t, store)
		if len(stretches) != 32 {
			t.Fatalf("%s: %d stretches", ids, len(stretches))
		}
		found := int64(0)
		for _, s := range stretches {
			spec := track.ClaimSpec{Direction: track.ToS3, Stretch: s, Token: track.NewID(), For: time.Minute, Limit: 20}
			plan, read := explained(t, store, sql, spec)
			if !s.IsBehind && (read > 400 || !bytes.Contains(plan, []byte(`"Index Name": "tracks_storage_backend_local_idx"`))) {
				t.Fatalf("%s: a claim reads %d pages for 20 tracks:\n%s", ids, read, plan)
			}
			claims, err := store.Claim(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			var reached track.ID
			if err := sql.QueryRow(t.Context(), `SELECT reached_id FROM track_migration_ranges WHERE number = $1`, s.Range).Scan(&reached); err != nil || reached != claims.Last && len(claims.Leases) > 0 {
				t.Errorf("%s: range %d is said to be walked up to %s, not to %s: %v", ids, s.Range, reached, claims.Last, err)
			}
			if s.IsBehind {
				found += int64(len(claims.Leases))
			}
		}
		if found != behind {
			t.Errorf("%s: %d of %d tracks were found behind the walk", ids, found, behind)
		}
	}
}

// Ranges have about the same number of tracks each, however ids are made, and each id is in one of them.
func TestRangesHoldEachIDOnce(t *testing.T) {
	t.Parallel()
	for _, ids := range []string{randomIDs, growingIDs} {
		url := testenv.Postgres(t)
		sql := fill(t, url, ids, 20_000)
		store := open(t, url)
		var upTo track.ID
		total := 0
		stretches := stretchesOf(t, store)
		for i, s := range stretches {
			if s.After != upTo || s.Range != i+1 {
				t.Errorf("%s: range %d begins behind %s, and the one before ends with %s", ids, s.Range, s.After, upTo)
			}
			upTo = s.UpTo
			var n int
			if err := sql.QueryRow(t.Context(), `SELECT count(*) FROM tracks WHERE id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND id <= $2`, s.After, s.UpTo).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if total += n; n < 20_000/len(stretches)/2 || n > 20_000/len(stretches)*2 {
				t.Errorf("%s: range %d has %d tracks", ids, s.Range, n)
			}
		}
		if len(stretches) != 16 || total != 20_000 || upTo.String() != "ffffffff-ffff-ffff-ffff-ffffffffffff" {
			t.Errorf("%s: %d ranges have %d tracks, up to %s", ids, len(stretches), total, upTo)
		}
		// They stay until they are forgotten, and follow what lies there then.
		execute(t, sql, `DELETE FROM tracks WHERE id NOT IN (SELECT id FROM tracks ORDER BY id LIMIT 2500)`)
		if again := stretchesOf(t, store); !slices.Equal(again, stretches) {
			t.Errorf("%s: drawn anew without need: %v", ids, again)
		}
		if err := store.ForgetRanges(t.Context(), track.ToS3); err != nil {
			t.Fatal(err)
		}
		if few := stretchesOf(t, store); len(few) > 4 {
			t.Errorf("%s: %d ranges for 2,500 tracks", ids, len(few))
		}
	}
}

// walked makes tracks of which three quarters were claimed and moved range by range, by a worker that is gone,
// and whose index was not vacuumed since.
func walked(t testing.TB, ids string, rows int) (*pgstore.Store, *pgxpool.Pool) {
	t.Helper()
	url := testenv.Postgres(t)
	sql := fill(t, url, ids, rows)
	store := open(t, url)
	execute(t, sql, `ALTER TABLE tracks SET (autovacuum_enabled = off)`)
	stretches := stretchesOf(t, store)
	for _, s := range stretches {
		move(t, sql, s, rows*3/4/len(stretches))
	}
	execute(t, sql, `ANALYZE`) // as autovacuum does, and long before it vacuums
	return store, sql
}

func stretchesOf(t testing.TB, store *pgstore.Store) []track.Stretch {
	t.Helper()
	stretches, err := store.Stretches(t.Context(), track.ToS3)
	if err != nil {
		t.Fatal(err)
	}
	return stretches
}

func open(t testing.TB, url string) *pgstore.Store {
	t.Helper()
	store, err := pgstore.Open(t.Context(), url, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

func execute(t testing.TB, sql *pgxpool.Pool, statement string, args ...any) (rows int64) {
	t.Helper()
	tag, err := sql.Exec(t.Context(), statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	return tag.RowsAffected()
}

// explained returns the plan of a claim, as a connection keeps it, that it carries out and takes back, and how many pages that read.
func explained(t testing.TB, store *pgstore.Store, sql *pgxpool.Pool, spec track.ClaimSpec) (plan []byte, read int) {
	t.Helper()
	statement, args := store.ClaimStatement(spec)
	tx, err := sql.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context()) //nolint:errcheck // at the latest when the pool closes
	values := make([]string, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case track.ID:
			values[i] = "nullif('" + v.String() + "'::uuid, '" + track.ID{}.String() + "')"
		case []string:
			values[i] = "'{" + strings.Join(v, ",") + "}'"
		default: // a duration, a boolean, a number
			values[i] = fmt.Sprintf("'%v'", v)
		}
	}
	for _, sql := range []string{store.Statement("plan_look_ups"), "PREPARE claim AS " + statement} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE claim ("+strings.Join(values, ", ")+")").Scan(&plan); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "DEALLOCATE claim"); err != nil {
		t.Fatal(err)
	}
	var parsed []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(plan, &parsed); err != nil || len(parsed) != 1 {
		t.Fatal(err, string(plan))
	}
	return plan, parsed[0].Plan.Hit + parsed[0].Plan.Read
}
