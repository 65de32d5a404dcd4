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
	"trackstore/shared/diskstore"
	"trackstore/shared/ingest"
	"trackstore/shared/pgstore"
	"trackstore/shared/places/secrets"
	"trackstore/shared/s3store"
	"trackstore/shared/schema"
	"trackstore/shared/sweep"
	"trackstore/shared/upload"
)

// stores are what the handlers stand on.
type stores struct {
	db    *pgstore.Store
	admin *pgxpool.Pool // for what only the stack itself asks of the database
	disk  *diskstore.Store
	s3    *s3store.Store // nil: there is none
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
	change, err := schema.Up(ctx, url.Reveal())
	if err != nil {
		if !s.plan.postgres {
			err = fmt.Errorf("%w\n(DATABASE_URL is set, so the stack has no Postgres of its own; unset it to get one)", err)
		}
		return st, err
	}
	if change.From != change.To {
		s.say("schema: from version %d to %d", change.From, change.To)
	}
	if st.db, err = pgstore.Open(ctx, url.Reveal(), 0); err != nil {
		return st, err
	}
	if st.admin, err = pgxpool.New(ctx, url.Reveal()); err != nil {
		return st, err
	}
	s.foundations = append(s.foundations, closing("the pools of connections", func() {
		st.db.Close()
		st.admin.Close()
	}))

	if err := os.MkdirAll(cfg.Storage.LocalDir, 0o755); err != nil {
		return st, fmt.Errorf("TRACK_LOCAL_DIR: %w", err)
	}
	st.disk, err = diskstore.New(diskstore.Config{
		Root:           cfg.Storage.LocalDir,
		URL:            cfg.DiskServer.URL,
		Secret:         []byte(cfg.DiskServer.Secret.Reveal()),
		AllowedOrigins: cfg.Uploads.AllowedOrigins,
		OnCreate: func(_ context.Context, event []byte) error {
			s.queue.send(string(event))
			return nil
		},
		Logger: s.logger,
	})
	if err != nil {
		return st, err
	}
	if cfg.Storage.S3.Enabled {
		st.s3, err = s.openS3(ctx)
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

// openS3 opens the bucket, and creates it where it is absent.
func (s *stack) openS3(ctx context.Context) (*s3store.Store, error) {
	cfg := s.settings.api.Storage.S3
	access := awsdefault.Load
	if s.s3 != nil {
		access = func(context.Context) (aws.Config, error) {
			return aws.Config{Credentials: credentials.NewStaticCredentialsProvider(s.s3.AccessKey, s.s3.SecretKey, "")}, nil
		}
	}
	loaded, err := access(ctx)
	if err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.Region = cfg.Region
		o.UsePathStyle = cfg.ForcePathStyle
		if cfg.Endpoint != nil {
			o.BaseEndpoint = aws.String(cfg.Endpoint.String())
		}
	})
	if err := ensureBucket(ctx, client, cfg, s.storageOrigins(), s.s3 != nil); err != nil {
		if s.s3 == nil {
			err = fmt.Errorf("%w\n(AWS_S3_ENDPOINT is set, so the stack has no S3 server of its own; unset it to get one)", err)
		}
		return nil, err
	}
	return s3store.Open(ctx, cfg, access)
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

// backend is what a store of bytes is to all handlers.
type backend interface {
	Name() string
	upload.Backend
	ingest.Backend
	sweep.Backend
}

func (st stores) backends() []backend {
	if st.s3 == nil {
		return []backend{st.disk}
	}
	return []backend{st.disk, st.s3}
}
