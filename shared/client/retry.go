package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// temporary marks an error that may be gone at the next try.
type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 15 * time.Second
)

// retry runs try, with the number of earlier tries, until it succeeds, fails for good, ctx
// ends, or the client gives up: so long after the first failure, for until then something
// may have been sent for as long.
func (c *Client) retry(ctx context.Context, try func(earlier int) error) error {
	var failing time.Time // since then
	pause := firstPause
	for earlier := 0; ; earlier++ {
		err := try(earlier)
		if earlier == 0 {
			failing = time.Now()
		}
		var t temporary
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.As(err, &t):
			return err
		case time.Since(failing) > c.giveUp:
			return t.error
		}
		c.waiting(t.error)
		// Half of the pause is chance, so that clients do not come back all at once.
		wait := pause/2 + rand.N(pause/2)
		pause = min(2*pause, maxPause)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
