// Package secrets reads from AWS Secrets Manager what the configuration only names.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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
// word of why.
const patience = 5 * time.Second

func read(ctx context.Context, arn string, access awsaccess.Loader) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	region := strings.Split(arn, ":")[3] // of arn:aws:secretsmanager:region:account:secret:name; see rule 2
	manager := awsaccess.Service{Name: "secretsmanager", Region: region, Access: access}
	var secret struct {
		SecretString *string
		SecretBinary []byte
	}
	for pause := 100 * time.Millisecond; ; pause *= 2 {
		err := manager.Call(ctx, "secretsmanager.GetSecretValue", map[string]string{"SecretId": arn}, &secret)
		var answer *awsaccess.StatusError
		switch {
		case err == nil && secret.SecretString != nil:
			return *secret.SecretString, nil
		case err == nil:
			return string(secret.SecretBinary), nil
		case errors.As(err, &answer) && !answer.Temporary(), ctx.Err() != nil:
			return "", err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return "", err
		}
	}
}
