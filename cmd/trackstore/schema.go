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
	Up      schemaUpCmd      `cmd:"" help:"Apply every migration that is missing."`
	Down    schemaDownCmd    `cmd:"" help:"Take back the last migrations; refused where that would lose track of bytes."`
	Version schemaVersionCmd `cmd:"" help:"Print the version that the database is at; 0 is none."`
}

type (
	schemaUpCmd   struct{}
	schemaDownCmd struct {
		Steps int `default:"1" help:"How many migrations to take back."`
	}
	schemaVersionCmd struct{}
)

func (schemaUpCmd) Run(ctx context.Context, c *console) error {
	url, err := databaseURL(ctx, c)
	if err != nil {
		return err
	}
	change, err := schema.Up(ctx, schema.Database{URL: url})
	return c.reportSchema(change, err)
}

func (cmd *schemaDownCmd) Run(ctx context.Context, c *console) error {
	if cmd.Steps < 1 {
		return withHint(fmt.Errorf("--steps is %d", cmd.Steps), "take back at least 1 migration")
	}
	url, err := databaseURL(ctx, c)
	if err != nil {
		return err
	}
	change, err := schema.Down(ctx, schema.Database{URL: url}, cmd.Steps)
	return c.reportSchema(change, err)
}

func (schemaVersionCmd) Run(ctx context.Context, c *console) error {
	url, err := databaseURL(ctx, c)
	if err != nil {
		return err
	}
	version, dirty, err := schema.Version(ctx, url)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, version)
	if dirty {
		return withHint(errors.New("a migration was cut short, or is under way"), "trackstore schema up finishes what was cut short")
	}
	return nil
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

// databaseURL reads where the database is.
func databaseURL(ctx context.Context, c *console) (string, error) {
	cfg, err := config.Load[config.MigrateSchema](c.getenv)
	if err != nil {
		return "", withHint(err, envHint)
	}
	url, err := secrets.DatabaseURL(ctx, cfg.Database, awsdefault.Load)
	return url.Reveal(), err
}

// envHint tells where the variables of the local stack are to be had.
const envHint = "the running local stack writes its variables to .local/env: set -a; . .local/env; set +a"
