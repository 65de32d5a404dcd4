package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreats checks that the tests that docs/threats.md relies on are there.
func TestThreats(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9./-]+): ((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(content), -1)
	rows := regexp.MustCompile(`(?m)^\| [^|-]`).FindAllString(string(content), -1)
	if len(named) < len(rows)-1 {
		t.Errorf("%d threats name %d tests", len(rows)-1, len(named))
	}
	for _, match := range named {
		folder, name := match[1], match[2]
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(source), "\nfunc "+name+"(")
		}
		if !found {
			t.Errorf("there is no %s in %s", name, folder)
		}
	}
}
