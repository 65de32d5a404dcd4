// Function migrate-schema brings the database's schema up, as a resource of the stack or invoked by hand with {}.
package main

import (
	"context"
	"os"

	"trackstore/shared/config"
	"trackstore/shared/function/boot"
	"trackstore/shared/function/resource"
	"trackstore/shared/places/secrets"
	"trackstore/shared/schema"
)

func main() {
	resource.Start(os.Getenv, resource.Resource[config.MigrateSchema, schema.Change]{ID: "trackstore-schema", Load: config.Load[config.MigrateSchema], Up: up})
}

func up(ctx context.Context, cfg config.MigrateSchema, r boot.Runtime) (schema.Change, error) {
	url, err := secrets.DatabaseURL(ctx, cfg.Database, r.Access)
	if err != nil {
		return schema.Change{}, err
	}
	return schema.Up(ctx, schema.Database{URL: url.Reveal(), Tracks: cfg.Database.Tracks})
}
