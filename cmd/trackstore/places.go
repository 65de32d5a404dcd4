package main

import (
	"context"
	"errors"

	"trackstore/internal/awsdefault"
	"trackstore/shared/places"
	"trackstore/shared/track"
)

// openPlaces opens what cfg names, with the credentials that the AWS tools find, over a database that has trackstore's
// tables. Only the database is dialled. Where this fails the process ends: closing could wait for a database that does not
// answer.
func openPlaces(ctx context.Context, cfg places.Config) (*places.Places, error) {
	cfg.Access = awsdefault.Load
	p, err := places.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err = p.Database.CheckSchema(ctx); errors.Is(err, track.ErrNoSchema) {
		err = withHint(err, "trackstore schema up makes the tables")
	}
	return p, err
}
