package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// scanUpload reads the upload_columns, and what stands behind them.
func scanUpload(row pgx.Row, more ...any) (track.Upload, error) {
	var u track.Upload
	var sum, sent track.Checksum
	err := row.Scan(append([]any{&u.ID, &u.Seq, &u.TrackID, &u.UserID, &u.State, &u.Reason, &u.Detail, &u.Method, &u.Backend, &u.Key,
		&u.MultipartID, &u.PartSize, &u.Size, &u.MaxSize, &u.Format, &u.ContentType,
		&sum.Algorithm, &sum.Value, &sent.Algorithm, &sent.Value, &u.VersionID, &u.CreatedAt, &u.ExpiresAt, &u.FinishedAt}, more...)...)
	if sum.Algorithm != "" {
		u.Checksum = &sum
	}
	if sent.Algorithm != "" {
		u.SentChecksum = &sent
	}
	return u, err
}

// OpenUpload enters a ticket, and with it its track where that is new, in one round trip
// and one transaction. A ticket with an idempotency key that the user has used for the
// same request before returns that upload as it now is.
//
// Errors: track.ErrTooManyPending; track.ErrIdempotencyConflict; track.ErrNotFound where
// the track is not there, deleted, or somebody else's; track.ErrRefused where the platform's
// table does not take the new track. After track.ErrUnavailable the
// upload may be open: the same key finds it.
func (s *Store) OpenUpload(ctx context.Context, t track.Ticket) (track.Upload, error) {
	var (
		verdict string
		found   track.ID
		key     = orNull(t.IdempotencyKey)
		sum     track.Checksum
		u       = t.Upload
	)
	if t.Checksum != nil {
		sum = *t.Checksum
	}
	err := retry(ctx, func() error {
		// All statements of a batch up to its end are one transaction.
		var batch pgx.Batch
		batch.Queue(s.sql("lock_user"), t.UserID)
		if key != nil {
			batch.Queue(s.sql("release_key"), t.UserID, key)
		}
		batch.Queue(s.sql("open_upload"), t.UserID, key, t.RequestHash, orNull(t.Title), t.TrackID, t.MaxPending,
			t.ID, t.Method, t.Backend, t.Key, t.PartSize, t.Size, t.MaxSize,
			t.Format, t.ContentType, orNull(string(sum.Algorithm)), orNull(sum.Value), t.Life,
		).QueryRow(func(row pgx.Row) error {
			return row.Scan(&verdict, &found, &u.Seq, &u.CreatedAt, &u.ExpiresAt)
		})
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return track.Upload{}, s.refusable("open an upload", err)
	}
	switch verdict {
	case "opened":
		u.State = track.UploadPending
		return u, nil
	case "again":
		return s.Upload(ctx, t.UserID, found)
	case "conflict":
		return track.Upload{}, track.ErrIdempotencyConflict
	case "too many":
		return track.Upload{}, track.ErrTooManyPending
	}
	return track.Upload{}, fmt.Errorf("track %s: %w", t.TrackID, track.ErrNotFound)
}

// Upload returns one upload of a user's; track.ErrNotFound also for somebody else's.
func (s *Store) Upload(ctx context.Context, user, id track.ID) (track.Upload, error) {
	var u track.Upload
	err := retry(ctx, func() (err error) {
		u, err = scanUpload(s.pool.QueryRow(ctx, s.sql("upload"), id, user))
		return err
	})
	return u, s.failure("upload "+id.String(), err)
}

// UserUploads returns a page of a user's uploads, newest first.
func (s *Store) UserUploads(ctx context.Context, user track.ID, page track.UploadPage) (uploads []track.Upload, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("user_uploads"), user, page.State, page.After, page.Limit)
		if err != nil {
			return err
		}
		uploads, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (track.Upload, error) { return scanUpload(row) })
		return err
	})
	return uploads, s.failure("uploads of a user", err)
}

// UploadsToLookAt returns the oldest of a user's open uploads whose bytes nobody has looked
// for in the last rest, at most limit, and counts them as looked for. others: somebody else
// is looking at some just now. After track.ErrUnavailable they may count so though nobody
// looks: they come again after another rest.
func (s *Store) UploadsToLookAt(ctx context.Context, user track.ID, rest time.Duration, limit int) (ids []track.ID, others bool, err error) {
	var found []string
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("uploads_to_look_at"), user, rest, limit).Scan(&found, &others)
	})
	if err != nil {
		return nil, false, s.failure("open uploads", err)
	}
	ids = make([]track.ID, len(found))
	for i, text := range found {
		if ids[i], err = track.ParseID(text); err != nil {
			return nil, false, err
		}
	}
	return ids, others, nil
}

// NameChecksum notes the checksum that a user names once a file is sent: the bytes of an
// upload that is not settled must have it. It may be repeated; the last one counts.
func (s *Store) NameChecksum(ctx context.Context, user, id track.ID, sum track.Checksum) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("name_checksum"), id, user, sum.Algorithm, sum.Value)
		return err
	})
	return s.failure("name the checksum of upload "+id.String(), err)
}

// BeginMultipart records the backend's id of a multipart upload, unless there is one, and
// returns the id that holds. track.ErrNotFound: the upload is not pending any more.
func (s *Store) BeginMultipart(ctx context.Context, id track.ID, multipartID string) (string, error) {
	var held string
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("begin_multipart"), id, multipartID).Scan(&held)
	})
	return held, s.failure("begin upload "+id.String(), err)
}

// giveUp runs a statement that gives up uploads among ids, its first argument, and returns
// them; then it fails the new tracks that nothing comes for any more.
func (s *Store) giveUp(ctx context.Context, statement string, ids []track.ID, args ...any) (givenUp []track.Upload, err error) {
	err = retry(ctx, func() error {
		givenUp, err = collectUploads(s.pool.Query(ctx, statement, append([]any{texts(ids)}, args...)...))
		return err
	})
	if err == nil && len(givenUp) > 0 {
		s.failNewTracks(ctx, givenUp)
	}
	return givenUp, err
}

// failNewTracks fails the new tracks of uploads for which nothing is open any more. The uploads
// are given up whatever becomes of this: where it fails, the sweep does it (SettleNewTracks), and
// tells.
func (s *Store) failNewTracks(ctx context.Context, uploads []track.Upload) {
	ids := make([]track.ID, len(uploads))
	for i, u := range uploads {
		ids[i] = u.ID
	}
	_ = retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("fail_new_tracks"), texts(ids))
		return err
	})
}

// AbortUpload gives up an open upload, also an expired one, and returns the upload as it then
// is: stored, failed or aborted. track.ErrNotFound: the user has no such upload.
func (s *Store) AbortUpload(ctx context.Context, user, id track.ID) (track.Upload, error) {
	u, err := s.abort(ctx, user, id, true)
	if errors.Is(err, track.ErrNotFound) {
		// It was settled before, perhaps while this statement waited for its row: that is
		// final, so what is read now holds.
		return s.Upload(ctx, user, id)
	}
	return u, err
}

// AbortUnbegun gives up a pending multipart upload that has no backend's id yet; others
// it leaves alone, with track.ErrNotFound.
func (s *Store) AbortUnbegun(ctx context.Context, user, id track.ID) error {
	_, err := s.abort(ctx, user, id, false)
	return err
}

func (s *Store) abort(ctx context.Context, user, id track.ID, begun bool) (track.Upload, error) {
	aborted, err := s.giveUp(ctx, s.sql("abort_upload"), []track.ID{id}, user, begun)
	if err == nil && len(aborted) == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return track.Upload{}, s.failure("abort upload "+id.String(), err)
	}
	return aborted[0], nil
}

// orNull makes the empty string NULL.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
