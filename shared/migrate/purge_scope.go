package migrate

import (
	"iter"
	"slices"

	"trackstore/shared/track"
)

// Chosen leaves out the tracks that the purge does not cover.
func (p Purger) Chosen(tracks iter.Seq2[track.Copies, error]) iter.Seq2[track.Copies, error] {
	if len(p.Only) == 0 {
		return tracks
	}
	return func(yield func(track.Copies, error) bool) {
		for c, err := range tracks {
			if (err != nil || slices.Contains(p.Only, c.TrackID)) && !yield(c, err) {
				return
			}
		}
	}
}

// untilEnough ends once as many copies are taken as the purge may delete.
func (p *purge) untilEnough(tracks iter.Seq2[track.Copies, error]) iter.Seq2[track.Copies, error] {
	return func(yield func(track.Copies, error) bool) {
		for c, err := range tracks {
			if p.isFull() || !yield(c, err) {
				return
			}
		}
	}
}

func (p *purge) isFull() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Limit > 0 && p.taken >= p.Limit
}

// take reports whether one more copy may be deleted.
func (p *purge) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Limit > 0 && p.taken >= p.Limit {
		return false
	}
	p.taken++
	return true
}
