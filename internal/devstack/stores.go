package devstack

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/awsdefault"
	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/places"
	"trackstore/shared/places/secrets"
	"trackstore/shared/schema"
)

// stores are what the handlers stand on.
type stores struct {
	*places.Places
	admin *pgxpool.Pool // for what only the stack itself asks of the database
}

// openStores opens the stores, and sees to it that there is a schema, a bucket and a folder in them.
func (s *stack) openStores(ctx context.Context) (st stores, err error) {
	// Where the servers are is known only now.
	if s.settings, err = s.env.settings(); err != nil {
		return st, err
	}
	cfg := s.settings.api
	url, err := secrets.DatabaseURL(ctx, cfg.Database, awsdefault.Load)
	if err != nil {
		return st, err
	}
	change, err := schema.Up(ctx, schema.Database{URL: url.Reveal()})
	if err != nil {
		if !s.plan.postgres {
			err = fmt.Errorf("%w\n(DATABASE_URL is set, so the stack has no Postgres of its own; unset it to get one)", err)
		}
		return st, err
	}
	if change.From != change.To {
		s.say("schema: from version %d to %d", change.From, change.To)
	}
	if err := os.MkdirAll(cfg.Storage.LocalDir, 0o755); err != nil {
		return st, fmt.Errorf("TRACK_LOCAL_DIR: %w", err)
	}
	access := s.access()
	if cfg.Storage.S3.Enabled {
		if err := s.prepareBucket(ctx, access); err != nil {
			return st, err
		}
	}
	if st.admin, err = pgxpool.New(ctx, url.Reveal()); err != nil {
		return st, err
	}
	s.foundations = append(s.foundations, closing("the stack's own connections", st.admin.Close))
	opened := cfg.Places
	opened.Database = config.Database{URL: url} // the secret is read by now
	st.Places, err = places.Open(ctx, places.Config{
		Places:         opened,
		AllowedOrigins: cfg.Uploads.AllowedOrigins,
		OnCreate: func(_ context.Context, event []byte) error {
			s.queue.send(string(event))
			return nil
		},
		Access: access,
		Log:    s.logger,
	})
	if err == nil {
		s.foundations = append(s.foundations, closing("the pool of connections", st.Close))
	}
	return st, err
}

// closing is a part whose end cannot be hurried.
func closing(name string, f func()) part {
	return part{name, func(ctx context.Context) error {
		done := make(chan struct{})
		go func() {
			defer close(done)
			f()
		}()
		return wait(ctx, done)
	}}
}

// access are the credentials of the stack's own S3 server, or those that the AWS tools find.
func (s *stack) access() awsaccess.Loader {
	if s.s3 == nil {
		return awsdefault.Load
	}
	return func(context.Context) (aws.Config, error) {
		return aws.Config{Credentials: credentials.NewStaticCredentialsProvider(s.s3.AccessKey, s.s3.SecretKey, "")}, nil
	}
}

// prepareBucket creates the bucket where it is absent.
func (s *stack) prepareBucket(ctx context.Context, access awsaccess.Loader) error {
	cfg := s.settings.api.Storage.S3
	loaded, err := access(ctx)
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.Region = cfg.Region
		o.UsePathStyle = cfg.ForcePathStyle
		if cfg.Endpoint != nil {
			o.BaseEndpoint = aws.String(cfg.Endpoint.String())
		}
	})
	err = ensureBucket(ctx, client, cfg, s.storageOrigins(), s.s3 != nil)
	if err != nil && s.s3 == nil {
		err = fmt.Errorf("%w\n(AWS_S3_ENDPOINT is set, so the stack has no S3 server of its own; unset it to get one)", err)
	}
	return err
}

// storageOrigins are those whose pages may use the bucket: who may use the API, and the console page, which the stack
// serves itself, under either name of this machine.
func (s *stack) storageOrigins() []string {
	origins := s.settings.api.Uploads.AllowedOrigins
	if slices.Contains(origins, "*") {
		return origins
	}
	return append(slices.Clone(origins), s.url, strings.Replace(s.url, "127.0.0.1", "localhost", 1))
}
