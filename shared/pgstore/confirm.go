package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// UploadsByKey returns the uploads that bear keys, whatever their state.
func (s *Store) UploadsByKey(ctx context.Context, keys []string) ([]track.Upload, error) {
	return s.uploads(ctx, "uploads by key", s.sql("uploads_by_key"), keys)
}

// UploadsByID returns the uploads of these ids, whoever they belong to.
func (s *Store) UploadsByID(ctx context.Context, ids []track.ID) ([]track.Upload, error) {
	return s.uploads(ctx, "uploads by id", s.sql("uploads_by_id"), texts(ids))
}

// uploads returns the uploads that a statement reads.
func (s *Store) uploads(ctx context.Context, op, sql string, args ...any) (uploads []track.Upload, err error) {
	err = retry(ctx, func() error {
		uploads, err = collectUploads(s.pool.Query(ctx, sql, args...))
		return err
	})
	return uploads, s.failure(op, err)
}

func collectUploads(rows pgx.Rows, err error) ([]track.Upload, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (track.Upload, error) { return scanUpload(row) })
}

// mostAttempts is how often an upload's file is offered to a platform's table that keeps its row
// as it was without saying why.
const mostAttempts = 5

// SettleUploads settles the open ones among the uploads that findings are of: stored, where
// the track is made to point at the bytes unless it has those of a later ticket; failed; or
// aborted, where the track is deleted or gone. An expired upload stays so where its removal has
// begun or a later file has overtaken it. It may be repeated: uploads that are settled stay as
// they are. A dry run returns the same and changes nothing.
//
// One whose track is locked is left, with track.ErrLocked. One whose file the platform's table
// refuses holds up no other: it fails; where the row stays as it was without an error, or is made
// something else by a trigger, it fails at the fifth attempt, and is left until then.
func (s *Store) SettleUploads(ctx context.Context, findings []track.Finding, dryRun bool) (track.Settlement, error) {
	done := track.Settlement{Refused: make(map[track.ID]error)}
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		locked, err := s.settleApart(ctx, findings, dryRun, &done)
		if err != nil {
			return done, s.failure("settle uploads", err)
		}
		// Most are locked for a moment, by a twin of this call or by an update of the platform's.
		if findings = locked; len(locked) == 0 || pause > time.Second || ctx.Err() != nil {
			break
		}
		time.Sleep(pause)
	}
	for _, f := range findings {
		done.Refused[f.UploadID] = track.ErrLocked
	}
	for id, why := range done.Refused {
		attempts := attemptsFor(why)
		if attempts == 0 {
			continue
		}
		failed, err := s.refuse(ctx, id, attempts, dryRun)
		if err != nil {
			return done, s.failure("refuse upload "+id.String(), err)
		}
		done.Settled = append(done.Settled, failed...)
	}
	return done, nil
}

// settleApart settles findings, notes in done what became of them, and returns those whose
// tracks are locked.
func (s *Store) settleApart(
	ctx context.Context, findings []track.Finding, dryRun bool, done *track.Settlement,
) (locked []track.Finding, err error) {
	why := make(map[track.ID]error)
	refusals, err := apart(findings, func(some []track.Finding) error {
		settled, left, err := s.settle(ctx, some, dryRun)
		done.Settled = append(done.Settled, settled...)
		for _, l := range left {
			why[l.upload.ID] = s.whyLeft(ctx, l)
		}
		return err
	})
	for _, r := range refusals {
		done.Refused[r.item.UploadID] = r.err
	}
	for _, f := range findings {
		switch err := why[f.UploadID]; {
		case errors.Is(err, track.ErrLocked):
			locked = append(locked, f)
		case err != nil:
			done.Refused[f.UploadID] = err
		}
	}
	return locked, err
}

// attemptsFor is how many attempts an upload has that is refused for this; 0: any number, for
// that is not the upload's fault.
func attemptsFor(why error) int {
	var refused *track.RefusedError
	switch {
	case !errors.As(why, &refused):
		return 0
	case isAnAttempt(refused):
		return mostAttempts
	}
	return 1
}

// leftUpload is an upload that settle_uploads had to leave, and its word for why.
type leftUpload struct {
	upload track.Upload
	why    string
}

func (s *Store) settle(ctx context.Context, findings []track.Finding, dryRun bool) (settled []track.Upload, left []leftUpload, err error) {
	type finding struct {
		ID          track.ID `json:"id"`
		Reason      *string  `json:"reason"`
		Detail      *string  `json:"detail"`
		VersionID   *string  `json:"version_id"`
		Bucket      *string  `json:"bucket"`
		Size        int64    `json:"size"`
		Format      string   `json:"format"`
		ContentType string   `json:"content_type"`
	}
	input := make([]finding, len(findings))
	for i, f := range findings {
		input[i] = finding{f.UploadID, orNull(string(f.Reason)), orNull(f.Detail), orNull(f.VersionID), orNull(f.Bucket), f.Size, string(f.Format), f.Format.ContentType()}
	}
	text, err := json.Marshal(input)
	if err != nil {
		return nil, nil, err
	}
	err = s.change(ctx, dryRun, func(db querier) error {
		settled, left = nil, nil
		rows, err := db.Query(ctx, s.sql("settle_uploads"), string(text))
		if err != nil {
			return err
		}
		for rows.Next() {
			var l leftUpload
			if l.upload, err = scanUpload(rows, &l.why); err != nil {
				rows.Close()
				return err
			}
			if l.why == "" {
				settled = append(settled, l.upload)
			} else {
				left = append(left, l)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, nil, err
	}
	return settled, left, nil
}

// whyLeft tells a track that somebody has locked from one that the platform keeps as it is.
func (s *Store) whyLeft(ctx context.Context, l leftUpload) error {
	if l.why == "unchanged" {
		return &track.RefusedError{Text: "the row stays as it was; a trigger keeps it so"}
	}
	var id track.ID
	err := s.pool.QueryRow(ctx, s.sql("lock_track"), l.upload.TrackID).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return &track.RefusedError{Text: "the row cannot be changed; a policy of row level security keeps it as it is"}
	}
	return track.ErrLocked
}

// refuse counts an attempt, and returns the upload if that was its last.
func (s *Store) refuse(ctx context.Context, id track.ID, attempts int, dryRun bool) (failed []track.Upload, err error) {
	err = s.change(ctx, dryRun, func(db querier) error {
		failed, err = collectUploads(db.Query(ctx, s.sql("refuse_upload"), id, attempts))
		return err
	})
	if err == nil && len(failed) > 0 && !dryRun {
		s.failNewTracks(ctx, failed)
	}
	return failed, err
}
