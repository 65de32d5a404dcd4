// Package secrets reads from AWS Secrets Manager what the configuration only names.
package secrets

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
)

// DatabaseURL returns the URL of the database. Only where db names a secret is AWS asked,
// in the region of the secret's ARN, as access says, and for five seconds at most. No error
// holds any part of the secret's value.
func DatabaseURL(ctx context.Context, db config.Database, access awsaccess.Loader) (config.Secret, error) {
	if db.SecretARN == "" {
		return db.URL, nil
	}
	value, err := read(ctx, db.SecretARN, access)
	if err != nil {
		return config.Secret{}, fmt.Errorf("read DATABASE_SECRET_ARN: %w", err)
	}
	url, err := databaseURL(db.URL.Reveal(), value)
	if err != nil {
		return config.Secret{}, fmt.Errorf("the secret that DATABASE_SECRET_ARN names %w", err)
	}
	return config.NewSecret(url), nil
}

// Database returns DatabaseURL of db and access, for whoever asks again after a rotation.
func Database(db config.Database, access awsaccess.Loader) func(context.Context) (config.Secret, error) {
	return func(ctx context.Context) (config.Secret, error) { return DatabaseURL(ctx, db, access) }
}

// patience is how long a secret is waited for. Lambda gives a function ten seconds to start in, and ends it with no
// word of why; without a way to Secrets Manager, the SDK alone would go on for longer.
const patience = 5 * time.Second

func read(ctx context.Context, arn string, access awsaccess.Loader) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cfg, err := access(ctx)
	if err != nil {
		return "", err
	}
	cfg.Region = strings.Split(arn, ":")[3] // of arn:aws:secretsmanager:region:account:secret:name; see rule 2
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(arn)})
	if err != nil {
		return "", err
	}
	if out.SecretString == nil {
		return string(out.SecretBinary), nil
	}
	return *out.SecretString, nil
}
