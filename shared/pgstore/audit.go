package pgstore

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Recorded is that of migrate.Records.
func (s *Store) Recorded(ctx context.Context, after track.ID) iter.Seq2[track.Copies, error] {
	return s.copies(ctx, after, listing{op: "list tracks on S3", sql: s.sql("recorded_objects")})
}

// Stored is that of migrate.Uses.
func (s *Store) Stored(ctx context.Context) iter.Seq2[track.Copies, error] {
	return s.copies(ctx, track.ID{}, listing{op: "list tracks", sql: s.sql("tracks_with_bytes")})
}

// Record is that of migrate.Records.
func (s *Store) Record(ctx context.Context, c track.Copies, digest track.Digest) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("record_checksum"), c.TrackID, c.Key(), digest.Size, digest.Hex())
		return err
	})
	return s.failure("record a checksum", err)
}

// Names is that of migrate.Records.
func (s *Store) Names(ctx context.Context, c track.Copies) (names bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("still_names"), c.TrackID, c.FileVersion, c.FilePath, c.Key()).Scan(&names)
	})
	return names, s.failure("see what a track's row names", err)
}

// UseOf is that of migrate.Uses.
func (s *Store) UseOf(ctx context.Context, backend string, names ...string) (track.Use, error) {
	var use track.Use
	var since *time.Time
	sql := s.sql("use_of_object")
	if backend == track.Local {
		sql = s.sql("use_of_file")
	}
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, sql, asText(names), trackOf(names[0])).Scan(
			&use.Named, &use.Pending, &use.Leased, &use.TrackID, &since, &use.Reason)
	})
	if since != nil {
		use.Since = *since
	}
	return use, s.failure("see what "+names[0]+" is for", err)
}

// asText leaves out what is no text: a file may have such a name, no row can.
func asText(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !utf8.ValidString(name) })
}

// Named is that of migrate.Uses.
func (s *Store) Named(ctx context.Context, backend string, names []string) (map[string]bool, error) {
	names = asText(names)
	named := make(map[string]bool, len(names))
	if backend == track.Local {
		return named, s.noteNamed(ctx, named, s.sql("named_files"), names)
	}
	var ids []string
	for _, key := range names {
		if id := trackOf(key); !id.IsZero() {
			ids = append(ids, id.String())
		}
	}
	if err := s.noteNamed(ctx, named, s.sql("named_objects"), names, ids); err != nil {
		return named, err
	}
	// A platform may have copied rows. There are few such keys, so that this look can afford the index on keys.
	others := slices.DeleteFunc(names, func(key string) bool { return named[key] })
	if len(others) == 0 {
		return named, nil
	}
	return named, s.noteNamed(ctx, named, s.sql("named_objects"), others, nil)
}

// noteNamed adds the names that a statement answers with.
func (s *Store) noteNamed(ctx context.Context, named map[string]bool, sql string, args ...any) error {
	err := retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, sql, append([]any{s.freshPlan()}, args...)...)
		if err != nil {
			return err
		}
		var name string
		_, err = pgx.ForEachRow(rows, []any{&name}, func() error { named[name] = true; return nil })
		return err
	})
	return s.failure("see which bytes tracks name", err)
}

// LeftPaths is that of migrate.Uses.
func (s *Store) LeftPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error] {
	return s.paths(ctx, s.sql("left_paths"), grace)
}

// trackOf returns the track whose id a key holds, or the nil UUID.
func trackOf(key string) track.ID {
	parts := strings.Split(key, "/")
	if len(parts) < 3 {
		return track.ID{}
	}
	id, err := track.ParseID(parts[1])
	if err != nil {
		return track.ID{}
	}
	return id
}

// Repin is that of migrate.Repairs.
func (s *Store) Repin(ctx context.Context, c track.Copies, bucket, versionID string) (repinned bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("repin_object"), c.TrackID, c.FileVersion, c.Key(), c.Object.VersionID, versionID, bucket).Scan(&repinned)
	})
	return repinned, s.failure("pin an object of track "+c.TrackID.String(), err)
}
