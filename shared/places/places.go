// Package places opens the places where tracks lie, the disk and the bucket, and the database that knows them, as the
// configuration says: for the functions, the commands and the local stack alike. Each proves who it is before it is worked
// with: the volume may not be mounted, and the bucket may be that of another environment.
package places

import (
	"context"
	"fmt"
	"log/slog"

	"trackstore/shared/cloudfront"
	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/diskstore"
	"trackstore/shared/pgstore"
	"trackstore/shared/places/secrets"
	"trackstore/shared/s3store"
)

// Config says what is opened.
type Config struct {
	config.Places
	Connections int32            // to the database, at most; 0: what its URL says, else pgx's default
	Requests    int              // to S3 at once, at most; 0: any number
	Access      awsaccess.Loader // credentials for AWS
	Log         *slog.Logger
	Meant       Meant // by an operator

	// Of a program that is the disk's server itself: see diskstore.Config.
	AllowedOrigins []string
	OnCreate       func(ctx context.Context, event []byte) error
}

// Places are what a program works with.
type Places struct {
	Database *pgstore.Store
	Disk     *diskstore.Store // nil: the configuration names no folder
	Bucket   *s3store.Store   // nil: S3 is not enabled
}

// String names them, for people: the database alone for a program that works with nothing else.
func (p *Places) String() string {
	if p.Disk == nil && p.Bucket == nil {
		return "database " + p.Database.Name()
	}
	disk, bucket := "none", "none"
	if p.Disk != nil {
		disk = p.Disk.Root()
	}
	if p.Bucket != nil {
		bucket = p.Bucket.Bucket()
	}
	return fmt.Sprintf("disk %s, bucket %s, database %s", disk, bucket, p.Database.Name())
}

// Open opens all that cfg names. It dials nothing, but for the secret where the database has one: a function's cold start
// waits for no server. Disk and bucket are asked who they are when they are first worked with.
func Open(ctx context.Context, cfg Config) (*Places, error) {
	database, err := OpenDatabase(ctx, cfg.Database, cfg.Connections, cfg.Access)
	if err != nil {
		return nil, err
	}
	p := &Places{Database: database}
	if err := p.open(ctx, cfg); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Places) open(ctx context.Context, cfg Config) (err error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	who := &identity{lookOnly: cfg.Meant.LookOnly, database: p.Database, log: cfg.Log}
	who.newRoot.Store(cfg.Meant.NewRoot)
	who.newBucket.Store(cfg.Meant.NewBucket)
	if cfg.Storage.LocalDir != "" {
		disk := diskstore.Config{
			Root:           cfg.Storage.LocalDir,
			URL:            cfg.DiskServer.URL,
			Secret:         []byte(cfg.DiskServer.Secret.Reveal()),
			AllowedOrigins: cfg.AllowedOrigins,
			OnCreate:       cfg.OnCreate,
			Logger:         cfg.Log,
		}
		if who.disk, err = diskstore.New(disk); err != nil {
			return err
		}
		disk.Prove = who.proveRoot
		if p.Disk, err = diskstore.New(disk); err != nil {
			return err
		}
	}
	if cfg.Storage.S3.Enabled {
		p.Bucket, err = s3store.Open(ctx, cfg.Storage.S3, cfg.Access, cfg.Requests, who.proveBucket)
		who.bucket = p.Bucket
	}
	return err
}

// OpenDatabase opens the database alone. A secret may be rotated while the program runs, and is then read anew; a password
// that the configuration holds itself is right or wrong at once.
func OpenDatabase(ctx context.Context, db config.Database, connections int32, access awsaccess.Loader) (*pgstore.Store, error) {
	var store *pgstore.Store
	var err error
	if db.SecretARN == "" {
		store, err = pgstore.Open(ctx, db.URL.Reveal(), connections)
	} else {
		store, err = pgstore.OpenSecret(ctx, secrets.Database(db, access), connections)
	}
	if err != nil {
		return nil, err
	}
	return store.Over(db.Tracks), nil
}

// Close waits for connections in use, and closes all.
func (p *Places) Close() { p.Database.Close() }

// CDN returns the distribution that tracks on S3 are played by, as S, the interface of the
// capability that signs its URLs; none where none is configured.
func CDN[S any](cfg config.CDN) (none S) {
	if !cfg.Enabled() {
		return none
	}
	return any(cloudfront.New(cfg)).(S)
}

// Elsewhere returns what finds another bucket by its name, as B, the interface of the capability that reads there: one of
// earlier, which tracks name. It panics where a bucket does not fulfil B.
func Elsewhere[B any](bucket *s3store.Store) func(name string) (B, error) {
	return func(name string) (B, error) {
		other, err := bucket.In(name)
		return any(other).(B), err
	}
}

// Backends returns the storage backends by their names, as B, the interface of the capability that works with them. It
// panics where a store does not fulfil B.
func Backends[B any](p *Places) map[string]B {
	stores := map[string]any{p.Disk.Name(): p.Disk}
	if p.Bucket != nil {
		stores[p.Bucket.Name()] = p.Bucket
	}
	backends := make(map[string]B, len(stores))
	for name, store := range stores {
		backends[name] = store.(B)
	}
	return backends
}
