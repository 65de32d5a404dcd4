package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsLinksLead checks that what the documents point at is there: files, headings in them, and events to send.
func TestDocsLinksLead(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
	event := regexp.MustCompile(`functions/[a-z-]+/events/[a-z_-]+\.json`)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, file := range files {
		for _, path := range event.FindAllString(read(t, file), -1) {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s names %s, which is not there", file, path)
			}
		}
		for _, match := range link.FindAllStringSubmatch(read(t, file), -1) {
			target, heading, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := file
			if target != "" {
				path = filepath.Join(filepath.Dir(file), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s points at %s, which is not there", file, match[1])
				continue
			}
			if heading != "" && !hasHeading(read(t, path), heading) {
				t.Errorf("%s points at %s, and there is no such heading", file, match[1])
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// hasHeading looks for a heading by the anchor that Markdown gives it.
func hasHeading(document, anchor string) bool {
	dropped := regexp.MustCompile(`[^a-z0-9 _-]`)
	for line := range strings.Lines(document) {
		title := strings.TrimSpace(strings.TrimLeft(line, "#"))
		if strings.HasPrefix(line, "#") && strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(title), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}
