package main

import (
	"context"
	"errors"
	"fmt"

	"trackstore/internal/awsdefault"
	"trackstore/shared/config"
	"trackstore/shared/places/secrets"
	"trackstore/shared/schema"
)

type schemaCmd struct {
	Check   schemaCheckCmd   `cmd:"" help:"Say, with nothing changed, what of the platform's table would not work, and what to do about it."`
	Up      schemaUpCmd      `cmd:"" help:"Apply every migration that is missing."`
	Down    schemaDownCmd    `cmd:"" help:"Take back the last migrations; refused where that would lose track of bytes."`
	Version schemaVersionCmd `cmd:"" help:"Print the version that the database is at; 0 is none."`
	Grants  schemaGrantsCmd  `cmd:"" help:"Print the SQL that gives a role what each function needs."`
}

type (
	schemaUpCmd struct {
		Create bool `help:"Make a table of tracks although another one looks like a platform's."`
	}
	schemaDownCmd struct {
		Steps int  `default:"1" help:"How many migrations to take back."`
		All   bool `help:"Take back all of them: the database is then as it was before trackstore came."`
	}
	schemaVersionCmd struct{}
	schemaGrantsCmd  struct {
		Role string `required:"" help:"The role that the functions connect as."`
	}
)

// Help is shown by --help.
func (schemaUpCmd) Help() string {
	return "The platform's table is the one that TRACKS_TABLE names. A table that trackstore cannot work with is refused before " +
		"anything is changed; trackstore schema check says more about it. Where there is no such table, one is made, unless " +
		"another table of the database looks like a platform's."
}

// Help is shown by --help.
func (schemaDownCmd) Help() string {
	return "Drops what trackstore made, and nothing that was there before. Stop the functions first. What is noted for removal " +
		"and still there is named: nothing else knows of it once the schema is gone."
}

// Help is shown by --help.
func (schemaGrantsCmd) Help() string {
	return "For each function a comment with its name, then its statements; the statements of one function are no more than it " +
		"needs. trackstore schema up itself runs as the owner of the platform's table."
}

func (cmd schemaUpCmd) Run(ctx context.Context, c *console) error {
	db, err := schemaDatabase(ctx, c)
	if err != nil {
		return err
	}
	db.Create = cmd.Create
	change, err := schema.Up(ctx, db)
	var refusal *schema.Refusal
	if errors.As(err, &refusal) {
		err = withHint(err, "trackstore schema check says everything that there is to say about the table")
	}
	if err := c.reportSchema(change, err); err != nil {
		return err
	}
	c.doubt(ctx, db)
	return nil
}

func (cmd *schemaDownCmd) Run(ctx context.Context, c *console) error {
	if cmd.Steps < 1 {
		return withHint(fmt.Errorf("--steps is %d", cmd.Steps), "take back at least 1 migration")
	}
	db, err := schemaDatabase(ctx, c)
	if err != nil {
		return err
	}
	if !cmd.All {
		change, err := schema.Down(ctx, db, cmd.Steps)
		return c.reportSchema(change, err)
	}
	noted, err := schema.Noted(ctx, db)
	if err != nil {
		return err
	}
	change, err := schema.Down(ctx, db, schema.All)
	if err := c.reportSchema(change, err); err != nil || len(noted) == 0 {
		return err
	}
	fmt.Fprintf(c.stdout, "these %d were noted for removal, stay where they are, and are named by nothing any more:\n", len(noted))
	for _, name := range noted {
		fmt.Fprintln(c.stdout, " ", name)
	}
	return nil
}

func (schemaVersionCmd) Run(ctx context.Context, c *console) error {
	db, err := schemaDatabase(ctx, c)
	if err != nil {
		return err
	}
	version, dirty, err := schema.Version(ctx, db.URL)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, version)
	if dirty {
		return withHint(errors.New("a migration was cut short, or is under way"), "trackstore schema up finishes what was cut short")
	}
	return nil
}

func (cmd *schemaGrantsCmd) Run(ctx context.Context, c *console) error {
	db, err := schemaDatabase(ctx, c)
	if err != nil {
		return err
	}
	text, err := schema.Grants(ctx, db, cmd.Role)
	if err == nil {
		fmt.Fprint(c.stdout, text)
	}
	return err
}

func (c *console) reportSchema(change schema.Change, err error) error {
	switch {
	case err != nil:
		return err
	case change.From == change.To:
		fmt.Fprintf(c.stdout, "the schema is at version %d; nothing to do\n", change.To)
	default:
		fmt.Fprintf(c.stdout, "the schema went from version %d to %d\n", change.From, change.To)
	}
	return nil
}

// schemaDatabase reads where the database is, and which table is the platform's.
func schemaDatabase(ctx context.Context, c *console) (schema.Database, error) {
	cfg, err := config.Load[config.MigrateSchema](c.getenv)
	if err != nil {
		return schema.Database{}, withHint(err, envHint)
	}
	return databaseOf(ctx, cfg.Database)
}

func databaseOf(ctx context.Context, db config.Database) (schema.Database, error) {
	url, err := secrets.DatabaseURL(ctx, db, awsdefault.Load)
	return schema.Database{URL: url.Reveal(), Tracks: db.Tracks}, err
}

// envHint tells where the variables of the local stack are to be had.
const envHint = "the running local stack writes its variables to .local/env: set -a; . .local/env; set +a"
