package migrate_test

import (
	"testing"

	"trackstore/shared/track"
)

// Moves are told where that is wanted, there and back, and nothing else changes.
func TestMovesAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	silent := r.add("silent.wav", []byte("silent"))
	r.run(r.upload(), job())
	r.Store.TellsMoves = true
	id := r.add("told.wav", []byte("told"))
	r.run(r.upload(), job())
	r.turn(track.ToLocal)
	r.run(r.restore(), job())
	const told = `SELECT coalesce(string_agg(type || ' to ' || (data ->> 'storage_backend'), ', ' ORDER BY seq), '') FROM track_events WHERE track_id = $1`
	if got := r.one(told, id); got != "moved to s3, moved to local" {
		t.Errorf("told: %q", got)
	}
	if got := r.one(told, silent); got != "moved to local" {
		t.Errorf("of the one that was moved in silence: %q", got)
	}
}
