package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"trackstore/shared/track"
)

// lookedAt says what was looked at after a position: so many rows, at most limit, up to the position last.
func lookedAt(after string, looked, limit int, last string) track.LookedAt {
	if looked == 0 {
		last = after
	}
	return track.LookedAt{Rows: looked, Last: last, IsEnd: looked < limit}
}

// DeletedBytes looks at up to limit tracks that were deleted longer than grace ago, from a position on, and returns what
// those leave that are not noted yet: the object and the file that the row names, and its folders, for whatever else is in
// them. Once noted, those of the folders tell for ever that the track was looked at.
func (s *Store) DeletedBytes(ctx context.Context, grace time.Duration, after string, limit int) ([]track.Discard, track.LookedAt, error) {
	var (
		looked int
		last   string
		text   []byte
		rows   []removal
	)
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, limited(s.sql("deleted_bytes"), limit), grace, after).Scan(&looked, &last, &text)
	})
	if err == nil {
		err = json.Unmarshal(text, &rows)
	}
	left := make([]track.Discard, len(rows))
	for i, r := range rows {
		left[i] = track.Discard{TrackID: r.TrackID, Backend: r.Backend, Key: r.Key, Reason: r.Reason, DiscardedAt: r.DiscardedAt, Bucket: r.Bucket}
	}
	return left, lookedAt(after, looked, limit, last), s.failure("deleted tracks", err)
}

// SettleNewTracks looks at up to limit uploads that came to nothing longer than age ago, from a position on, for tracks that
// never got a file. It fails those that still wait, and marks those as deleted that nothing was opened for, or sent to, for
// longer than grace. It returns the number of either. One that the platform's table refuses holds up no other: the error joins
// what it says of each, and the others were looked at all the same.
func (s *Store) SettleNewTracks(ctx context.Context, grace, age time.Duration, after string, limit int) (failed, deleted int64, of track.LookedAt, err error) {
	var (
		looked             int
		last               string
		waiting, abandoned []track.ID
	)
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, limited(s.sql("new_tracks"), limit), grace, after, age).Scan(&looked, &last, &waiting, &abandoned)
	})
	if err != nil {
		return 0, 0, track.LookedAt{}, s.failure("new tracks that nothing comes for", err)
	}
	failed, err = eachRefusable(ctx, waiting, "track of upload", func(some []track.ID) (int64, error) {
		tag, err := s.pool.Exec(ctx, s.sql("fail_new_tracks"), texts(some))
		return tag.RowsAffected(), err
	})
	deleted, problem := eachRefusable(ctx, abandoned, "track", func(some []track.ID) (n int64, err error) {
		// One transaction: nobody opens an upload for these tracks between the look and the mark.
		var batch pgx.Batch
		batch.Queue(s.sql("lock_owners"), texts(some))
		batch.Queue(s.sql("delete_new_tracks"), grace, texts(some)).Exec(func(tag pgconn.CommandTag) error {
			n = tag.RowsAffected()
			return nil
		})
		return n, s.pool.SendBatch(ctx, &batch).Close()
	})
	return failed, deleted, lookedAt(after, looked, limit, last), s.failure("new tracks that nothing comes for", errors.Join(err, problem))
}

// eachRefusable changes rows by a statement that may be refused for one of them, and returns how many were changed.
func eachRefusable(ctx context.Context, ids []track.ID, what string, change func(some []track.ID) (int64, error)) (n int64, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	refusals, err := apart(ids, func(some []track.ID) error {
		return retry(ctx, func() error {
			changed, err := change(some)
			n += changed
			return err
		})
	})
	for _, r := range refusals {
		err = errors.Join(err, fmt.Errorf("%s %s: %w", what, r.item, r.err))
	}
	return n, err
}
