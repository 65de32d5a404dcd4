package docs_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is generated")

// TestArchitecture holds the table of packages in docs/architecture.md to the code: each package, its one line, and the
// packages of ours that it imports, so that no import comes in unnoticed. Run it with -update to write the table.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	const page, begin, end = "docs/architecture.md", "<!-- packages -->\n", "<!-- end of packages -->\n"
	text := read(t, page)
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no table of packages", page)
	}
	want := before + begin + packages(t) + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text, want); diff != "" {
		t.Errorf("%s is not what the code is; go test ./docs -run TestArchitecture -update writes it:\n%s", page, diff)
	}
}

func packages(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{if .GoFiles}}{{.ImportPath}}\t{{.Doc}}\t{{join .Imports \" \"}}{{end}}", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| package | what it does | imports |\n|---|---|---|\n")
	for line := range strings.Lines(string(out)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), "\t")
		doc, imports, _ := strings.Cut(rest, "\t")
		var ours []string
		for name := range strings.FieldsSeq(imports) {
			if name, ok := strings.CutPrefix(name, "trackstore/"); ok {
				ours = append(ours, "`"+strings.TrimPrefix(name, "shared/")+"`")
			}
		}
		name := strings.TrimPrefix(path, "trackstore/")
		doc = strings.TrimPrefix(strings.TrimPrefix(doc, "Package "+name[strings.LastIndexByte(name, '/')+1:]+" "), "Command trackstore ")
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", name, doc, strings.Join(ours, " "))
	}
	return table.String()
}
