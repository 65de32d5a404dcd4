package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/cli.md")

// TestReference holds docs/cli.md to the command line. Run it with -update to write the page.
func TestReference(t *testing.T) {
	t.Parallel()
	const page = "../../docs/cli.md"
	want, err := reference()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/cli.md is not what the command line is; go test ./cmd/trackstore -run TestReference -update writes it:\n%s", diff)
	}
}

// parser understands the command line, and runs nothing.
func parser() (*kong.Kong, error) {
	return kong.New(&commands{}, kong.Name("trackstore"), kong.Vars{"version": ""}, kong.Exit(func(int) {}), kong.Bind(&console{}))
}

// reference describes every command that does something, in the order of --help.
func reference() (string, error) {
	parser, err := parser()
	if err != nil {
		return "", err
	}
	var page strings.Builder
	page.WriteString("# The command line\n\nThis page is generated from the commands themselves: change them, then run\n" +
		"`go test ./cmd/trackstore -run TestReference -update`. They are configured by the variables of\n" +
		"[ENV_VARIABLES.md](ENV_VARIABLES.md), and every command has `--help`.\n")
	describe(&page, parser.Model.Node)
	return page.String(), nil
}

func describe(page *strings.Builder, n *kong.Node) {
	for _, child := range n.Children {
		if child.Hidden {
			continue
		}
		level := strings.Repeat("#", min(child.Depth()+2, 4))
		fmt.Fprintf(page, "\n%s %s\n\n%s\n", level, child.FullPath(), child.Help)
		if child.Detail != "" {
			fmt.Fprintf(page, "\n%s\n", child.Detail)
		}
		if child.Leaf() {
			fmt.Fprintf(page, "\n```\n%s\n```\n", child.FullPath()+strings.TrimPrefix(child.Summary(), child.Path()))
			describeOptions(page, child)
		}
		describe(page, child)
	}
}

func describeOptions(page *strings.Builder, n *kong.Node) {
	rows := 0
	row := func(name, help string) {
		if rows == 0 {
			page.WriteString("\n| option | |\n|---|---|\n")
		}
		rows++
		fmt.Fprintf(page, "| `%s` | %s |\n", name, strings.ReplaceAll(help, "|", `\|`))
	}
	for _, argument := range n.Positional {
		row(argument.Summary(), argument.Help)
	}
	for _, option := range n.Flags {
		if !option.Hidden && option.Name != "help" {
			row(option.String(), option.Help)
		}
	}
}

// TestDocumentedCommands holds every command that a page names to the command line: its flags and arguments are understood.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	// In the text between backquotes, or in a block, which is four blanks in.
	documented := regexp.MustCompile("(?m)`trackstore (\\w[^`]*)`|^ {4} *(?:[A-Z_0-9]+=\\S+ )*trackstore (\\w.*)$")
	found := 0
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range documented.FindAllStringSubmatch(string(content), -1) {
			command, _, _ := strings.Cut(match[1]+match[2], " #")
			command, _, _ = strings.Cut(command, " | ")
			found++
			if err := understood(strings.Fields(strings.ReplaceAll(command, "-…", "-0000-7000-8000-000000000000"))); err != nil {
				t.Errorf("%s: trackstore %s: %v", page, command, err)
			}
		}
	}
	if found < 50 {
		t.Errorf("%d commands were found", found)
	}
}

// understood parses a command; the name of a group of commands will do, too.
func understood(args []string) error {
	parser, err := parser()
	if err != nil {
		return err
	}
	if _, err = parser.Parse(args); err != nil && strings.HasPrefix(err.Error(), "expected ") {
		return nil
	}
	return err
}
