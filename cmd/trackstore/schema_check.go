package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"trackstore/shared/schema"
)

type schemaCheckCmd struct {
	Role string `help:"The role that the functions connect as; else the one that connects now."`
	JSON bool   `name:"json" help:"Write a JSON object a line."`
}

// Help is shown by --help.
func (schemaCheckCmd) Help() string {
	return "Looks at the table that TRACKS_TABLE names, before trackstore schema up or after it, and tries an upload, a move and " +
		"a deletion in a transaction that it rolls back. Each line says what would fail and what mends it.\n\n" +
		"Exit codes: 0 nothing would fail, though there may be notes; 1 usage, configuration or database out of reach; 2 something would fail."
}

// foundProblems is the exit code of a check that found something to mend.
const foundProblems = exitCode(2)

func (cmd *schemaCheckCmd) Run(ctx context.Context, c *console) error {
	db, err := schemaDatabase(ctx, c)
	if err != nil {
		return err
	}
	findings, err := schema.Check(ctx, db, cmd.Role)
	if err != nil {
		return err
	}
	problems := 0
	for _, f := range findings {
		if f.Level == schema.Problem {
			problems++
		}
		if cmd.JSON {
			line, err := json.Marshal(struct {
				Event string `json:"event"`
				schema.Finding
			}{"finding", f})
			if err != nil {
				return err
			}
			fmt.Fprintln(c.stdout, string(line))
			continue
		}
		printFinding(c.stdout, f)
	}
	if cmd.JSON {
		fmt.Fprintf(c.stdout, `{"event":"summary","problems":%d,"notes":%d}`+"\n", problems, len(findings)-problems)
	} else {
		fmt.Fprintf(c.stdout, "%s: %d problems, %d notes\n", db.Tracks, problems, len(findings)-problems)
	}
	if problems > 0 {
		return foundProblems
	}
	return nil
}

func printFinding(w io.Writer, f schema.Finding) {
	fmt.Fprintf(w, "%s (%s): %s\n", f.Level, f.Kind, f)
	if f.Fix != "" {
		fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(f.Fix, "\n", "\n    "))
	}
}

// doubt says on the standard error by what the platform's tracks might not be seen at all, for a command that would just
// say that there are none.
func (c *console) doubt(ctx context.Context, db schema.Database) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	findings, err := schema.Doubts(ctx, db)
	if err != nil {
		fmt.Fprintf(c.stderr, "trackstore: could not look whether tracks are hidden: %v\n", err)
		return
	}
	for _, f := range findings {
		if f.Level == schema.Problem || f.Kind != "row_security" {
			printFinding(c.stderr, f)
		}
	}
}
