package migrate_test

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
)

// The models are of one track each, with everything that happens to it. A world is a state of
// all of it, a step one thing that is atomic in reality: a statement, one write or removal of
// bytes, something that people do. What is in between, and in which order, is explored wholly.

// rule is one of the protocol's, for taking it away.
type rule string

// What may be taken away. grace is how long bytes stay that a restored database may name.
const (
	noRule   rule = ""
	r1       rule = "R1"
	r2       rule = "R2"
	r3       rule = "R3"
	r4       rule = "R4"
	r5       rule = "R5"
	r6       rule = "R6"
	r7       rule = "R7"
	r8       rule = "R8"
	r9       rule = "R9"
	r10      rule = "R10"
	theGrace rule = "the grace"
)

// modelled is a world.
type modelled[W any] interface {
	comparable
	// next returns all steps that are possible where one rule is not kept.
	next(without rule) []step[W]
	// canonical makes one of worlds that differ in nothing that matters.
	canonical() W
	// violation says what must never be, or nothing.
	violation() string
}

// step is something that may happen next, to or by number n of its kind.
type step[W any] struct {
	name string
	n    uint8
	then W
}

// steps collects what is possible in a world.
type steps[W any] struct {
	from W
	all  []step[W]
}

func stepsFrom[W any](w W) *steps[W] { return &steps[W]{w, make([]step[W], 0, 16)} }

func (s *steps[W]) may(possible bool, n uint8, name string, do func(*W)) {
	if possible {
		s.all = append(s.all, step[W]{name, n, s.from})
		do(&s.all[len(s.all)-1].then)
	}
}

// explore visits every world that can be reached. It returns their number, and the steps to the
// first one found that violates what must hold. Worlds that were visited are known by 64 bits
// of hash: of a million, one is taken for another by a chance of one in ten million.
func explore[W modelled[W]](first W, without rule) (visited int, violation string, way []string) {
	type visit struct {
		name string
		n    uint8
		from int
	}
	type reached struct {
		world W
		at    int
	}
	seed := maphash.MakeSeed()
	seen := map[uint64]struct{}{maphash.Comparable(seed, first): {}}
	visits := []visit{{}}
	for now, later := []reached{{first, 0}}, []reached(nil); len(now) > 0; now, later = later, nil {
		for _, r := range now {
			for _, s := range r.world.next(without) {
				world := s.then.canonical()
				hash := maphash.Comparable(seed, world)
				if _, known := seen[hash]; known {
					continue
				}
				seen[hash] = struct{}{}
				visits = append(visits, visit{s.name, s.n, r.at})
				later = append(later, reached{world, len(visits) - 1})
				if violation = world.violation(); violation == "" {
					continue
				}
				for at := len(visits) - 1; at > 0; at = visits[at].from {
					way = append(way, fmt.Sprint(visits[at].name, " ", visits[at].n))
				}
				slices.Reverse(way)
				return len(visits), violation, way
			}
		}
	}
	return len(visits), "", nil
}

// check explores a model with every rule, where nothing may be lost, and without each of those
// that are named, where something must be. It has at least so many states: with fewer it has lost
// some of its freedom.
func check[W modelled[W]](t *testing.T, first W, atLeast int, needed ...rule) {
	t.Helper()
	visited, violation, way := explore(first, noRule)
	if violation != "" {
		t.Fatalf("%s after: %s", violation, strings.Join(way, ", "))
	}
	t.Logf("%d states", visited)
	if visited < atLeast {
		t.Errorf("only %d states", visited)
	}
	for _, rule := range needed {
		visited, violation, way := explore(first, rule)
		if violation == "" {
			t.Errorf("%d states, and nothing is lost without %s", visited, rule)
		}
		t.Logf("without %s %s: %s", rule, violation, strings.Join(way, ", "))
	}
}

func TestModelOfMoves(t *testing.T) {
	t.Parallel()
	check(t, newWorld(), 100_000, r1, r2, r3, r4, r5, r6)
}

func TestModelOfPlaces(t *testing.T) {
	t.Parallel()
	check(t, newPlaces(), 10_000, r7, r8, r9, r10, theGrace)
}

func TestModelOfRemovals(t *testing.T) {
	t.Parallel()
	check(t, newRemovals(), 1_000, r6, r8, theLease)
}

func TestModelOfUploads(t *testing.T) {
	t.Parallel()
	check(t, newUploads(), 10_000, r2, r6, lateIsStored, theLastLook, abortIsFinal)
}
