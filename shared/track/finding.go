package track

// Settlement is what became of findings.
type Settlement struct {
	Settled []Upload // by this call; the others were settled before, or their bytes do not count any more
	// Refused says of which uploads the platform's table did not take the file, and why:
	// ErrRefused, or ErrLocked. They stay as they were, for another try, or are among Settled
	// as failed.
	Refused map[ID]error
}

// Reading is how far the bytes of an upload were read for their checksum.
type Reading struct {
	UploadID  ID
	VersionID string // of the object; empty where the bucket is not versioned, and on disk
	Offset    int64  // bytes that were read
	State     []byte // of the hash, after these
}

// Confirmation is what came of a look at an upload's bytes.
type Confirmation struct {
	Upload       // as it then is
	Err    error // why its bytes could not be looked at, or it could not be settled; nil also where they are not there
}

// Finding is what a look at a pending upload's bytes showed.
type Finding struct {
	UploadID ID
	Reason   Reason // empty: the bytes are what the ticket says
	Detail   string // with a Reason: what was found, for people

	// The object that was looked at.
	VersionID string
	Bucket    string // that it is in, by name; it counts on S3 only
	Size      int64  // bytes
	Format    Format // told by the bytes
}
