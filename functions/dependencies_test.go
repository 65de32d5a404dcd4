package functions_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of dependencies")

// TestDependencies compares what the functions are linked from with the table in docs/performance.md: all of it is
// fetched and initialized at a cold start, so nothing comes in unnoticed. Run with -update to write the table.
func TestDependencies(t *testing.T) {
	t.Parallel()
	folders := []string{"presign-upload", "object-created", "migrate-batch", "sweep-uploads", "deliver-events", "migrate-schema"}
	users := map[string][]string{} // of each module
	for _, folder := range folders {
		build := exec.Command("make", "-n", "build-"+ids[folder], "ARTIFACTS_DIR=bin")
		build.Dir = ".."
		recipe, err := build.Output()
		if err != nil {
			t.Fatal(err)
		}
		list := exec.Command("go", "list", "-deps", regexp.MustCompile(`-tags=\S+`).FindString(string(recipe)),
			"-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "./"+folder)
		list.Env = append(os.Environ(), "CGO_ENABLED=0", regexp.MustCompile(`GOARCH=\S+`).FindString(string(recipe)))
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		modules := strings.Fields(string(out))
		slices.Sort(modules)
		for _, module := range slices.Compact(modules) {
			users[module] = append(users[module], folder)
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| module | %s |\n|---|%s\n", strings.Join(folders, " | "), strings.Repeat("---|", len(folders)))
	modules := make([]string, 0, len(users))
	for module := range users {
		modules = append(modules, module)
	}
	slices.Sort(modules)
	for _, module := range modules {
		fmt.Fprintf(&table, "| %s |", module)
		for _, folder := range folders {
			mark := " "
			if slices.Contains(users[module], folder) {
				mark = " × "
			}
			fmt.Fprintf(&table, "%s|", mark)
		}
		table.WriteByte('\n')
	}

	const file, begin, end = "../docs/performance.md", "<!-- dependencies -->\n", "<!-- end of dependencies -->\n"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), begin)
	written, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", file)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if written != table.String() {
		t.Errorf("the functions are linked from other modules than %s says; -update writes:\n%s", file, table.String())
	}
}
