package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"trackstore/shared/track"
)

// fewInARow is how many tracks may be refused one after the other, with none moved in
// between, before that is the fault of disk or S3.
const fewInARow = 5

// refused keeps tracks back that disk or S3 refused, until it is known whose fault that is:
// theirs, if others are moved meanwhile; else that of the place, and none of them has failed.
type refused struct {
	mu     sync.Mutex
	kept   []*task
	denied int  // tracks in a row, at their first attempt
	moved  bool // some track, since the run began
}

// deny counts a track that was denied at its first attempt: where all are, there is no need
// to wait for their second. Its error ends the run.
func (r *run) deny(err error) error {
	r.refused.mu.Lock()
	defer r.refused.mu.Unlock()
	if r.refused.denied++; r.refused.denied >= fewInARow {
		return fmt.Errorf("%w: %d tracks in a row were refused: %w", track.ErrPlace, r.refused.denied, err)
	}
	return nil
}

// refuse keeps a track back: it is not in flight until it is decided upon. Its error ends the run.
func (r *run) refuse(ctx context.Context, t *task) error {
	defer r.flight.Done()
	// Is it this track, or is everything out of reach?
	if err := r.Mover.Prove(ctx); err != nil {
		return fmt.Errorf("%w (after: %w)", err, t.Err())
	}
	r.refused.mu.Lock()
	defer r.refused.mu.Unlock()
	r.refused.kept = append(r.refused.kept, t)
	if n := len(r.refused.kept); n >= fewInARow {
		return fmt.Errorf("%w: %d tracks in a row were refused: %w", track.ErrPlace, n, t.Err())
	}
	return nil
}

// moved tells that a track was moved: those that were refused before were refused for
// something of their own.
func (r *run) moved() {
	r.refused.mu.Lock()
	r.refused.moved, r.refused.denied = true, 0
	kept := r.refused.kept
	r.refused.kept = nil
	r.refused.mu.Unlock()
	r.settleKept(kept)
}

// judge decides, when nothing else is under way, on the tracks that are kept back. A failure
// of the moment, which lasted, is theirs; access that is denied is the place's, unless it
// was granted for others in this run.
func (r *run) judge() error {
	r.refused.mu.Lock()
	kept, moved := r.refused.kept, r.refused.moved
	r.refused.kept = nil
	r.refused.mu.Unlock()
	for _, t := range kept {
		if err := t.Err(); !moved && (errors.Is(err, track.ErrForbidden) || errors.Is(err, fs.ErrPermission)) {
			return fmt.Errorf("%w: %w", track.ErrPlace, err)
		}
	}
	r.settleKept(kept)
	return nil
}

func (r *run) settleKept(kept []*task) {
	r.flight.Add(len(kept))
	for _, t := range kept {
		r.outcomes <- t
	}
}

func (r *run) keptBack() int {
	r.refused.mu.Lock()
	defer r.refused.mu.Unlock()
	return len(r.refused.kept)
}
