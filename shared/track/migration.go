package track

import (
	"fmt"
	"time"
)

// Direction says which way tracks move.
type Direction string

// The directions.
const (
	ToS3    Direction = "to_s3"
	ToLocal Direction = "to_local" // a rollback
)

// Backend returns the storage backend that tracks move to.
func (d Direction) Backend() string {
	if d == ToLocal {
		return Local
	}
	return S3
}

// MigrationState is where the move of one file version stands.
type MigrationState string

// The states. All but Leased and Migrated are failures: they stay until an operator
// frees them, or until the track gets another file.
const (
	Leased      MigrationState = "leased"
	Migrated    MigrationState = "migrated"
	Missing     MigrationState = "missing"      // no file or object, or a broken link
	Empty       MigrationState = "empty"        // a file of 0 bytes
	Unreadable  MigrationState = "unreadable"   // an I/O error, a directory, not a regular file
	Changed     MigrationState = "changed"      // edited while it was read, three times
	Mismatch    MigrationState = "mismatch"     // the key or path is taken by other bytes, or the bytes are not those recorded
	OutsideRoot MigrationState = "outside_root" // a path or a link that leaves the root
	Failed      MigrationState = "failed"       // five attempts met transient errors, or twenty were told to slow down
)

// IsFailure reports whether s needs an operator.
func (s MigrationState) IsFailure() bool { return s != Leased && s != Migrated }

// Lease is a worker's right to move one file version of a track, until it expires. It
// keeps workers out of each other's way; the flip is what is safe without it.
type Lease struct {
	Token       ID // of the claim; every change of the lease's row names it
	TrackID     ID
	FileVersion int64
	FilePath    string // as the row has it
	Attempts    int    // made under this lease

	// What a rollback needs to know.
	Key       string // of the object
	VersionID string
	Size      int64  // bytes; as recorded with Checksum
	Checksum  string // CRC64NVME in hex, as recorded at the flip or by verify; empty: none
	Purged    bool   // the local copy is marked for removal, so it must not be used
}

// HexSum returns a CRC64NVME as keys and rows have it: 16 lower-case hex digits.
func HexSum(crc64nvme uint64) string { return fmt.Sprintf("%016x", crc64nvme) }

// ClaimSpec says what to lease.
type ClaimSpec struct {
	Direction Direction
	Token     ID            // a fresh one for each claim
	For       time.Duration // how long a lease lasts without a heartbeat
	After     ID            // only tracks with greater ids
	Limit     int           // candidates, 1 to 100
	TrackIDs  []ID          // only these; empty: all
	Uploaded  bool          // ToLocal: also tracks that were uploaded to S3, not only those migrated
}

// Claims is what a claim got.
type Claims struct {
	Leases []Lease
	Last   ID   // where the next claim goes on
	More   bool // there may be candidates after Last
}

// Outcome is what became of a lease, for the row that keeps it.
type Outcome struct {
	Lease
	State       MigrationState // Migrated or a failure
	NewKey      string         // ToS3: the object
	NewVersion  string
	NewPath     string   // ToLocal: the file, as the row is to have it
	Aliases     []string // of NewPath: other ways to write it
	NewSize     int64    // bytes
	NewChecksum string   // CRC64NVME in hex
	Format      Format
	ContentType string
	Error       string // of a failure
}

// Verdict is what Settle made of an outcome.
type Verdict string

// The verdicts.
const (
	Settled    Verdict = "settled"    // recorded; where the outcome is Migrated, the track points at its new bytes
	Superseded Verdict = "superseded" // the track was replaced, deleted or moved meanwhile: nothing was flipped
	Lost       Verdict = "lost"       // the lease was somebody else's by then: nothing was changed
)

// Outlook is who is at work.
type Outlook struct {
	Direction  Direction     // that workers are to move in
	Leased     int64         // tracks under a live lease, in either direction
	NextExpiry time.Duration // until the first of these leases may run out
}

// MigrationFailure is a track whose current file could not be moved.
type MigrationFailure struct {
	TrackID  ID             `json:"track_id"`
	FilePath string         `json:"file_path"`
	State    MigrationState `json:"state"`
	Error    string         `json:"error"`
}

// Progress counts tracks by where they lie, and moves by their state.
type Progress struct {
	Local  int64                    `json:"local"`
	S3     int64                    `json:"s3"`
	Leased int64                    `json:"leased"` // under a live lease
	States map[MigrationState]int64 `json:"states"`
}

// Use is what stored bytes are for, as far as rows tell.
type Use struct {
	Named   bool      // a track that is not deleted names them, or keeps them as its local copy
	Pending bool      // of an upload that is open
	Leased  bool      // their track is being moved
	TrackID ID        // nil UUID: not known
	Since   time.Time // when they were discarded, deleted or rolled back; zero: not known
	Reason  string    // of Since
}
