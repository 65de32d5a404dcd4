// Package secrets reads from AWS Secrets Manager what the configuration only names.
package secrets

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"trackstore/shared/config"
)

// DatabaseURL returns the URL of the database. Only where db names a secret is AWS asked,
// in the region of the secret's ARN; options are for tests. No error holds any part of the
// secret's value.
func DatabaseURL(ctx context.Context, db config.Database, options ...func(*awsconfig.LoadOptions) error) (config.Secret, error) {
	if db.SecretARN == "" {
		return db.URL, nil
	}
	value, err := read(ctx, db.SecretARN, options)
	if err != nil {
		return config.Secret{}, fmt.Errorf("read DATABASE_SECRET_ARN: %w", err)
	}
	url, err := databaseURL(db.URL.Reveal(), value)
	if err != nil {
		return config.Secret{}, fmt.Errorf("the secret that DATABASE_SECRET_ARN names %w", err)
	}
	return config.NewSecret(url), nil
}

func read(ctx context.Context, arn string, options []func(*awsconfig.LoadOptions) error) (string, error) {
	region := strings.Split(arn, ":")[3] // of arn:aws:secretsmanager:region:account:secret:name; see rule 2
	cfg, err := awsconfig.LoadDefaultConfig(ctx, append([]func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(region)}, options...)...)
	if err != nil {
		return "", err
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(arn)})
	if err != nil {
		return "", err
	}
	if out.SecretString == nil {
		return string(out.SecretBinary), nil
	}
	return *out.SecretString, nil
}
