package pgstore

import (
	"context"
	"iter"
	"slices"
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

// copies yields the rows after an id of a statement that answers with pages of copiesRow.
func (s *Store) copies(ctx context.Context, after track.ID, l listing) iter.Seq2[track.Copies, error] {
	scan := func(row pgx.CollectableRow) (track.Copies, error) {
		var r copiesRow
		if err := row.Scan(r.targets()...); err != nil {
			return track.Copies{}, err
		}
		return r.copies()
	}
	return pages(ctx, s, l, after, scan, func(c track.Copies) track.ID { return c.TrackID })
}

// page is how many rows a statement of a long listing answers with.
const page = 1000

// pages yields the rows of a listing whose statement answers with a page of them, in the order of their ids; its last
// parameter is the id after which the page begins. Who walks through millions of rows may take hours: it holds neither
// a connection nor a snapshot meanwhile, behind which nothing could be vacuumed, and goes on after a failover. It ends
// after an error.
func pages[T any](ctx context.Context, s *Store, l listing, after track.ID, scan pgx.RowToFunc[T], idOf func(T) track.ID) iter.Seq2[T, error] {
	sql := limited(l.sql, page)
	return func(yield func(T, error) bool) {
		for after := after; ; {
			var values []T
			err := retry(ctx, func() error {
				rows, err := s.pool.Query(ctx, sql, slices.Concat([]any{s.freshPlan()}, l.args, []any{after})...)
				if err != nil {
					return err
				}
				values, err = pgx.CollectRows(rows, scan)
				return err
			})
			if err != nil {
				var none T
				yield(none, s.failure(l.op, err))
				return
			}
			for _, value := range values {
				if !yield(value, nil) {
					return
				}
			}
			if len(values) < page {
				return
			}
			after = idOf(values[page-1])
		}
	}
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
