package sweep

import (
	"errors"
	"time"
)

// How long records stay that nothing needs any more.
const (
	uploadsStay     = 90 * 24 * time.Hour // after their end
	eventsStay      = 7 * 24 * time.Hour
	undeliveredStay = 30 * 24 * time.Hour
)

// forget removes what only grows, a batch of each at a time: the rest is the next sweep's.
func (r *run) forget() {
	const some = 10 * batchSize
	_, discards := r.Store.ForgetDiscards(r.ctx, r.Grace, some)
	_, uploads := r.Store.ForgetUploads(r.ctx, max(uploadsStay, r.Grace), some)
	_, events := r.Store.ForgetEvents(r.ctx, eventsStay, undeliveredStay, some)
	_, sessions := r.Store.ForgetSessions(r.ctx, some)
	if err := errors.Join(discards, uploads, events, sessions); err != nil {
		r.failed(err)
	}
}
