package pgstore

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/shared/config"
	"trackstore/shared/track"
)

// OpenSecret is Open with a URL whose user and password may be rotated: when the server
// has refused them, read is asked again before the next connection. The call that was
// refused fails with track.ErrUnavailable.
func OpenSecret(ctx context.Context, read func(context.Context) (config.Secret, error), maxConns int32) (*Store, error) {
	url, err := read(ctx)
	if err != nil {
		return nil, err
	}
	return open(ctx, url.Reveal(), maxConns, &password{read: read})
}

// password is what connections are begun with.
type password struct {
	read func(context.Context) (config.Secret, error)

	mu      sync.Mutex
	refused bool
	renewed *pgx.ConnConfig // nil: as the pool was opened
}

// noteRefusal reports whether code says that user and password do not hold, and can be read
// anew: they will be.
func (p *password) noteRefusal(code string) bool {
	if p == nil || !strings.HasPrefix(code, invalidAuthorization) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = true
	return true
}

// apply is called before each connection.
func (p *password) apply(ctx context.Context, c *pgx.ConnConfig) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused {
		url, err := p.read(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", track.ErrUnavailable, err)
		}
		parsed, err := pgxpool.ParseConfig(url.Reveal())
		if err != nil {
			return fmt.Errorf("database URL: %w", err)
		}
		p.renewed, p.refused = parsed.ConnConfig, false
	}
	if p.renewed != nil {
		c.User, c.Password = p.renewed.User, p.renewed.Password
	}
	return nil
}
