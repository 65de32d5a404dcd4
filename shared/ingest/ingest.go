// Package ingest settles uploads whose bytes have come: it looks at the object, compares
// it with the ticket, and makes the track point at it. Three ways lead here: S3's events
// (Handle), a client's call to complete an upload and the sweep (Confirm).
//
// All of it may be done again, at once and in any order: only a pending upload is
// settled, its key is its own for ever, and of two files for one track the later ticket's
// wins. So duplicates and late events change nothing, and a failure half-way is made good
// by trying again.
package ingest

import (
	"context"
	"io"
	"log/slog"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// Backend is what is asked of a storage backend.
type Backend interface {
	// Bucket is the name that the backend has in events.
	Bucket() string
	// Head returns what is stored under a key, in the current version where versionID is
	// empty; track.ErrNotFound where nothing is.
	Head(ctx context.Context, key, versionID string) (track.Object, error)
	// Open reads length bytes from offset on; a negative length reads to the end.
	Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error)
}

// Uploads keeps tickets, and the tracks that they are for.
type Uploads interface {
	// UploadsByKey returns the uploads that bear keys; keys that none bears are left out.
	UploadsByKey(ctx context.Context, keys []string) ([]track.Upload, error)
	// UploadsByID returns the uploads of these ids; those that are not there are left out.
	UploadsByID(ctx context.Context, ids []track.ID) ([]track.Upload, error)
	// SettleUploads settles the pending ones among these uploads in one statement: the
	// upload, its track, and the bytes that nothing names any more. It returns the uploads
	// that this call settled; the others were settled before. It may be repeated.
	SettleUploads(ctx context.Context, findings []track.Finding) ([]track.Upload, error)
	// WouldSettleUploads returns the same and changes nothing.
	WouldSettleUploads(ctx context.Context, findings []track.Finding) ([]track.Upload, error)
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
}

// New returns an Ingester. It opens nothing.
func New(c Config) *Ingester { return &Ingester{c} }
