package pgstore_test

import (
	"context"
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

// BenchmarkClaim claims 100 tracks a time out of many, of which a part was moved before, range by range, as a
// migration leaves them; nothing is vacuumed. It reports the median of the claims; what the first one of a worker
// takes that has just started ("first"), with the look where to claim; and how long it takes to walk once over what
// lies behind, in which nothing is left ("behind").
//
//	go test -run=^$ -bench=Claim/rows=10000000 ./shared/pgstore
func BenchmarkClaim(b *testing.B) {
	for _, rows := range []int{10_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			url := testenv.Postgres(b)
			sql := fill(b, url, randomIDs, rows)
			execute(b, sql, `ALTER TABLE tracks SET (autovacuum_enabled = off)`)
			moved := 0
			for _, percent := range []int{0, 50, 99} {
				more := rows*percent/100 - moved
				moved += more
				b.Run(fmt.Sprintf("moved=%d%%", percent), func(b *testing.B) {
					store := open(b, url)
					ahead := stretchesOf(b, store)
					for i := 0; more > 0 && i < len(ahead) && !ahead[i].IsBehind; i++ {
						move(b, sql, ahead[i], more*(i+1)/16-more*i/16)
					}
					more = 0
					execute(b, sql, `ANALYZE tracks, track_migrations`)
					execute(b, sql, `CHECKPOINT`) // not while claims are measured: what was moved here takes minutes to write
					benchmarkClaim(b, store, sql)
				})
			}
		})
	}
}

// How a platform makes the ids of its tracks, in the order in which these came.
const (
	randomIDs  = "gen_random_uuid()"
	growingIDs = "overlay(gen_random_uuid()::text placing overlay(lpad(to_hex(1700000000000 + n * 50), 12, '0') placing '-' from 9 for 0) from 1 for 13)::uuid" // version 7
)

// fill makes that many local tracks.
func fill(b testing.TB, url, ids string, rows int) *pgxpool.Pool {
	b.Helper()
	sql, err := pgxpool.New(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sql.Close)
	if _, err := sql.Exec(b.Context(), `
		INSERT INTO tracks (id, creator_id, title, file_path)
		SELECT `+ids+`, '00000000-0000-0000-0000-000000000001', 'x', 'audio/' || n || '.wav'
		FROM generate_series(1, $1::bigint) AS n`, rows); err != nil {
		b.Fatal(err)
	}
	if _, err := sql.Exec(b.Context(), `VACUUM ANALYZE tracks`); err != nil {
		b.Fatal(err)
	}
	return sql
}

// move moves so many tracks of a stretch, as a migration does it: what it leaves dead in the indexes stays.
func move(b testing.TB, sql *pgxpool.Pool, s track.Stretch, tracks int) {
	b.Helper()
	execute(b, sql, `
		WITH chosen AS (
			SELECT id, file_version FROM tracks
			WHERE storage_backend = 'local' AND id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') AND id <= $3 ORDER BY id LIMIT $1
		), flipped AS (
			UPDATE tracks t SET storage_backend = 's3', storage_key = 'tracks/' || t.id || '/1-0000000000000000.wav'
			FROM chosen WHERE chosen.id = t.id AND set_config('trackstore.writer', 'on', true) = 'on' RETURNING t.id, t.storage_key
		), come AS (
			UPDATE track_migration_ranges SET reached_id = (SELECT id FROM chosen ORDER BY id DESC LIMIT 1) WHERE number = $4
		)
		INSERT INTO track_migrations (track_id, direction, file_version, state, storage_key, size, crc64nvme, finished_at)
		SELECT id, 'to_s3', 1, 'migrated', storage_key, 1, '0000000000000000', now() FROM flipped`,
		tracks, s.After, s.UpTo, s.Range)
}

func benchmarkClaim(b *testing.B, store *pgstore.Store, sql *pgxpool.Pool) {
	spec := track.ClaimSpec{Direction: track.ToS3, For: time.Minute, Limit: 100}
	claim := func(s track.Stretch) (claims track.Claims, took time.Duration) {
		spec.Token, spec.Stretch = track.NewID(), s
		started := time.Now()
		claims, err := store.Claim(b.Context(), spec)
		took = time.Since(started)
		if err == nil {
			err = store.Release(b.Context(), claims.Leases)
		}
		if err != nil {
			b.Fatal(err)
		}
		return claims, took
	}
	stretchesOf(b, store) // connects
	started := time.Now()
	stretches := stretchesOf(b, store)
	claim(stretches[0])
	first := time.Since(started)
	var behind time.Duration
	var ahead []track.Stretch
	for _, s := range stretches {
		if s.IsBehind {
			_, took := claim(s)
			behind += took
		} else {
			ahead = append(ahead, s)
		}
	}
	var claims []time.Duration
	begin := slices.Clone(ahead)
	for i := 0; b.Loop(); i++ {
		s := &ahead[i%len(ahead)]
		got, took := claim(*s)
		if s.After = got.Last; len(got.Leases) > 0 {
			claims = append(claims, took)
		}
		if !got.More {
			s.After = begin[i%len(ahead)].After
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(first.Seconds()*1000, "first-ms")
	b.ReportMetric(behind.Seconds()*1000, "behind-ms")
	b.ReportMetric(median(claims), "claim-ms")
	if b.N > 1 && testing.Verbose() {
		b.Log(explain(b.Context(), store, sql, spec))
	}
}

// BenchmarkSettle flips and records what was claimed, out of 100,000 tracks. "outdated" is
// after a rollback of all, when the database still takes every track to be on S3.
func BenchmarkSettle(b *testing.B) {
	for _, load := range []struct {
		batch int
		name  string
		after string
	}{
		{batch: 1, name: "batch=1"}, {batch: 10, name: "batch=10"}, {batch: 100, name: "batch=100"},
		{batch: 100, name: "batch=100/outdated", after: `
			SET LOCAL trackstore.writer = 'on';
			ALTER TABLE tracks SET (autovacuum_enabled = off);
			UPDATE tracks SET storage_backend = 's3', storage_key = 'k/' || id;
			ANALYZE tracks;
			UPDATE tracks SET storage_backend = 'local', storage_key = NULL`},
	} {
		batch := load.batch
		b.Run(load.name, func(b *testing.B) {
			url := testenv.Postgres(b)
			if _, err := fill(b, url, randomIDs, 100_000).Exec(b.Context(), load.after); err != nil {
				b.Fatal(err)
			}
			store, err := pgstore.Open(b.Context(), url, 2)
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			spec := track.ClaimSpec{Direction: track.ToS3, For: time.Minute, Limit: batch}
			var took []time.Duration
			for b.Loop() {
				spec.Token = track.NewID()
				claims, err := store.Claim(b.Context(), spec)
				if err != nil {
					b.Fatal(err)
				}
				spec.After = claims.Last
				started := time.Now()
				if _, err := store.Settle(b.Context(), track.ToS3, moves(claims.Leases)); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(started))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took), "settle-ms")
			b.ReportMetric(median(took)/float64(batch), "ms/track")
		})
	}
}

// moves are the outcomes of leases whose copies went well.
func moves(leases []track.Lease) []track.Outcome {
	all := make([]track.Outcome, len(leases))
	for i, l := range leases {
		all[i] = track.Outcome{
			Lease: l, Result: track.NewObject{
				Key:    "tracks/" + l.TrackID.String() + "/1-0123456789abcdef.wav",
				Digest: track.Digest{Size: 1, CRC64NVME: 0x0123456789abcdef}, Format: track.WAV, ContentType: "audio/wav",
			},
		}
	}
	return all
}

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return all[len(all)/2].Seconds() * 1000
}

// explain returns the plan of a claim, which it does not carry out.
func explain(ctx context.Context, store *pgstore.Store, sql *pgxpool.Pool, spec track.ClaimSpec) string {
	statement, args := store.ClaimStatement(spec)
	rows, err := sql.Query(ctx, "EXPLAIN "+statement, args...)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err.Error()
		}
		plan.WriteString(line + "\n")
	}
	return plan.String()
}
