package track

import "time"

// Lease is a worker's right to move one file version of a track, until it expires. It
// keeps workers out of each other's way; the flip is what is safe without it.
type Lease struct {
	Token ID // of the claim; every change of the lease's row names it
	Copies
}

// ClaimSpec says what to lease.
type ClaimSpec struct {
	Direction Direction
	Selection
	Stretch               // only tracks with these ids
	Token   ID            // a fresh one for each claim
	For     time.Duration // how long a lease lasts without a heartbeat
	Limit   int           // candidates, 1 to 100
}

// Stretch is a piece of the space of ids: part of a range that runs walk.
type Stretch struct {
	Range    int  // number of the range whose place a claim notes; 0: none
	IsBehind bool // of the place that the range's last claim came to: most of it is moved
	After    ID   // only greater ids; the nil UUID: all
	UpTo     ID   // only ids up to this one; the nil UUID: all
}

// Claims is what a claim got.
type Claims struct {
	Leases []Lease
	Last   ID   // where the next claim goes on
	More   bool // there may be candidates after Last
}

// Candidate is a track that could be claimed.
type Candidate struct {
	Copies
	Size int64 // bytes, as the row has it; nothing has looked at the file
}

// Outcome is what became of a lease, for the row that keeps it.
type Outcome struct {
	Lease
	Attempts int // made under this lease
	Result   Result
}

// Result is how a move ended: as a NewObject, a NewFile or a Failure.
type Result interface {
	State() MigrationState
}

// NewObject is the end of a move to S3: the track is to point at this object.
type NewObject struct {
	Key         string
	VersionID   string // empty where the bucket is not versioned
	Bucket      string // by its name
	Digest      Digest
	Format      Format // empty: not known, and the row keeps its own
	ContentType string // empty: the row keeps its own
}

// State returns Migrated.
func (NewObject) State() MigrationState { return Migrated }

// NewFile is the end of a move to disk: the track is to point at this file.
type NewFile struct {
	Path    string   // as the row is to have it
	Aliases []string // other ways to write Path
	Digest  Digest   // of the object; the file has the same, unless the operator prefers it as it is
	Root    ID       // that the root folder bears which it is in; zero: none
}

// State returns Migrated.
func (NewFile) State() MigrationState { return Migrated }

// Failure is the end of a move that failed. It stays until an operator frees it, or until
// the track gets another file.
type Failure struct {
	Kind MigrationState // one that IsFailure
	Err  error
}

// State returns the kind.
func (f Failure) State() MigrationState { return f.Kind }

// Size returns the bytes that were moved.
func (o Outcome) Size() int64 {
	switch r := o.Result.(type) {
	case NewObject:
		return r.Digest.Size
	case NewFile:
		return r.Digest.Size
	}
	return 0
}

// Err returns the error of a failure.
func (o Outcome) Err() error {
	if f, failed := o.Result.(Failure); failed {
		return f.Err
	}
	return nil
}

// StorageKey returns the key of the object that was written, or else read.
func (o Outcome) StorageKey() string {
	if r, ok := o.Result.(NewObject); ok {
		return r.Key
	}
	return o.Key()
}

// Verdict is what Settle made of an outcome.
type Verdict string

// The verdicts. The first three end a lease. After the others nothing is changed, and the lease
// is held still.
const (
	Settled    Verdict = "settled"    // recorded; where the outcome is Migrated, the track points at its new bytes
	Superseded Verdict = "superseded" // the track was replaced, deleted or moved meanwhile: nothing was flipped
	Lost       Verdict = "lost"       // the lease was somebody else's by then: nothing was changed

	Refused   Verdict = "refused"   // the platform's table does not take the new row
	Unchanged Verdict = "unchanged" // the flip left the row as it was, or the row was made something else
	Locked    Verdict = "locked"    // another transaction holds the row
	Marked    Verdict = "marked"    // the new bytes have a name whose removal has begun
	Vacant    Verdict = "vacant"    // they have a name whose bytes were removed: they are to be made anew
)

// Ruling is a verdict, and why.
type Ruling struct {
	Verdict
	Err       error         // of all but the first three
	LockedFor time.Duration // of Locked: since somebody first met the lock
}
