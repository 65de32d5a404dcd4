package docs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDeployPageIsFollowed holds docs/deploy.md to the table at its end: each of its commands and parameters has a row, and
// each row a step of make deployed, or a test, that has the line which the row names.
func TestDeployPageIsFollowed(t *testing.T) {
	t.Parallel()
	page, table, found := strings.Cut(read(t, "docs/deploy.md"), "\n## What shows that this page is right\n")
	if !found {
		t.Fatal("the page has no table")
	}
	steps := deployedSteps(t)
	row := regexp.MustCompile("(?m)^\\| `(.+?)`[^|]* \\| (?:`(Test\\w+)`|([^|`]+)) \\| `(.+)` \\|$")
	var followed []string
	for _, match := range row.FindAllStringSubmatch(table, -1) {
		instruction, test, step, line := match[1], match[2], match[3], match[4]
		followed = append(followed, instruction)
		if !strings.Contains(page, instruction) {
			t.Errorf("the page does not say %q", instruction)
		}
		does, is := steps[step]
		if test != "" {
			does = testSource(t, test)
		} else if !is {
			t.Errorf("make deployed has no step %q", step)
		}
		if !strings.Contains(does, line) {
			t.Errorf("%s%s has no line with %s", step, test, line)
		}
	}
	if rows := strings.Count(table, "\n| ") - 1; rows != len(followed) {
		t.Errorf("%d of the table's %d rows can be read", len(followed), rows)
	}
	for _, instruction := range instructions(t, page) {
		covered := false
		for _, f := range followed {
			covered = covered || strings.Contains(instruction, f)
		}
		if !covered {
			t.Errorf("no row is about: %s", instruction)
		}
	}
}

// instructions are what the page tells its reader to do: blocks of code, commands in the text, and parameters of the template.
func instructions(t *testing.T, page string) []string {
	t.Helper()
	found := regexp.MustCompile(`(?m)(?:^ {4}.*\n)+`).FindAllString(page, -1)
	parameters, _, _ := strings.Cut(read(t, "template.yaml"), "\nRules:\n")
	_, parameters, _ = strings.Cut(parameters, "\nParameters:\n")
	text := regexp.MustCompile("`([^`]+)`")
	for _, match := range text.FindAllStringSubmatch(regexp.MustCompile(`(?m)^ {4}.*$`).ReplaceAllString(page, ""), -1) {
		name, _, _ := strings.Cut(match[1], "=")
		command := regexp.MustCompile(`^(sam|aws|trackstore|make) \S`).MatchString(match[1])
		if command || strings.Contains(parameters, "\n  "+name+":\n") {
			found = append(found, match[1])
		}
	}
	return found
}

// deployedSteps are the texts of the steps of make deployed, by their names.
func deployedSteps(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("e2e/deployed/steps/*")
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]string{}
	begin := regexp.MustCompile(`(?m)^step (?:'([^']+)'|"([^"]+)")`)
	for _, file := range append(files, "e2e/deployed/world") {
		text := read(t, file)
		found := begin.FindAllStringSubmatchIndex(text, -1)
		for i, at := range found {
			end := len(text)
			if i+1 < len(found) {
				end = found[i+1][0]
			}
			name := begin.FindStringSubmatch(text[at[0]:at[1]])
			steps[name[1]+name[2]] = text[at[1]:end]
		}
	}
	return steps
}

// testSource is the source of a test, from its name on.
func testSource(t *testing.T, name string) string {
	t.Helper()
	for _, folder := range []string{"cmd", "functions", "internal", "shared"} {
		for _, depth := range []string{"*", "*/*", "*/*/*"} {
			files, err := filepath.Glob(filepath.Join(folder, depth+"_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if _, source, is := strings.Cut(read(t, file), "\nfunc "+name+"("); is {
					source, _, _ = strings.Cut(source, "\n}\n")
					return source
				}
			}
		}
	}
	t.Errorf("there is no test %s", name)
	return ""
}
