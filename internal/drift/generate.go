package drift

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/template"

	"trackstore/shared/config"
)

//go:embed env_variables.md.tmpl
var docsText string

// Markdown is the content of docs/ENV_VARIABLES.md.
func Markdown() string {
	page := template.Must(template.New("docs").Funcs(template.FuncMap{
		"variables": variablesTable,
		"rules":     config.Rules,
		"number":    func(i int) int { return i + 1 },
	}).Parse(docsText))
	var b strings.Builder
	if err := page.Execute(&b, nil); err != nil {
		panic(err) // the page is embedded: only a broken build gets here
	}
	return b.String()
}

// variablesTable is the table of a section.
func variablesTable(section int) string {
	var b strings.Builder
	b.WriteString("| variable | type | default | read by | rule | meaning |\n|---|---|---|---|---|---|\n")
	for _, v := range config.Variables() {
		if v.Section != section {
			continue
		}
		value, doc := "", v.Doc
		switch {
		case v.Default != "":
			value = "`" + v.Default + "`"
		case strings.Contains(v.Example, " "):
			doc += " Example: " + v.Example + "."
		default:
			doc += " Example: `" + v.Example + "`."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %d | %s |\n", v.Name, v.Type, value, readers(v.Name), v.Rule, doc)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// readers names the programs that read a variable, shortly where they are nearly all.
func readers(name string) string {
	var read, others []string
	for _, p := range config.Programs() {
		switch {
		case reads(p, name):
			read = append(read, p.Name)
		case reads(p, "APP_ENV"): // not a tool of the local stack
			others = append(others, p.Name)
		}
	}
	switch {
	case len(others) == 0:
		return "all"
	case len(others) == 1:
		return "all but " + others[0]
	}
	return strings.Join(read, ", ")
}

// phases are comments on variables that change from one phase of a platform's way to S3 to the next.
var phases = map[string]string{"TRACK_STORAGE_BACKEND": `# Where new files go: local or s3, exactly so. Phase 0: local, with the column in place and every row local.
# Phase 1: s3 (with AWS_S3_ENABLED=true): new files go to the bucket, old ones stay on disk and play from there.
# Phase 2: trackstore migrate-storage run moves the old files, verified. Phase 3: trackstore migrate-storage purge-local
# frees the disk.
`}

// EnvTemplate is the content of .env.template.
func EnvTemplate() string {
	var b strings.Builder
	b.WriteString(`# trackstore's variables with their defaults; docs/ENV_VARIABLES.md explains them.
# Copy this file to .env and fill in what is empty: an empty variable counts as unset.
# Generated from the declaration in shared/config; do not edit.
`)
	section := 0
	for _, v := range config.Variables() {
		if v.Section != section {
			section = v.Section
			fmt.Fprintf(&b, "\n# Section %d\n", section)
		}
		b.WriteString(phases[v.Name])
		if v.Default == "" {
			fmt.Fprintf(&b, "# %s: %s\n", v.Name, strings.ReplaceAll(v.Example, "`", ""))
		}
		fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Default)
	}
	return b.String()
}

// checkGenerated compares the generated files with what they would be now.
func checkGenerated(root fs.FS) ([]Finding, error) {
	var found []Finding
	for file, want := range map[string]string{DocsFile: Markdown(), EnvTemplateFile: EnvTemplate()} {
		got, err := fs.ReadFile(root, file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			found = append(found, finding(file, "is missing; "+regenerate))
		case err != nil:
			return nil, err
		case string(got) != want:
			found = append(found, finding(file, "%s; "+regenerate, difference(string(got), want)))
		}
	}
	return found, nil
}

const regenerate = "write it anew with: go test ./internal/drift -update"

// difference names the first line that differs.
func difference(got, want string) string {
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i, line := range wantLines {
		if i >= len(gotLines) {
			return fmt.Sprintf("ends before line %d, %q", i+1, line)
		}
		if gotLines[i] != line {
			return fmt.Sprintf("line %d is %q and should be %q", i+1, gotLines[i], line)
		}
	}
	return fmt.Sprintf("goes on after line %d", len(wantLines))
}
