package migrate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// explore visits every world that can be reached. It returns their number, and the steps
// to the first one found that violates the invariant.
func explore(r rules) (visited int, violation string, way []string) {
	type visit struct {
		step
		from int
	}
	visits := []visit{{step: step{then: newWorld()}}}
	seen := map[world]bool{newWorld(): true}
	for i := 0; i < len(visits); i++ {
		for _, s := range visits[i].then.next(r) {
			s.then = s.then.canonical()
			if seen[s.then] {
				continue
			}
			seen[s.then] = true
			visits = append(visits, visit{s, i})
			if violation = s.then.violation(); violation != "" {
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

func TestModelKeepsEveryTrack(t *testing.T) {
	t.Parallel()
	visited, violation, way := explore(allRules)
	if violation != "" {
		t.Fatalf("%s after: %s", violation, strings.Join(way, ", "))
	}
	t.Logf("%d states", visited)
	if visited < 100_000 {
		t.Errorf("only %d states: the model has lost some of its freedom", visited)
	}
}

// Each rule is needed: without it, there is a way to lose bytes or to serve old ones.
func TestModelNeedsEveryRule(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]rules{
		"R1": {false, true, true, true, true, true},
		"R2": {true, false, true, true, true, true},
		"R3": {true, true, false, true, true, true},
		"R4": {true, true, true, false, true, true},
		"R5": {true, true, true, true, false, true},
		"R6": {true, true, true, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			visited, violation, way := explore(broken)
			if violation == "" {
				t.Fatalf("%d states, and nothing is lost without it", visited)
			}
			t.Logf("%s: %s", violation, strings.Join(way, ", "))
		})
	}
}
