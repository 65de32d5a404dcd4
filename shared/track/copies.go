package track

import (
	"fmt"
	"strconv"
	"time"
)

// Copies says where the bytes of one file version of a track lie, as far as its row and the
// record of its last move know.
type Copies struct {
	TrackID     ID
	FileVersion int64
	FilePath    string        // of the copy on disk, as the row has it; empty: there is none
	Purged      bool          // the copy on disk is marked for removal, so it must not be used
	Object      *StoredObject // the copy on S3; nil: none is known
}

// Key returns the object's key, empty where none is known.
func (c Copies) Key() string {
	if c.Object == nil {
		return ""
	}
	return c.Object.Key
}

// StoredObject is an object on S3 as the database knows it.
type StoredObject struct {
	Key        string
	VersionID  string    // empty where the bucket is not versioned
	Bucket     string    // by its name; empty: the one that was recorded first
	Digest     *Digest   // as recorded at the flip, or by verify; nil: nothing is recorded
	RecordedAt time.Time // when Digest was; for one that was migrated, the time of its flip
}

// Differs says how found bytes differ from those recorded, or nothing.
func (o StoredObject) Differs(found Digest) string {
	switch {
	case o.Digest == nil:
		return fmt.Sprintf("%s, nothing is recorded", found)
	case found != *o.Digest:
		return fmt.Sprintf("%s, recorded are %s", found, o.Digest)
	}
	return ""
}

// DoomedFile is a local copy that is about to be removed.
type DoomedFile struct {
	Copies
	Names []string // by which its use by other tracks shows
	Marks []string // that are marked and removed: the file itself, then a link that led to it
}

// Digest tells whether bytes are the same: then their digests are equal (==).
type Digest struct {
	Size      int64 // bytes
	CRC64NVME uint64
}

// String is for people.
func (d Digest) String() string { return fmt.Sprintf("%d bytes with CRC64NVME %s", d.Size, d.Hex()) }

// Hex returns the CRC64NVME as keys and rows have it: 16 lower-case hex digits.
func (d Digest) Hex() string { return fmt.Sprintf("%016x", d.CRC64NVME) }

// ParseDigest is the reverse of Hex.
func ParseDigest(size int64, hex string) (Digest, error) {
	sum, err := strconv.ParseUint(hex, 16, 64)
	return Digest{size, sum}, err
}
