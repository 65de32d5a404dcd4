package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"trackstore/internal/drift"
	"trackstore/shared/config"
	"trackstore/shared/schema"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Name every problem of the environment, and every place that disagrees about a variable."`
}

type configCheckCmd struct {
	Program []string `help:"Check for these programs only (presign-upload, migrate-batch, …)."`
	Root    string   `default:"." type:"existingdir" help:"The project, where its files are to be checked too."`
}

// Help is shown by --help.
func (configCheckCmd) Help() string {
	return "Validates the environment that it runs in, for every program of a deployment unless --program says which. In a " +
		"checkout of trackstore it also finds where .env.template, docs/ENV_VARIABLES.md, template.yaml and the code " +
		"disagree about a variable. A valid DATABASE_URL is looked at, too: whether the table of tracks is another one, or its " +
		"rows are hidden. Nothing else is opened.\n\n" +
		"Exit codes: 0 no problem, though there may be warnings; 1 problems."
}

// deployed are the programs that every deployment has. migrate-batch is not among them: it reads
// what migrate-storage reads, and insists on S3, which a deployment may not have yet.
var deployed = []string{"presign-upload", "object-created", "sweep-uploads", "migrate-schema", "trackstore migrate-storage"}

func (cmd *configCheckCmd) Run(ctx context.Context, c *console) error {
	names := cmd.Program
	if len(names) == 0 {
		names = deployed
	}
	var lines []string // several programs may have the same problem
	say := func(kind string, what any) {
		if line := fmt.Sprintf("%s: %v", kind, what); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	bad := false
	for _, name := range names {
		problems, warnings, err := checkProgram(name, c.getenv)
		if err != nil {
			return err
		}
		for _, p := range problems {
			bad = true
			say("problem", p)
		}
		for _, w := range warnings {
			say("warning", w)
		}
	}
	checkout := isCheckout(cmd.Root)
	if checkout {
		findings, err := drift.Check(os.DirFS(cmd.Root))
		if err != nil {
			return err
		}
		for _, f := range findings {
			bad = true
			say("drift", f)
		}
	}
	for _, line := range lines {
		fmt.Fprintln(c.stdout, line)
	}
	if db, err := config.Load[config.MigrateSchema](c.getenv); err == nil && db.Database.SecretARN == "" {
		c.doubt(ctx, schema.Database{URL: db.Database.URL.Reveal(), Tracks: db.Database.Tracks})
	}
	switch {
	case bad:
		return exitCode(1)
	case checkout:
		fmt.Fprintln(c.stdout, "the environment is valid, and nothing disagrees about a variable")
	default:
		fmt.Fprintln(c.stdout, "the environment is valid")
	}
	return nil
}

func checkProgram(name string, getenv func(string) string) (problems, warnings []config.Problem, err error) {
	var known []string
	for _, p := range config.Programs() {
		if p.Name == name {
			problems, warnings = p.Check(getenv)
			return problems, warnings, nil
		}
		known = append(known, p.Name)
	}
	return nil, nil, fmt.Errorf("there is no program %q; there are %q", name, known)
}

// isCheckout reports whether dir holds trackstore's source.
func isCheckout(dir string) bool {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && bytes.HasPrefix(mod, []byte("module trackstore\n"))
}
