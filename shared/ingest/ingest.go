// Package ingest settles uploads whose bytes have come: it looks at the object, compares
// it with the ticket, and makes the track point at it. Three ways lead here: S3's events
// (Handle), a client's call to complete an upload and the sweep (Confirm).
//
// All of it may be done again, at once and in any order: only an open upload is
// settled, its key is its own for ever, and of two files for one track the later ticket's
// wins. So duplicates and late events change nothing, and a failure half-way is made good
// by trying again.
package ingest

import (
	"context"
	"io"
	"log/slog"
	"time"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// Backend is what is asked of a storage backend. Nothing here changes it, and all may be
// repeated. Every error but track.ErrNotFound says nothing about the bytes: the upload stays
// as it is, and is looked at again.
type Backend interface {
	// Bucket is the name that the backend has in events.
	Bucket() string
	// Head returns what is stored under a key, in the current version where versionID is
	// empty. track.ErrNotFound: nothing is; a bucket that is not there says the same.
	Head(ctx context.Context, key, versionID string) (track.Object, error)
	// Open reads length bytes from offset on; a negative length reads to the end. A body may
	// be cut short without an error: who reads it compares its length. The caller closes it.
	Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error)
}

// Uploads keeps tickets, and the tracks that they are for.
type Uploads interface {
	// UploadsByKey returns the uploads that bear keys, whatever their state, in any order;
	// keys that none bears are left out. It reads only.
	UploadsByKey(ctx context.Context, keys []string) ([]track.Upload, error)
	// UploadsByID returns the uploads of these ids, in any order; those that are not there
	// are left out. It reads only.
	UploadsByID(ctx context.Context, ids []track.ID) ([]track.Upload, error)
	// SettleUploads settles the open ones among these uploads: the upload, its track, and the
	// notes of bytes that nothing names any more, together or not at all for each. An expired
	// one whose bytes are about to be removed, or that a later file of its track has overtaken,
	// stays expired. One that the platform's table refuses, or has locked, holds up no other and
	// is named with the reason. It may be repeated, and run beside others of its kind: an upload
	// is settled once. A dry run returns the same and changes nothing.
	//
	// After track.ErrUnavailable they may be settled: repeat it, or read them again.
	SettleUploads(ctx context.Context, findings []track.Finding, dryRun bool) (track.Settlement, error)
	Readings
}

// Readings keeps how far the bytes of large uploads were read for a checksum that the storage
// does not know.
type Readings interface {
	// BeginReading returns how far the version of r was read, and has it for the caller alone
	// for hold. track.ErrLocked: somebody else reads it, or the upload is given up.
	BeginReading(ctx context.Context, r track.Reading, hold time.Duration) (track.Reading, error)
	// SaveReading keeps how far it was read, and has it for another hold; 0 sets it free. It may
	// be repeated. Where it fails, that much is read again.
	SaveReading(ctx context.Context, r track.Reading, hold time.Duration) error
}

// Config is what an Ingester is made from.
type Config struct {
	Uploads  Uploads
	Backends map[string]Backend // by name: track.Local, track.S3
	Log      *slog.Logger
	Metrics  *metrics.Emitter // nil: none are written
}

// Ingester settles uploads. Its methods may be called concurrently.
type Ingester struct {
	Config
	reading chan struct{} // has one place: one large object is read at a time
}

// New returns an Ingester. It opens nothing.
func New(c Config) *Ingester { return &Ingester{c, make(chan struct{}, 1)} }
