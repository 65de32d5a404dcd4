package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"trackstore/shared/track"
)

// TestUppyOffersEachFormat compares the extensions that the page's Uppy offers with those that the API takes.
func TestUppyOffersEachFormat(t *testing.T) {
	t.Parallel()
	list := regexp.MustCompile(`\['audio/\*', \.\.\.\(([^)]*)\)`).FindStringSubmatch(read(t, "docs/clients.md"))
	if list == nil {
		t.Fatal("clients.md has no list of extensions")
	}
	offered, taken := strings.Fields(strings.NewReplacer("'", " ", "+", " ").Replace(list[1])), track.Extensions()
	slices.Sort(offered)
	slices.Sort(taken)
	if !slices.Equal(offered, taken) {
		t.Errorf("Uppy offers\n%s, and the API takes\n%s", strings.Join(offered, " "), strings.Join(taken, " "))
	}
}
