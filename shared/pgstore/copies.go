package pgstore

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// copiesRow is a row of track, file version, path, whether that is marked for removal, key,
// object version, bucket, recorded size, recorded checksum and the time of the record. The last
// six may be NULL.
type copiesRow struct {
	trackID     track.ID
	fileVersion int64
	filePath    string
	purged      bool
	key         *string
	versionID   *string
	bucket      *string
	size        *int64
	checksum    *string
	recordedAt  *time.Time
}

// targets are for Scan.
func (r *copiesRow) targets() []any {
	return []any{&r.trackID, &r.fileVersion, &r.filePath, &r.purged, &r.key, &r.versionID, &r.bucket, &r.size, &r.checksum, &r.recordedAt}
}

func (r *copiesRow) copies() (track.Copies, error) {
	c := track.Copies{TrackID: r.trackID, FileVersion: r.fileVersion, FilePath: r.filePath, Purged: r.purged}
	if r.key == nil {
		return c, nil
	}
	c.Object = &track.StoredObject{Key: *r.key}
	c.Object.VersionID, c.Object.Bucket, c.Object.RecordedAt = orEmpty(r.versionID), orEmpty(r.bucket), orEmpty(r.recordedAt)
	if r.size == nil || r.checksum == nil {
		return c, nil
	}
	digest, err := track.ParseDigest(*r.size, *r.checksum)
	c.Object.Digest = &digest
	return c, err
}

// orEmpty returns the value of what may be NULL.
func orEmpty[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// copies yields the rows of a statement that answers with rows of copiesRow.
func (s *Store) copies(ctx context.Context, op, sql string, args ...any) iter.Seq2[track.Copies, error] {
	return list(ctx, s, listing{op, sql, args}, func(row pgx.CollectableRow) (track.Copies, error) {
		var r copiesRow
		if err := row.Scan(r.targets()...); err != nil {
			return track.Copies{}, err
		}
		return r.copies()
	})
}

// paths yields rows of a path.
func (s *Store) paths(ctx context.Context, sql string, args ...any) iter.Seq2[string, error] {
	return list(ctx, s, listing{"list files", sql, args}, pgx.RowTo[string])
}

// listing is a statement whose rows are read as they come.
type listing struct {
	op   string // for errors
	sql  string
	args []any
}

// list yields the rows of a listing. It ends after an error.
func list[T any](ctx context.Context, s *Store, l listing, scan pgx.RowToFunc[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := s.pool.Query(ctx, l.sql, append([]any{s.freshPlan()}, l.args...)...)
		if err != nil {
			yield(none, s.failure(l.op, err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			value, err := scan(rows)
			if !yield(value, s.failure(l.op, err)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, s.failure(l.op, err))
		}
	}
}
