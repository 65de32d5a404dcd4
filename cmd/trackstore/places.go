package main

import (
	"context"
	"errors"
	"fmt"

	"trackstore/internal/awsdefault"
	"trackstore/shared/places"
	"trackstore/shared/track"
)

// openPlaces opens what cfg names, with the credentials that the AWS tools find, over a database that has trackstore's
// tables, and says where it works. Only the database is dialled. Where this fails the process ends: closing could wait for a
// database that does not answer.
func (c *console) openPlaces(ctx context.Context, cfg places.Config) (*places.Places, error) {
	cfg.Access, cfg.Meant, cfg.Requests = awsdefault.Load, c.meant, c.requests
	p, err := places.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(c.stderr, p)
	if err = p.Database.CheckSchema(ctx); errors.Is(err, track.ErrNoSchema) {
		err = withHint(err, "trackstore schema up makes the tables")
	}
	return p, err
}
