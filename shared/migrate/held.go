package migrate

import (
	"context"
	"maps"
	"slices"
	"sync"

	"trackstore/shared/track"
)

// held is the set of leases that this process answers for.
type held struct {
	mu     sync.Mutex
	leases map[track.ID]track.Lease // by track: a track that is claimed anew replaces its old lease
}

func newHeld() *held { return &held{leases: map[track.ID]track.Lease{}} }

func (h *held) add(leases []track.Lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range leases {
		h.leases[l.TrackID] = l
	}
}

// remove forgets a lease, unless its track was claimed anew.
func (h *held) remove(l track.Lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leases[l.TrackID].Token == l.Token {
		delete(h.leases, l.TrackID)
	}
}

func (h *held) all() []track.Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.leases))
}

func (h *held) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.leases)
}

// heartbeat extends all held leases at a third of their life, so that two beats may fail.
// When all fail, the leases run out, others take the tracks, and the flips here meet
// nothing: work is lost, never bytes.
func (r *run) heartbeat(ctx context.Context) {
	for pause(ctx, r.job.Lease/3) == nil {
		leases := r.held.all()
		if len(leases) == 0 {
			continue
		}
		beat, cancel := context.WithTimeout(ctx, r.job.Lease/3)
		if err := r.Ledger.Extend(beat, leases, r.job.Lease); err != nil && ctx.Err() == nil {
			r.Log.Warn("leases were not extended", "leases", len(leases), "err", err)
		}
		cancel()
	}
}
