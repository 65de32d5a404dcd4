package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestPlantsAreTold holds the table of plants in e2e/deployed/README.md to those that there are.
func TestPlantsAreTold(t *testing.T) {
	t.Parallel()
	told, plants := map[string]bool{}, 0
	_, table, _ := strings.Cut(read(t, "e2e/deployed/README.md"), "\n## Plants\n")
	for _, match := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(table, -1) {
		told[match[1]] = true
	}
	for _, match := range regexp.MustCompile(`(?m)^\t([a-z-]+)\) at `).FindAllStringSubmatch(read(t, "e2e/deployed/plants"), -1) {
		plants++
		if !told[match[1]] {
			t.Errorf("the page does not tell of %s", match[1])
		}
	}
	if plants < 10 || plants != len(told) {
		t.Errorf("there are %d plants, and the page tells of %d", plants, len(told))
	}
}
