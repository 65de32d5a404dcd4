// Function migrate-schema brings the database's schema up: as a resource of the stack, so
// that a failed migration fails the deployment, or invoked by hand with {}.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-lambda-go/lambda"

	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/function/deadline"
	"trackstore/shared/places/secrets"
	"trackstore/shared/schema"
)

func main() { lambda.Start(handle) }

func handle(ctx context.Context, request cfn.Event) (any, error) {
	if request.ResponseURL == "" {
		return up(ctx)
	}
	return cfn.LambdaWrap(resource)(ctx, request)
}

// resource answers CloudFormation. Its error becomes the answer FAILED; without an answer
// the deployment would wait for long before it fails.
func resource(ctx context.Context, request cfn.Event) (id string, data map[string]any, err error) {
	const resourceID = "trackstore-schema"
	if request.RequestType == cfn.RequestDelete {
		return resourceID, nil, nil // the tracks outlive the stack, and so does their schema
	}
	change, err := up(ctx)
	return resourceID, map[string]any{"From": change.From, "To": change.To}, err
}

// up reads the configuration only now: at the start, nobody could be told what is wrong with it.
func up(ctx context.Context) (schema.Change, error) {
	ctx, cancel := deadline.Early(ctx, 20*time.Second) // to answer CloudFormation in
	defer cancel()
	cfg, err := config.Load[config.MigrateSchema](os.Getenv)
	if err != nil {
		return schema.Change{}, err
	}
	database, err := secrets.DatabaseURL(ctx, cfg.Database, awsaccess.OfFunction(os.Getenv))
	if err != nil {
		return schema.Change{}, err
	}
	log := cfg.Logger(os.Stderr)
	change, err := schema.Up(ctx, database.Reveal())
	log.InfoContext(ctx, "schema up", "from", change.From, "to", change.To, "err", err)
	return change, err
}
