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

// Confirmer settles open uploads whose bytes are there; package ingest's.
type Confirmer interface {
	// ConfirmEach looks at each upload once. Those whose bytes are not there stay as they are;
	// one that could not be looked at or settled holds up no other. It may be repeated. A dry
	// run returns the same and changes nothing. The error is where none could be read.
	ConfirmEach(ctx context.Context, ids []track.ID, dryRun bool) ([]track.Confirmation, error)
}

// Uploads keeps tickets.
type Uploads interface {
	// UnsettledUploads lists pending uploads, those that end first, first, and notes them as
	// looked at. A crash after it leaves them to the next sweep.
	UnsettledUploads(ctx context.Context, spec track.LookSpec) ([]track.Upload, error)
	// LateUploads lists expired uploads whose grace is not over, the newest first, and notes
	// them as looked at. Those whose removal has begun are left out.
	LateUploads(ctx context.Context, spec track.LookSpec) ([]track.Upload, error)
	// UploadsByKey returns the uploads that bear keys. It reads only.
	UploadsByKey(ctx context.Context, keys []string) ([]track.Upload, error)
	// ExpireUploads expires those that are pending and overdue by the database's clock, and
	// returns them. The same statement notes their keys for removal. It may be repeated: what
	// is expired is not returned again. After track.ErrUnavailable they may be expired.
	ExpireUploads(ctx context.Context, ids []track.ID) ([]track.Upload, error)
	// SettleNewTracks looks at up to limit uploads that came to nothing longer than age ago, from a position on, for tracks
	// that never got a file. It fails those that still wait, and marks those as deleted that were left alone for longer than
	// grace. It may be repeated. The error joins those of tracks that the platform's table refuses: the others were looked at all the same.
	SettleNewTracks(ctx context.Context, grace, age time.Duration, after string, limit int) (failed, deleted int64, of track.LookedAt, err error)
	// UsedMultiparts returns the ids of those that somebody still sends parts to. It reads only.
	UsedMultiparts(ctx context.Context, backend string, begun []track.Multipart) ([]string, error)
}

// Discards keeps the notes of bytes that are to go.
type Discards interface {
	// DeletedBytes looks at up to limit tracks whose deletion is longer than grace ago, from a position on, and lists what
	// those leave that is not noted yet. It reads only.
	DeletedBytes(ctx context.Context, grace time.Duration, after string, limit int) ([]track.Discard, track.LookedAt, error)
	// NoteDiscards enters notes, those that are not there yet, and returns how many it did. It
	// may be repeated; after track.ErrUnavailable they may be there. One that the database does
	// not take is track.ErrRefused, and the others are entered.
	NoteDiscards(ctx context.Context, discards []track.Discard) (int64, error)
	// DueDiscards lists up to limit notes of a backend whose grace is over and whose bytes are
	// not known to be gone, the oldest first, from the one after "after" on: also those that
	// are marked already, for their removal may have been cut short. It reads only.
	DueDiscards(ctx context.Context, backend string, grace time.Duration, after track.Discard, limit int) ([]track.Discard, error)
}

// Removals keeps how far a removal has come: marked, then gone (R6).
type Removals interface {
	// MarkDiscards marks notes, unless something names their bytes again, or needs them: also a track that
	// was deleted within grace. It returns for each note that is still as it was whether it is
	// marked; those that are not are dropped. names has the other ways to write a note's path.
	// A dry run returns the same and changes nothing.
	//
	// Once a mark is committed, no row is made to name the bytes. It may be repeated; after
	// track.ErrUnavailable they may be marked, and nothing may be removed until it says so.
	MarkDiscards(ctx context.Context, discards []track.Discard, names [][]string, grace time.Duration, dryRun bool) (marked map[int64]bool, err error)
	// MayGo reports whether the bytes of a note may be removed at this moment: it is as it was,
	// still marked, and not longer than grace ago, by the database's clock. It reads only.
	MayGo(ctx context.Context, d track.Discard, grace time.Duration) (bool, error)
	// DiscardsGone notes that the bytes of marked discards are removed. It may be repeated;
	// where it fails, the notes are due again, and to remove bytes twice is no error.
	DiscardsGone(ctx context.Context, discards []track.Discard) error
}

// Pins tells which versions of objects rows need, and keeps how far a sweep has come.
type Pins interface {
	// PinnedVersions returns the versions of an object that rows pin, the empty string among them
	// where one names it without a version, or has pinned it for less than grace. None: no row names it. It reads only.
	PinnedVersions(ctx context.Context, key string, grace time.Duration) ([]string, error)
	// SweepPosition returns where to go on below a prefix, or in another walk that takes several sweeps; empty: at the first.
	SweepPosition(ctx context.Context, prefix string) (after string, err error)
	// KeepSweepPosition keeps it. Where that fails, the same keys are looked at again.
	KeepSweepPosition(ctx context.Context, prefix, after string) error
}

// Store is the database.
type Store interface {
	Uploads
	Discards
	Removals
	Pins
	// LocalPaths yields the file_path of every track that needs its file: it is local, or was within
	// grace, and not deleted longer ago. After an error it yields no more: the paths are not all, and say nothing of a
	// file that is not among them.
	LocalPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error]
	// ForgetDiscards drops up to limit notes of bytes that have been gone for longer than
	// grace, and what else is known of tracks whose rows are gone, too. It returns how many notes
	// it did. It may be repeated.
	ForgetDiscards(ctx context.Context, grace time.Duration, limit int) (int64, error)
	// ForgetUploads removes up to limit tickets that were over longer than age ago. It may be repeated.
	ForgetUploads(ctx context.Context, age time.Duration, limit int) (int64, error)
	// ForgetEvents removes up to limit events that are delivered and older than delivered, and those that nobody took for
	// the time ignored. It may be repeated.
	ForgetEvents(ctx context.Context, delivered, ignored time.Duration, limit int) (int64, error)
	// ForgetSessions removes up to limit companion sessions that are over. It may be repeated.
	ForgetSessions(ctx context.Context, limit int) (int64, error)
	// NameBuckets makes the tracks on S3 that name no bucket name this one, until ctx ends. It may
	// be repeated.
	NameBuckets(ctx context.Context, bucket string) error
}

// Backend is a storage backend. Each call may be repeated, also after track.ErrUnavailable.
type Backend interface {
	// Prove asks anew whether the backend is there, and is the one that is meant: another one is
	// track.ErrPlace.
	Prove(ctx context.Context) error
	// Bucket returns the bucket's name.
	Bucket() string
	// List yields the current objects under a prefix. After an error it yields no more.
	List(ctx context.Context, prefix string) iter.Seq2[track.Object, error]
	// Remove looks what is there of a key, and removes that, each version only where mayGo,
	// asked right before, returns no error; else it returns that error. What is written
	// meanwhile is another version, and stays. A key that is not there is no error.
	// track.ErrNotRegular: it is no file, and stays.
	Remove(ctx context.Context, key string, mayGo func(context.Context) error) error

	// Versions yields every version of the keys below a prefix, delete markers left out, by key,
	// from the one after "after" on. Nothing, where the backend keeps none.
	Versions(ctx context.Context, prefix, after string) iter.Seq2[track.Object, error]
	// RemoveVersion removes one version; one that is not there is no error.
	RemoveVersion(ctx context.Context, key, versionID string) error

	// ListMultiparts yields the multipart uploads under a prefix that are begun and not over.
	ListMultiparts(ctx context.Context, prefix string) iter.Seq2[track.Multipart, error]
	// AbortMultipart ends one and removes its parts; one that is over is no error.
	AbortMultipart(ctx context.Context, key, multipartID string) error
}

// Config is what a Sweeper is made from.
type Config struct {
	Store     Store
	Confirm   Confirmer
	Elsewhere track.Elsewhere[Backend]
	Backends  map[string]Backend // by name: track.Local, track.S3; what lies on others is left alone
	Paths     track.NeededFiles  // of track.Local
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
	Expired    int     `json:"expired"` // uploads that nothing came for in time
	Multiparts int     `json:"multiparts_aborted"`
	Abandoned  int     `json:"abandoned_tracks"` // tracks that never got a file, and are marked as deleted
	Deleted    int     `json:"deleted_tracks"`   // tracks whose bytes became due
	Removed    int     `json:"removed"`          // objects and files
	Kept       int     `json:"kept"`             // objects and files that were due, and that something names
	Failures   int     `json:"failures"`         // steps that the next sweep tries again
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
	if r.wrongPlace {
		return r.finish()
	}
	r.within(30)
	r.settleUploads()
	r.within(40)
	r.settleLate()
	r.within(50)
	r.settleNewTracks()
	for name, b := range r.there {
		r.sweepMultiparts(name, b)
	}
	r.within(60)
	r.noteDeleted()
	parts := 60
	for name, b := range r.there {
		parts += 30 / len(r.there)
		r.within(parts)
		r.sweepDiscards(name, b)
	}
	r.within(95)
	for _, b := range r.there {
		r.sweepVersions(b)
	}
	r.within(100)
	r.forget()
	r.nameBuckets()
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
