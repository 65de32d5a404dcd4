package track

import "time"

// LookSpec says which uploads a sweep looks at next. Others are not looked at twice for it: what
// another sweep has looked at within Since is left out, and what is returned counts as looked at.
type LookSpec struct {
	After  Upload        // from the one after it on; zero: from the first on
	Limit  int           // at most so many
	Since  time.Duration // how long ago this sweep began
	Grace  time.Duration // how long the bytes of expired uploads stay
	DryRun bool          // what is returned does not count as looked at
}

// LookedAt is the part of a table that a sweep has looked at: a large table takes several sweeps.
type LookedAt struct {
	Rows  int
	Last  string // the position of the last one; where none was, the one after which it looked
	IsEnd bool   // nothing came after it
}

// UploadState is where an upload stands. Pending changes, and Expired, until the grace is over.
type UploadState string

// The states of an upload.
const (
	UploadPending UploadState = "pending"
	UploadStored  UploadState = "stored"  // checked, and the track was made to point at it
	UploadFailed  UploadState = "failed"  // the bytes are not what the ticket says; see Reason
	UploadExpired UploadState = "expired" // nothing came in time; it is stored yet if its bytes come before the grace is over
	UploadAborted UploadState = "aborted" // the client gave it up, or its track was deleted
)

// Reason says why an upload failed.
type Reason string

// The reasons of a failed upload.
const (
	SizeMismatch     Reason = "size_mismatch"
	ChecksumMismatch Reason = "checksum_mismatch"
	NotAudio         Reason = "not_audio"
	PlatformRefused  Reason = "platform_refused" // the platform's table did not take the file
)

// Method is how a client sends an upload's bytes.
type Method string

// The methods of sending.
const (
	MethodPut       Method = "put"
	MethodPost      Method = "post"
	MethodMultipart Method = "multipart"
)

// Upload is a row of track_uploads: a ticket for sending one new file of one track.
type Upload struct {
	ID          ID
	Seq         int64 // order of opening; of two files of one track the later ticket's is the newer
	TrackID     ID
	UserID      ID
	State       UploadState
	Reason      Reason // set where State is UploadFailed
	Detail      string // beside Reason: what was found, for people; empty for uploads that failed before it was kept
	Method      Method
	Backend     string // Local or S3: where the bytes go
	Key         string // the object's key, or the path under the root on disk
	MultipartID string // the backend's id of a multipart upload, once it is begun
	PartSize    int64  // bytes; of a multipart
	Size        int64  // bytes, as declared; 0: not declared, MaxSize binds
	MaxSize     int64  // bytes
	Format      Format
	ContentType string    // canonical
	Checksum    *Checksum // declared when it was opened; nil: none
	// SentChecksum was named when the bytes were sent; nil: none. The bytes must have both.
	SentChecksum *Checksum
	VersionID    string // of the object that was settled, where the bucket keeps versions
	CreatedAt    time.Time
	ExpiresAt    time.Time
	FinishedAt   time.Time // when it left Pending; zero: it did not
}

// UploadPage says which of a user's uploads are wanted, newest first.
type UploadPage struct {
	State UploadState // empty: in any
	After ID          // the last upload of the page before; zero: from the newest on
	Limit int         // at most so many
}

// IsOpen reports whether bytes that come for u are still looked at: it is pending, or expired.
func (u Upload) IsOpen() bool { return u.State == UploadPending || u.State == UploadExpired }

// Ticket is what is asked of the database when an upload is opened: the upload, whose
// State, Seq and times the database sets, and the rules that it must hold to.
type Ticket struct {
	Upload
	Title      string        // of a new track; empty: TrackID is a track that is there, and the owner's
	Life       time.Duration // from now to ExpiresAt
	MaxPending int           // of the user's open uploads, this one counted

	IdempotencyKey string // empty: none
	RequestHash    []byte // tells whether a request with the same key is the same request
}
