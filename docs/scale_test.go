package docs_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// load is what a column of docs/scale.md is for.
type load struct{ tracks, uploads, plays float64 }

var loads = []load{{1e6, 10, 100}, {1e8, 1e3, 1e4}, {1e9, 1e4, 1e5}}

// TestScale computes the results in docs/scale.md from the limits, measurements and assumptions there.
func TestScale(t *testing.T) {
	t.Parallel()
	in, written := tables(t, "docs/scale.md")
	compare := func(row string, column int, want string) {
		if got := fmt.Sprint(at(written[row], column)); got != want {
			t.Errorf("docs/scale.md: %q is %s in column %d, and not %s", row, got, column+1, want)
		}
	}
	// What an upload takes, with the ten plays beside it that all loads have.
	perUpload := map[string]float64{
		"API Gateway":                 takes(in, load{0, 1, 10}).requests,
		"Lambda":                      takes(in, load{0, 1, 10}).instances + in("event_s")/in("event_batch"),
		"connections":                 takes(in, load{0, 1, 10}).instances + in("event_s")/in("event_batch"),
		"Postgres, one writer":        in("open_ms")/1000 + in("confirm_ms")/1000 + 10*in("play_ms")/1000,
		"Postgres, plays on replicas": in("open_ms")/1000 + in("confirm_ms")/1000,
		"Postgres, its log":           in("wal_upload") / 1e6,
		"S3, one range":               1,
		"S3, 256 ranges":              1.0 / 256,
		"SQS, in flight":              in("event_s"),
		"The sweep":                   in("deleted"),
		"Postgres, notifications":     in("flush_ms"),
		"EventBridge":                 1,
	}
	for part, each := range perUpload {
		limit, err := strconv.Atoi(strings.ReplaceAll(at(written[part], 0), ",", ""))
		if err != nil {
			t.Errorf("docs/scale.md: limit of %s: %v", part, err)
			continue
		}
		compare(part, 1, rounded(float64(limit)/each))
	}
	for i, l := range loads {
		of := takes(in, l)
		for row, value := range map[string]float64{
			"requests to the API a second":                 of.requests,
			"instances of presign-upload":                  of.instances,
			"instances of object-created":                  of.eventCalls * in("event_s"),
			"seconds until Lambda has so many":             (of.instances + of.eventCalls*in("event_s")) / in("lambda_scale"),
			"connections to Postgres":                      of.instances + of.eventCalls*in("event_s"),
			"cores of Postgres for writes":                 l.uploads * (in("open_ms") + in("confirm_ms")) / 1000,
			"cores of Postgres for plays":                  l.plays * in("play_ms") / 1000,
			"MB a second of Postgres' log":                 l.uploads * in("wal_upload") / 1e6,
			"GB of tracks and track_migrations":            l.tracks * (in("row_track") + in("row_migration")) / 1e9,
			"GB of track_uploads, kept 90 days":            l.tracks * in("uploads") * 3 * in("row_upload") / 1e9,
			"GB of track_events, kept 7 days":              l.tracks * in("uploads") * 7 / 30 * in("row_event") / 1e9,
			"messages of SQS in flight":                    l.uploads * in("event_s"),
			"ranges of S3 for writes":                      math.Ceil(l.uploads / in("s3_put")),
			"ranges of S3 for reads":                       math.Ceil((2*l.uploads + l.plays*(1-in("hits"))) / in("s3_get")),
			"tracks a second that the state machine moves": in("workers") * in("move_mb") / in("track_mb"),
			"state transitions a second of it":             in("workers") * in("move_mb") / in("track_mb") / in("batch") * 5,
			"days until all tracks are moved":              l.tracks * in("track_mb") / in("workers") / in("move_mb") / 86400,
		} {
			compare(row, i, rounded(value))
		}
	}
	for keys, taken := range simulated(in("split_minutes"), in("s3_put"), 10_000) {
		for i, value := range taken {
			var said float64
			if _, err := fmt.Sscan(strings.ReplaceAll(at(written[keys], i), ",", ""), &said); err != nil || math.Abs(said-value) > value/20 {
				t.Errorf("docs/scale.md: of %q S3 takes %.0f writes a second, and not %s", keys, value, at(written[keys], i))
			}
		}
	}
	for name, bytes := range measured(t) {
		if said := in(name); math.Abs(said-bytes) > bytes/5 {
			t.Errorf("docs/scale.md: %s is %.0f bytes, and not %.0f", name, bytes, said)
		}
	}
}

// taken is what a load takes of what answers requests.
type taken struct{ requests, instances, eventCalls float64 }

func takes(in func(string) float64, l load) taken {
	requests := l.uploads*in("upload_requests") + l.plays
	return taken{requests, requests * in("request_s"), l.uploads / min(in("event_batch"), l.uploads)}
}

// rounded has two digits that count, as estimates do.
func rounded(value float64) string {
	if value < 10 {
		return fmt.Sprintf("%.2g", value)
	}
	unit := math.Pow(10, math.Floor(math.Log10(value))-1)
	return humanize.Comma(int64(math.Round(value/unit) * unit))
}

// simulated returns how many of so many writes a second S3 takes at once, after half an hour and after two. A range of
// keys takes most writes a second; what was over that for some minutes is split where half of its keys are on each side.
func simulated(splitMinutes, most, offered float64) map[string][3]float64 {
	const perMinute = 2000 // keys that stand for those of a minute
	base := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	moment := func(minute int) uint64 { return uint64(base + int64(minute)*60_000 + rand.Int64N(60_000)) }
	// Of 10^9 tracks, so many are moved in a minute; a position is an id's first 64 bits.
	step := offered * 60 / 1e9
	walk := func(ranges int) func(int) uint64 {
		return func(minute int) uint64 {
			start := float64(rand.IntN(ranges)) / float64(ranges)
			at := start + (float64(minute)+rand.Float64())*step/float64(ranges)
			return uint64(at * math.MaxUint64)
		}
	}
	kinds := map[string]func(minute int) uint64{
		"uploads, ids in the order of time": func(minute int) uint64 {
			id := track.NewID()
			binary.BigEndian.PutUint64(id[:8], moment(minute)<<16|uint64(binary.BigEndian.Uint16(id[6:8])))
			return binary.BigEndian.Uint64(id[:8])
		},
		"uploads, as they are": func(minute int) uint64 {
			id := track.NewTrackID()
			ms := moment(minute)
			return uint64(id[0])<<56 | ms>>8<<16 | uint64(id[6])<<8 | uint64(id[7])
		},
		"moves, from one start":      walk(1),
		"moves, from sixteen starts": walk(16),
	}
	result := map[string][3]float64{}
	for name, key := range kinds {
		result[name] = splitting(key, perMinute, splitMinutes, most, offered)
	}
	return result
}

// splitting simulates the writes of one kind of keys.
func splitting(key func(minute int) uint64, perMinute int, splitMinutes, most, offered float64) (taken [3]float64) {
	bounds := []uint64{math.MaxUint64} // the last key of each range
	hot := map[uint64][]uint64{}       // the keys of ranges that have too many, by their bound
	minutes := map[uint64]float64{}    // how long they have had
	for minute := 0; minute <= 120; minute++ {
		of := map[uint64][]uint64{}
		for range perMinute {
			k := key(minute)
			i, _ := slices.BinarySearch(bounds, k)
			of[bounds[i]] = append(of[bounds[i]], k)
		}
		sum := 0.0
		for bound, keys := range of {
			rate := offered * float64(len(keys)) / float64(perMinute)
			sum += min(rate, most)
			if rate <= most {
				delete(hot, bound)
				delete(minutes, bound)
				continue
			}
			hot[bound] = append(hot[bound], keys...)
			if minutes[bound]++; minutes[bound] < splitMinutes {
				continue
			}
			slices.Sort(hot[bound])
			bounds = append(bounds, hot[bound][len(hot[bound])/2])
			delete(hot, bound)
			delete(minutes, bound)
		}
		slices.Sort(bounds)
		bounds = slices.Compact(bounds)
		for i, when := range []int{0, 30, 120} {
			if minute == when {
				taken[i] = sum
			}
		}
	}
	return taken
}

// measured returns what rows take in a real table, with their share of its indexes, in bytes; and what an upload leaves
// in Postgres' log.
func measured(t *testing.T) map[string]float64 {
	t.Helper()
	s := stores.Set{T: t, URL: testenv.Postgres(t)}
	var err error
	if s.Store, err = pgstore.Open(t.Context(), s.URL, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Store.Close)
	if s.DB, err = pgxpool.New(t.Context(), s.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.DB.Close)
	const rows = 20_000
	s.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, file_size, format, content_type, storage_backend, storage_key, storage_version_id, storage_bucket)
		SELECT id, gen_random_uuid(), 'A title of usual length ' || n, 'library/artist/album/' || n || ' - title.flac', 30000000, 'flac', 'audio/flac', 's3',
			'tracks/' || id || '/1-0123456789abcdef.flac', md5(n::text), 'a-bucket-of-tracks'
		FROM (SELECT n, gen_random_uuid() AS id FROM generate_series(1, $1::int) AS n OFFSET 0) AS ids WHERE set_config('trackstore.writer', 'on', true) = 'on'`, rows)
	s.Exec(`INSERT INTO track_migrations (track_id, direction, file_version, state, storage_key, size, crc64nvme, started_at, finished_at)
		SELECT id, 'to_s3', 1, 'migrated', storage_key, 30000000, '0123456789abcdef', now(), now() FROM tracks`)
	s.Exec(`INSERT INTO track_uploads (id, track_id, user_id, state, method, backend, storage_key, size, max_size, format, content_type, expires_at, finished_at, storage_version_id)
		SELECT upload, id, creator_id, 'stored', 'put', 's3', 'uploads/' || id || '/' || upload || '.flac', 30000000, 30000000, 'flac', 'audio/flac', now(), now(), md5(id::text)
		FROM (SELECT gen_random_uuid() AS upload, id, creator_id FROM tracks OFFSET 0) AS ids`)
	s.Exec(`INSERT INTO track_events (track_id, type, data) SELECT id, 'ready', to_jsonb(t) FROM tracks t`)
	result := map[string]float64{}
	for name, table := range map[string]string{"row_track": "tracks", "row_migration": "track_migrations", "row_upload": "track_uploads", "row_event": "track_events"} {
		var bytes float64
		s.Exec("VACUUM FULL " + pgx.Identifier{table}.Sanitize())
		if err := s.DB.QueryRow(t.Context(), "SELECT pg_total_relation_size($1::text::regclass)", table).Scan(&bytes); err != nil {
			t.Fatal(err)
		}
		result[name] = bytes / rows
	}
	written := func() (n float64) {
		if err := s.DB.QueryRow(t.Context(), "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := written()
	const uploads = 400
	for range uploads / 100 {
		var found []track.Finding
		for range 100 {
			u := s.Ticket(track.ID{}, track.S3)
			found = append(found, track.Finding{UploadID: u.ID, VersionID: "a version", Bucket: "a-bucket-of-tracks", Size: 1000, Format: track.WAV})
		}
		if settled, err := s.Store.SettleUploads(t.Context(), found, false); err != nil || len(settled.Settled) != 100 {
			t.Fatal(len(settled.Settled), err)
		}
	}
	result["wal_upload"] = (written() - before) / uploads
	return result
}
