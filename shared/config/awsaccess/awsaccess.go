// Package awsaccess says how AWS is called: with whose credentials, and trusting which certificates.
//
// Programs differ in that. A function has its role's keys in the environment, and pays for everything else at each cold
// start; a command finds them in all the ways of the AWS tools, which are in package awsdefault.
package awsaccess

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Loader returns credentials, and where it matters an HTTP client. It is called when AWS is about to be needed.
type Loader func(context.Context) (aws.Config, error)

// OfFunction takes the credentials that Lambda puts into a function's environment, which last as long as the process.
func OfFunction(getenv func(string) string) Loader {
	return func(context.Context) (aws.Config, error) {
		return aws.Config{Credentials: credentials.NewStaticCredentialsProvider(
			getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN"),
		)}, nil
	}
}
