package schema

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ErrTracksOnS3 refuses a way down that would forget which objects hold tracks' bytes.
var ErrTracksOnS3 = errors.New("tracks lie on S3, and the schema is the only record of where: " +
	"move them back first (trackstore migrate-storage rollback --all)")

// ErrDeletedTracks refuses a way down that would bring deleted tracks back to life.
var ErrDeletedTracks = errors.New("tracks are marked as deleted in a column that trackstore made: " +
	"without it they would be there again; delete their rows first")

// keepsRecord is the lowest version that has the whole record of what lies on S3.
const keepsRecord = 989

// refuseToForget refuses a way down to a version that would lose tracks.
//
// A track that was deleted longer than its grace ago has notes, by its folders, and is no
// track any more: whether its bytes are gone or are still to go, nobody plays them.
func (s *session) refuseToForget(to uint) error {
	if to >= keepsRecord {
		return nil
	}
	var n int64
	err := s.work.QueryRow(s.ctx, `
		SELECT count(*) FROM `+s.tracks.String()+` t WHERE t.storage_backend <> 'local'
			AND NOT EXISTS (SELECT FROM track_discards d
				WHERE t.deleted_at IS NOT NULL AND d.backend = 's3' AND d.storage_key = 'uploads/' || t.id || '/')`).Scan(&n)
	switch {
	case isAbsent(err): // already down
		return nil
	case err != nil:
		return err
	case n > 0:
		return fmt.Errorf("%d %w", n, ErrTracksOnS3)
	case to >= adopted:
		return nil
	}
	err = s.work.QueryRow(s.ctx, `
		SELECT count(*) FROM trackstore_adoption, `+s.tracks.String()+` t
		WHERE 'deleted_at' = ANY (made) AND t.deleted_at IS NOT NULL`).Scan(&n)
	switch {
	case isAbsent(err):
		return nil
	case err == nil && n > 0:
		return fmt.Errorf("%d %w: DELETE FROM %s WHERE deleted_at IS NOT NULL", n, ErrDeletedTracks, s.tracks)
	}
	return err
}

// Noted returns the files and objects that are noted for removal and not known to be gone, as
// "s3 KEY" or "local PATH": without the schema nothing names them any more.
func Noted(ctx context.Context, db Database) ([]string, error) {
	s, err := connect(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	defer s.Close() //nolint:errcheck // nothing was written
	rows, err := s.work.Query(ctx, `
		SELECT backend || ' ' || storage_key FROM track_discards WHERE gone_at IS NULL AND storage_key NOT LIKE '%/' ORDER BY 1`)
	var noted []string
	if err == nil {
		noted, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil && !isAbsent(err) {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return noted, nil
}

func isAbsent(err error) bool {
	state := sqlState(err)
	return state == undefinedTable || state == undefinedColumn
}
