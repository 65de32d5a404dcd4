package sweep

import (
	"slices"
	"time"
)

// How long records stay that nothing needs any more.
const (
	uploadsStay     = 90 * 24 * time.Hour // after their end
	eventsStay      = 7 * 24 * time.Hour
	undeliveredStay = 30 * 24 * time.Hour
)

// forget removes what only grows, for as long as there is some of it and time: however much comes between two sweeps, as much
// goes. A batch of each in turn, so that none waits for another's backlog. A crash loses nothing but the batch under way.
func (r *run) forget() {
	if r.DryRun {
		return
	}
	const some = 10 * batchSize
	kinds := []func() (int64, error){
		func() (int64, error) { return r.Store.ForgetDiscards(r.ctx, r.Grace, some) },
		func() (int64, error) { return r.Store.ForgetUploads(r.ctx, max(uploadsStay, r.Grace), some) },
		func() (int64, error) { return r.Store.ForgetEvents(r.ctx, eventsStay, undeliveredStay, some) },
		func() (int64, error) { return r.Store.ForgetSessions(r.ctx, some) },
	}
	for len(kinds) > 0 && r.goOn() {
		kinds = slices.DeleteFunc(kinds, func(forget func() (int64, error)) bool {
			n, err := forget()
			if err != nil {
				r.failed(err)
			}
			return err != nil || n < some
		})
	}
}
