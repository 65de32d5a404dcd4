package pgstore

import (
	"context"
	"time"

	"trackstore/shared/track"
)

// OpenSession enters a companion session and returns when it ends. Each one removes a few
// that are over, so that the table stays as small as the number of live ones.
func (s *Store) OpenSession(ctx context.Context, tokenHash [32]byte, user track.ID, life time.Duration) (time.Time, error) {
	var expires time.Time
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("open_session"), tokenHash[:], user, life).Scan(&expires)
	})
	return expires, s.failure("open a companion session", err)
}

// SessionUser returns whose session a token stands for; track.ErrNotFound where there is
// none, or it is over.
func (s *Store) SessionUser(ctx context.Context, tokenHash [32]byte) (track.ID, error) {
	var user track.ID
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("session_user"), tokenHash[:]).Scan(&user)
	})
	return user, s.failure("companion session", err)
}
