package track

import "time"

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

// Selection narrows down which tracks a command, or a batch, covers.
type Selection struct {
	TrackIDs []ID // only these; empty: all
	Uploaded bool // of a rollback: also tracks that were uploaded to S3, not only those migrated
}

// Activity says who is at work.
type Activity struct {
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
