package pgstore_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every statement that the code names is a file, every file is named by the code, and every
// part by a statement; each begins with its comment, and none calls the platform's table by
// a name of its own.
func TestEveryStatementIsThereAndUsed(t *testing.T) {
	t.Parallel()
	named := findAll(t, "*.go", `(?:\.sql\(|s\.forget\(ctx, "[^"]+", )"(\w+)"`)
	files := names(t, "sql/*.sql")
	if !slices.Equal(named, files) {
		t.Errorf("the code names the statements\n%s\nand the files are\n%s", named, files)
	}
	used := slices.DeleteFunc(append(findAll(t, "sql/*.sql", `\{\{(\w+)\}\}`), findAll(t, "sql/parts/*.sql", `\{\{(\w+)\}\}`)...),
		func(part string) bool { return part == "tracks" })
	slices.Sort(used)
	if parts := names(t, "sql/parts/*.sql"); !slices.Equal(slices.Compact(used), parts) {
		t.Errorf("the statements name the parts\n%s\nand the files are\n%s", used, parts)
	}
	bare := regexp.MustCompile(`(?i)\b(FROM|JOIN|INTO|UPDATE|USING)\s+tracks\b|\{\{tracks\}\}\s*(WHERE|SET|\))`)
	for file, text := range readAll(t, "sql/*.sql", "sql/parts/*.sql") {
		if !strings.HasPrefix(text, "-- ") {
			t.Errorf("%s does not begin with its comment", file)
		}
		if found := bare.FindString(text); found != "" {
			t.Errorf("%s: %q: the platform's table is {{tracks}}, with an alias", file, found)
		}
	}
}

// findAll returns what the pattern's group finds in the files, each once, sorted.
func findAll(t *testing.T, glob, pattern string) []string {
	t.Helper()
	var found []string
	for _, text := range readAll(t, glob) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, match[1])
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func names(t *testing.T, glob string) []string {
	t.Helper()
	var all []string
	for file := range readAll(t, glob) {
		all = append(all, strings.TrimSuffix(filepath.Base(file), ".sql"))
	}
	slices.Sort(all)
	return all
}

func readAll(t *testing.T, globs ...string) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	for _, glob := range globs {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[file] = string(text)
		}
	}
	return texts
}

// Whatever writes the platform's table says that it is trackstore: the trigger keeps the storage columns from all others.
func TestEveryWriteSaysWhoItIs(t *testing.T) {
	t.Parallel()
	writes := regexp.MustCompile(`(UPDATE|INSERT INTO|DELETE FROM|MERGE INTO) \{\{tracks\}\}`)
	for file, text := range readAll(t, "sql/*.sql") {
		if writes.MatchString(text) && !strings.Contains(text, "{{writer}}") && !strings.Contains(text, "{{settle_input}}") {
			t.Errorf("%s writes, and does not say who it is", file)
		}
	}
}
