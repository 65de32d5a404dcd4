package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"trackstore/shared/track"
)

// UnsettledUploads returns pending uploads, those that end first, first.
func (s *Store) UnsettledUploads(ctx context.Context, spec track.LookSpec) ([]track.Upload, error) {
	return s.looked(ctx, spec.DryRun, "pending uploads", "",
		s.sql("unsettled_uploads"), spec.After.ExpiresAt, spec.After.ID.String(), spec.Limit, spec.Since)
}

// LateUploads returns expired uploads whose grace is not over, the newest first.
func (s *Store) LateUploads(ctx context.Context, spec track.LookSpec) ([]track.Upload, error) {
	after, id := pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}, spec.After.ID
	if !id.IsZero() {
		after = pgtype.Timestamptz{Time: spec.After.FinishedAt, Valid: true}
	}
	return s.looked(ctx, spec.DryRun, "late uploads", s.sql("plan_in_order"), s.sql("late_uploads"), spec.Grace, after, id.String(), spec.Limit, spec.Since)
}

// looked returns the uploads that a statement notes as looked at. In the same transaction, one that says how to plan it comes
// before it; none where it is empty.
func (s *Store) looked(ctx context.Context, dryRun bool, op, plan, sql string, args ...any) (uploads []track.Upload, err error) {
	err = s.change(ctx, dryRun, func(db querier) error {
		var batch pgx.Batch
		if plan != "" {
			batch.Queue(plan)
		}
		batch.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
			uploads, err = collectUploads(rows, nil)
			return err
		})
		return db.SendBatch(ctx, &batch).Close()
	})
	return uploads, s.failure(op, err)
}

// ExpireUploads expires those of the uploads that are pending and overdue, and returns them.
func (s *Store) ExpireUploads(ctx context.Context, ids []track.ID) ([]track.Upload, error) {
	expired, err := s.giveUp(ctx, s.sql("expire_uploads"), ids)
	return expired, s.failure("expire uploads", err)
}

// UsedMultiparts returns the ids of those multipart uploads that somebody still sends
// parts to: a pending upload, or the live lease of a track whose file is being moved.
func (s *Store) UsedMultiparts(ctx context.Context, backend string, begun []track.Multipart) (used []string, err error) {
	keys, ids := make([]string, len(begun)), make([]string, len(begun))
	for i, m := range begun {
		keys[i], ids[i] = m.Key, m.ID
	}
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("used_multiparts"), backend, keys, ids)
		if err != nil {
			return err
		}
		used, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return used, s.failure("multipart uploads in use", err)
}

// DueDiscards returns up to limit discards of a backend whose grace is over and whose
// bytes are not known to be gone, the oldest first, from the one after "after" on.
func (s *Store) DueDiscards(ctx context.Context, backend string, grace time.Duration, after track.Discard, limit int) (due []track.Discard, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("due_discards"), backend, grace, after.DiscardedAt, after.ID, limit)
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(rows, pgx.RowToStructByPos[track.Discard])
		return err
	})
	return due, s.failure("due discards", err)
}

// NoteDiscards enters discards, those that are not there yet, and returns how many it did.
// A note of bytes that were gone before is of others, that had the same path. One that the
// database does not take, for the length of its path, holds up no other: the error joins what
// is said of each.
func (s *Store) NoteDiscards(ctx context.Context, discards []track.Discard) (n int64, err error) {
	refusals, err := apart(removals(discards, nil), func(some []removal) error {
		input, err := json.Marshal(some)
		if err != nil {
			return err
		}
		return retry(ctx, func() error {
			tag, err := s.pool.Exec(ctx, s.sql("note_discards"), string(input))
			n += tag.RowsAffected()
			return err
		})
	})
	for _, r := range refusals {
		err = errors.Join(err, fmt.Errorf("%s %.200q: %w", r.item.Backend, r.item.Key, r.err))
	}
	return n, s.failure("note discards", err)
}

// MayGo reports whether the bytes of a marked discard may be removed at this moment.
func (s *Store) MayGo(ctx context.Context, d track.Discard, grace time.Duration) (may bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("may_go"), d.ID, d.DiscardedAt, grace).Scan(&may)
	})
	return may, s.failure("look at a mark once more", err)
}

// MarkDiscards marks discards for removal, unless something names their bytes again, or a
// track that was deleted within grace does: then their notes are dropped. names has, for each
// discard, the other ways to write its path. It returns, for each discard that is still as it
// was, whether it is marked. A dry run returns the same and changes nothing.
func (s *Store) MarkDiscards(
	ctx context.Context, discards []track.Discard, names [][]string, grace time.Duration, dryRun bool,
) (marked map[int64]bool, err error) {
	input, err := json.Marshal(removals(discards, names))
	if err != nil {
		return nil, fmt.Errorf("mark discards: %w", err)
	}
	err = s.change(ctx, dryRun, func(db querier) error {
		marked = make(map[int64]bool)
		rows, err := db.Query(ctx, s.sql("mark_discards"), grace, string(input))
		if err != nil {
			return err
		}
		var id int64
		var isMarked bool
		_, err = pgx.ForEachRow(rows, []any{&id, &isMarked}, func() error {
			marked[id] = isMarked
			return nil
		})
		return err
	})
	return marked, s.failure("mark discards", err)
}

// DiscardsGone notes that the bytes of marked discards are removed. It leaves alone what
// was noted anew meanwhile.
func (s *Store) DiscardsGone(ctx context.Context, discards []track.Discard) error {
	input, err := json.Marshal(removals(discards, nil))
	if err != nil {
		return fmt.Errorf("discards gone: %w", err)
	}
	err = retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("discards_gone"), string(input))
		return err
	})
	return s.failure("discards gone", err)
}

// removal is a discard as the statements above read it.
type removal struct {
	ID          int64     `json:"id"`
	TrackID     track.ID  `json:"track_id"`
	Backend     string    `json:"backend"`
	Key         string    `json:"key"`
	Reason      string    `json:"reason"`
	DiscardedAt time.Time `json:"discarded_at"`
	Names       []string  `json:"names"`
	Bucket      string    `json:"bucket"`
	Needed      bool      `json:"needed"`
}

func removals(discards []track.Discard, names [][]string) []removal {
	all := make([]removal, len(discards))
	for i, d := range discards {
		all[i] = removal{d.ID, d.TrackID, d.Backend, d.Key, d.Reason, d.DiscardedAt, []string{d.Key}, d.Bucket, d.Needed}
		if names != nil {
			all[i].Names = append(all[i].Names, names[i]...)
		}
	}
	return all
}
