package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// uploadColumns are what scanUpload reads.
const uploadColumns = `id, seq, track_id, user_id, state, coalesce(reason, ''), method, backend, storage_key,
	coalesce(multipart_id, ''), coalesce(part_size, 0), coalesce(size, 0), max_size, format, content_type,
	coalesce(checksum_algorithm, ''), coalesce(checksum_value, ''), created_at, expires_at`

func scanUpload(row pgx.Row) (track.Upload, error) {
	var u track.Upload
	var sum track.Checksum
	err := row.Scan(&u.ID, &u.Seq, &u.TrackID, &u.UserID, &u.State, &u.Reason, &u.Method, &u.Backend, &u.Key,
		&u.MultipartID, &u.PartSize, &u.Size, &u.MaxSize, &u.Format, &u.ContentType,
		&sum.Algorithm, &sum.Value, &u.CreatedAt, &u.ExpiresAt)
	if sum.Algorithm != "" {
		u.Checksum = &sum
	}
	return u, err
}

// The limit on open uploads and the idempotency key hold because whoever opens an upload
// has the user's lock, in a statement before the one that looks: its snapshot is then
// taken when all others are done. For these next statements it takes from the planner what
// openUpload says.
const lockUser = `
SELECT pg_advisory_xact_lock(hashtextextended('track_uploads ' || $1::text, 0)),
	set_config('enable_sort', 'off', true)`

// A key lives as long as its upload, and no longer than the track. One that is overdue keeps
// its state, for its bytes may have come: it is for the sweep to look.
const releaseKey = `
UPDATE track_uploads u SET idempotency_key = NULL, request_hash = NULL
WHERE user_id = $1 AND idempotency_key = $2
	AND (state IN ('failed', 'expired', 'aborted') OR state = 'pending' AND expires_at <= now()
		OR NOT EXISTS (SELECT FROM tracks t WHERE t.id = u.track_id AND t.deleted_at IS NULL))`

// The open uploads are counted in the order of the index of a user's own, which no other
// gives without a sort: a plan from before the table grew would read everybody's.
const openUpload = `
WITH prior AS (
	SELECT id, request_hash FROM track_uploads WHERE user_id = $1 AND idempotency_key = $2
), verdict AS (
	SELECT CASE
		WHEN EXISTS (SELECT FROM prior WHERE request_hash = $3) THEN 'again'
		WHEN EXISTS (SELECT FROM prior) THEN 'conflict'
		WHEN $4::text IS NULL AND NOT EXISTS (
			SELECT FROM tracks WHERE id = $5 AND creator_id = $1 AND deleted_at IS NULL
		) THEN 'no track'
		WHEN $6 <= (
			SELECT count(*) FROM (
				SELECT FROM track_uploads
				WHERE state = 'pending' AND (user_id, expires_at) > ($1, now()) AND (user_id, expires_at) <= ($1, 'infinity')
				ORDER BY user_id, expires_at LIMIT $6
			) AS open
		) THEN 'too many'
		ELSE 'opened'
	END AS verdict
), new_track AS (
	INSERT INTO tracks (id, creator_id, title, file_path, status)
	SELECT $5, $1, $4, '', 'uploading' FROM verdict WHERE verdict = 'opened' AND $4::text IS NOT NULL
), opened AS (
	INSERT INTO track_uploads (id, track_id, user_id, method, backend, storage_key, part_size, size, max_size,
		format, content_type, checksum_algorithm, checksum_value, idempotency_key, request_hash, expires_at)
	SELECT $7, $5, $1, $8, $9, $10, nullif($11::bigint, 0), nullif($12::bigint, 0), $13,
		$14, $15, $16, $17, $2, $3, now() + $18::interval
	FROM verdict WHERE verdict = 'opened'
	RETURNING id, seq, created_at, expires_at
)
SELECT verdict, coalesce(opened.id, prior.id), coalesce(seq, 0),
	coalesce(created_at, now()), coalesce(expires_at, now())
FROM verdict LEFT JOIN opened ON true LEFT JOIN prior ON true`

// OpenUpload enters a ticket, and with it its track where that is new, in one round trip
// and one transaction. A ticket with an idempotency key that the user has used for the
// same request before returns that upload as it now is.
//
// Errors: track.ErrTooManyPending; track.ErrIdempotencyConflict; track.ErrNotFound where
// the track is not there, deleted, or somebody else's. After track.ErrUnavailable the
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
		batch.Queue(lockUser, t.UserID)
		if key != nil {
			batch.Queue(releaseKey, t.UserID, key)
		}
		batch.Queue(openUpload, t.UserID, key, t.RequestHash, orNull(t.Title), t.TrackID, t.MaxPending,
			t.ID, t.Method, t.Backend, t.Key, t.PartSize, t.Size, t.MaxSize,
			t.Format, t.ContentType, orNull(string(sum.Algorithm)), orNull(sum.Value), t.Life,
		).QueryRow(func(row pgx.Row) error {
			return row.Scan(&verdict, &found, &u.Seq, &u.CreatedAt, &u.ExpiresAt)
		})
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return track.Upload{}, s.failure("open an upload", err)
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

// PendingUploads returns a user's open uploads, those that end first, first.
func (s *Store) PendingUploads(ctx context.Context, user track.ID) ([]track.ID, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id FROM track_uploads
		WHERE user_id = $1 AND state = 'pending' AND expires_at > now() ORDER BY expires_at`, user)
	if err != nil {
		return nil, s.failure("open uploads", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[track.ID])
	return ids, s.failure("open uploads", err)
}

// BeginMultipart records the backend's id of a multipart upload, unless there is one, and
// returns the id that holds. track.ErrNotFound: the upload is not pending any more.
func (s *Store) BeginMultipart(ctx context.Context, id track.ID, multipartID string) (string, error) {
	var held string
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			UPDATE track_uploads SET multipart_id = coalesce(multipart_id, $2)
			WHERE id = $1 AND state = 'pending' RETURNING multipart_id`, id, multipartID).Scan(&held)
	})
	return held, s.failure("begin upload "+id.String(), err)
}

// The discard is written by the statement that gives the bytes up. A PUT that is under
// way may still land: the sweep removes the key after the grace period.
const abortUpload = `
WITH aborted AS (
	UPDATE track_uploads SET state = 'aborted', finished_at = now()
	WHERE id = ANY ($1::text[]::uuid[]) AND user_id = $2 AND state = 'pending' AND ($3 OR multipart_id IS NULL)
	RETURNING *
), discarded AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason)
	SELECT track_id, backend, storage_key, 'aborted' FROM aborted
	ON CONFLICT DO NOTHING
)
SELECT ` + uploadColumns + ` FROM aborted`

// A new track whose last open ticket was given up would otherwise count as uploading for
// ever. Another file for the track makes it ready all the same.
//
// Two that give up the last two tickets see each other's still open, until one has
// committed: so they queue for the track, and look in a statement of its own, whose
// snapshot is taken after the wait. The tickets were locked before, as by settleUploads.
const (
	lockNewTracks = `
SELECT FROM tracks t
WHERE t.id IN (SELECT track_id FROM track_uploads WHERE id = ANY ($1::text[]::uuid[])) AND t.status::text = 'uploading'
ORDER BY t.id FOR NO KEY UPDATE`

	failNewTracks = `
UPDATE tracks t SET status = 'failed', updated_at = now()
WHERE t.id IN (SELECT track_id FROM track_uploads WHERE id = ANY ($1::text[]::uuid[]))
	AND t.status::text = 'uploading' AND t.storage_backend = 'local' AND coalesce(t.file_path, '') = ''
	AND NOT EXISTS (SELECT FROM track_uploads u WHERE u.track_id = t.id AND u.state = 'pending')`
)

// giveUp runs a statement that gives up uploads among ids, its first argument, and returns
// them; it fails the new tracks that nothing comes for any more. All of it is one
// transaction, and one round trip.
func (s *Store) giveUp(ctx context.Context, statement string, ids []track.ID, args ...any) (givenUp []track.Upload, err error) {
	err = retry(ctx, func() error {
		var batch pgx.Batch
		batch.Queue(statement, append([]any{texts(ids)}, args...)...).Query(func(rows pgx.Rows) (err error) {
			givenUp, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (track.Upload, error) { return scanUpload(row) })
			return err
		})
		batch.Queue(lockNewTracks, texts(ids))
		batch.Queue(failNewTracks, texts(ids))
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	return givenUp, err
}

// AbortUpload gives up a pending upload, and returns the upload as it then is: in any
// state but pending. track.ErrNotFound: the user has no such upload.
func (s *Store) AbortUpload(ctx context.Context, user, id track.ID) (track.Upload, error) {
	u, err := s.abort(ctx, user, id, true)
	if errors.Is(err, track.ErrNotFound) {
		// It was settled before, perhaps while this statement waited for its row: states
		// other than pending are final, so what is read now holds.
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
	aborted, err := s.giveUp(ctx, abortUpload, []track.ID{id}, user, begun)
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
