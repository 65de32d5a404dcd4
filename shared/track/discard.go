package track

import "time"

// Discard is a row of track_discards: bytes that nothing names any more, and that go when
// their grace is over.
type Discard struct {
	ID      int64
	TrackID ID
	Backend string // Local or S3
	// Key is the object's key or the file's path. One that ends with a slash stands for
	// whatever lies below it that nothing else accounts for.
	Key         string
	Reason      string
	DiscardedAt time.Time // the grace counts from here
	Bucket      string    // that the object lies in; empty: the one that is worked with

	Needed bool `db:"-"` // by a track, whose path leads to the file by another way
}
