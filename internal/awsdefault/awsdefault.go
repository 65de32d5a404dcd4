// Package awsdefault finds credentials and certificates as the AWS tools do. It takes a third of a function's start, so it
// is for commands.
package awsdefault

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Load is an awsaccess.Loader: it looks in the environment, in the shared files, and for the role of the machine.
func Load(ctx context.Context) (aws.Config, error) {
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	return loaded, nil
}
