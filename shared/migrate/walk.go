package migrate

import (
	"math/rand/v2"
	"slices"

	"trackstore/shared/track"
)

// walk is one pass over the tracks, from several starting points in turn: keys begin with the ids of
// tracks, and what is written at one time is to be spread over them. It comes to each id once: what lies
// behind the claims of others, where an index that was not vacuumed since is slow to walk, comes last.
type walk struct {
	ahead, behind []track.Stretch
	at            int // in ahead, where the next claim is made
}

// newWalk begins anywhere: runs that begin together are not in each other's way.
func newWalk(stretches []track.Stretch) walk {
	var w walk
	for _, s := range stretches {
		if s.IsBehind {
			w.behind = append(w.behind, s)
		} else {
			w.ahead = append(w.ahead, s)
		}
	}
	w.turn()
	if n := len(w.ahead); n > 0 {
		w.at = rand.IntN(n)
	}
	return w
}

func (w *walk) isOver() bool { return len(w.ahead) == 0 }

// next returns where to claim.
func (w *walk) next() track.Stretch { return w.ahead[w.at] }

// cameTo goes on after a claim, with the next of the stretches.
func (w *walk) cameTo(claims track.Claims) {
	if claims.More {
		w.ahead[w.at].After = claims.Last
		w.at++
	} else {
		w.ahead = slices.Delete(w.ahead, w.at, w.at+1)
	}
	w.turn()
}

// turn begins with the first stretch after the last one, and with what lies behind after all that lies ahead.
func (w *walk) turn() {
	if len(w.ahead) == 0 {
		w.ahead, w.behind = w.behind, nil
	}
	if w.at >= len(w.ahead) {
		w.at = 0
	}
}
