// Package sweep settles what events missed and clears away what was given up: pending
// uploads are confirmed or expire, stale multipart uploads are aborted, and bytes that
// nothing names any more are removed when their grace is over.
//
// Every step may be done twice, by two sweeps at once, and be cut short anywhere: what a
// step leaves behind is what the next sweep begins with.
package sweep

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// Confirmer settles pending uploads whose bytes are there, and returns uploads as they
// then are; package ingest's.
type Confirmer interface {
	Confirm(ctx context.Context, uploads ...track.ID) ([]track.Upload, error)
	// Preview returns the same and changes nothing.
	Preview(ctx context.Context, uploads ...track.ID) ([]track.Upload, error)
}

// Uploads keeps tickets.
type Uploads interface {
	// UnsettledUploads lists pending uploads, those that end first, first.
	UnsettledUploads(ctx context.Context, after track.Upload, limit int) ([]track.Upload, error)
	// ExpireUploads expires those that are pending and overdue, and returns them. Their keys
	// become discards.
	ExpireUploads(ctx context.Context, ids []track.ID) ([]track.Upload, error)
	// UsedMultiparts returns the ids of those that somebody still sends parts to.
	UsedMultiparts(ctx context.Context, backend string, begun []track.Multipart) ([]string, error)
}

// Discards keeps the notes of bytes that are to go.
type Discards interface {
	// DeletedBytes lists what deleted tracks leave, when their grace is over.
	DeletedBytes(ctx context.Context, grace time.Duration, after track.Discard, limit int) ([]track.Discard, error)
	// NoteDiscards enters notes, those that are not there yet, and returns how many it did.
	NoteDiscards(ctx context.Context, discards []track.Discard) (int64, error)
	// DueDiscards lists notes whose grace is over, the oldest first.
	DueDiscards(ctx context.Context, backend string, grace time.Duration, after track.Discard, limit int) ([]track.Discard, error)
}

// Removals keeps how far a removal has come.
type Removals interface {
	// MarkDiscards marks notes, unless something names their bytes again: also a track that was
	// deleted within grace. It returns for each note that is still as it was whether it is
	// marked; those that are not are dropped. names has the other ways to write a note's path.
	MarkDiscards(ctx context.Context, discards []track.Discard, names [][]string, grace time.Duration) (marked map[int64]bool, err error)
	// WouldMarkDiscards returns the same and changes nothing.
	WouldMarkDiscards(ctx context.Context, discards []track.Discard, names [][]string, grace time.Duration) (marked map[int64]bool, err error)
	// DiscardsGone notes that the bytes of marked discards are removed.
	DiscardsGone(ctx context.Context, discards []track.Discard) error
}

// Store is the database.
type Store interface {
	Uploads
	Discards
	Removals
	// LocalPaths yields the file_path of every track that is local, and not deleted longer than
	// grace ago.
	LocalPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error]
	// ForgetDiscards drops notes of bytes that have long been gone.
	ForgetDiscards(ctx context.Context, grace time.Duration, limit int) (int64, error)
}

// Backend is a storage backend.
type Backend interface {
	Head(ctx context.Context, key, versionID string) (track.Object, error)
	List(ctx context.Context, prefix string) iter.Seq2[track.Object, error]
	// Delete removes every version of a key; one that is not there is no error.
	Delete(ctx context.Context, key string) error

	ListMultiparts(ctx context.Context, prefix string) iter.Seq2[track.Multipart, error]
	AbortMultipart(ctx context.Context, key, multipartID string) error
}

// Paths tells the ways to write the path of a file on disk.
type Paths interface {
	// PlainPaths returns those with no link in them: relative to the root, and absolute.
	PlainPaths(filePath string) ([]string, error)
	// OddPaths returns those of the paths that are not plain, by the plain relative one.
	OddPaths(filePaths iter.Seq2[string, error]) (map[string][]string, error)
}

// Config is what a Sweeper is made from.
type Config struct {
	Store     Store
	Confirm   Confirmer
	Backends  map[string]Backend // by name: track.Local, track.S3; what lies on others is left alone
	Paths     Paths              // of track.Local
	Grace     time.Duration      // how long discarded bytes stay
	UploadTTL time.Duration      // after which a multipart upload is stale
	Log       *slog.Logger
	Metrics   *metrics.Emitter // nil: none are written
}

// Options are of one sweep.
type Options struct {
	// DryRun changes nothing, and tells what would be done as things are now.
	DryRun bool
	// Report is told of everything that is done, or would be. nil: nobody is.
	Report func(Action)
}

// Action is one thing that a sweep does.
type Action struct {
	Do      string    `json:"do"` // confirm, expire, abort, remove or keep
	Backend string    `json:"backend"`
	Key     string    `json:"storage_key"`
	TrackID *track.ID `json:"track_id,omitempty"`
	Why     string    `json:"why,omitempty"`
}

// Counts is what a sweep did, or would do.
type Counts struct {
	Stored     int     `json:"stored"`  // uploads that were found complete
	Refused    int     `json:"refused"` // uploads whose bytes are not what was declared
	Aborted    int     `json:"aborted"` // uploads whose track was deleted
	Expired    int     `json:"expired"` // uploads that nothing came for
	Multiparts int     `json:"multiparts_aborted"`
	Deleted    int     `json:"deleted_tracks"` // tracks whose bytes became due
	Removed    int     `json:"removed"`        // objects and files
	Kept       int     `json:"kept"`           // objects and files that were due, and that something names
	Failures   int     `json:"failures"`       // steps that the next sweep tries again
	Seconds    float64 `json:"seconds"`
	Done       bool    `json:"done"` // false: time ran out
	DryRun     bool    `json:"dry_run,omitempty"`
}

// Sweeper sweeps. Its methods may be called concurrently.
type Sweeper struct {
	Config
}

// New returns a Sweeper. It opens nothing.
func New(c Config) *Sweeper { return &Sweeper{c} }

// Run sweeps once. It begins nothing new when ctx's deadline is near. Steps that fail are
// counted and logged, and do not keep others from being done; the error joins the first
// of them.
func (s *Sweeper) Run(ctx context.Context, o Options) (Counts, error) {
	r := newRun(ctx, s.Config, o)
	r.settleUploads()
	for name, b := range r.there {
		r.sweepMultiparts(name, b)
	}
	r.noteDeleted()
	for name, b := range r.there {
		r.sweepDiscards(name, b)
	}
	return r.finish()
}

// Input is the event of the function; others than its own, such as a schedule's, are empty.
type Input struct {
	DryRun bool `json:"dry_run"`
}

// Handle is Run for a function, which logs each action.
func (s *Sweeper) Handle(ctx context.Context, in Input) (Counts, error) {
	return s.Run(ctx, Options{DryRun: in.DryRun})
}
