package track

import (
	"time"
)

// The storage backends, as tracks.storage_backend has them.
const (
	Local = "local"
	S3    = "s3"
)

// Object is what a backend knows of stored bytes.
type Object struct {
	Key         string
	VersionID   string // empty where the bucket is not versioned, and on disk
	Size        int64  // bytes
	ContentType string
	ModTime     time.Time
	Checksums   []Checksum // of the whole object; may be empty
	// Headers are what would be served with the object, and cannot be served otherwise, of
	// what its sender added: Content-Encoding, Content-Language. Mostly nil.
	Headers map[string]string
}

// Checksum returns the object's sum by algorithm, where the backend knows it.
func (o Object) Checksum(a Algorithm) (Checksum, bool) {
	for _, c := range o.Checksums {
		if c.Algorithm == a {
			return c, true
		}
	}
	return Checksum{}, false
}

// PutSpec is what a signed upload binds. Size is exact; 0 < Size.
type PutSpec struct {
	Key         string
	Size        int64 // bytes
	MaxSize     int64 // bytes; where Size is 0 (a form of unknown length), 1 to MaxSize is let through
	ContentType string
	Checksum    *Checksum // nil: not declared
	TTL         time.Duration
}

// SignedPut is a URL for one PUT, and the headers to send with it, verbatim.
type SignedPut struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// SignedPost is the target of one multipart/form-data POST, and the fields to send
// before the file, verbatim.
type SignedPost struct {
	URL    string            `json:"url"`
	Fields map[string]string `json:"fields"`
}

// PartSpec is what a signed part of a multipart upload binds.
type PartSpec struct {
	Key         string
	MultipartID string
	Number      int32     // from 1 to MaxParts
	Size        int64     // bytes, exact; 0: not known, any length is let through
	Checksum    *Checksum // CRC64NVME of the part; nil: not declared
	TTL         time.Duration
}

// SignedURL is a URL, and when it ends.
type SignedURL struct {
	URL       string
	ExpiresAt time.Time // no later than the end of the keys that signed it, where that is known
}

// GetSpec is what a signed download binds.
type GetSpec struct {
	Key         string
	VersionID   string // empty: the current version
	Bucket      string // by its name; empty: the store's own
	ContentType string // sent as Content-Type
	Disposition string // sent as Content-Disposition; empty: none
	Head        bool   // the URL is for HEAD, not GET
	TTL         time.Duration
}

// ObjectSpec is what a new object is to be. A store refuses other bytes.
type ObjectSpec struct {
	Key         string
	ContentType string
	Digest      Digest
}

// NewPart is what a part of a multipart upload is to be. A store refuses other bytes.
type NewPart struct {
	Key         string
	MultipartID string
	Number      int32 // from 1 to 10,000
	Digest      Digest
}

// Part is a part of a multipart upload that a backend has in full.
type Part struct {
	Number int32  `json:"part_number"` // from 1 to 10,000
	ETag   string `json:"etag"`        // without quotes
	Size   int64  `json:"size"`        // bytes

	Checksum *Checksum `json:"-"` // of the part, where it was sent with one; else nil
}

// Multipart is a multipart upload that was begun and neither completed nor aborted.
type Multipart struct {
	Key     string
	ID      string
	Started time.Time
}

// Limits that S3 sets, sizes in bytes.
const (
	MinPartSize   = 5 << 20 // the last part may be smaller
	MaxPartSize   = 5 << 30
	MaxParts      = 10_000
	MaxPutSize    = 5 << 30 // of one PUT or POST
	MaxObjectSize = 5 << 40
)
