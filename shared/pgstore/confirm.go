package pgstore

import (
	"context"
	"encoding/json"

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

// SettleUploads settles the pending ones among the uploads that findings are of: stored,
// where the track is made to point at the bytes unless it has those of a later ticket;
// failed; or aborted, where the track is deleted or gone. It returns the uploads that it
// settled. It may be repeated: uploads that are settled stay as they are. A dry run returns
// the same and changes nothing.
func (s *Store) SettleUploads(ctx context.Context, findings []track.Finding, dryRun bool) (settled []track.Upload, err error) {
	type finding struct {
		ID          track.ID `json:"id"`
		Reason      *string  `json:"reason"`
		Detail      *string  `json:"detail"`
		VersionID   *string  `json:"version_id"`
		Size        int64    `json:"size"`
		Format      string   `json:"format"`
		ContentType string   `json:"content_type"`
	}
	input := make([]finding, len(findings))
	for i, f := range findings {
		input[i] = finding{f.UploadID, orNull(string(f.Reason)), orNull(f.Detail), orNull(f.VersionID), f.Size, string(f.Format), f.Format.ContentType()}
	}
	text, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, dryRun, func(db querier) error {
		settled, err = collectUploads(db.Query(ctx, s.sql("settle_uploads"), string(text)))
		return err
	})
	return settled, s.failure("settle uploads", err)
}
