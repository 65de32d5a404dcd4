package track

// Finding is what a look at a pending upload's bytes showed.
type Finding struct {
	UploadID ID
	Reason   Reason // empty: the bytes are what the ticket says
	Detail   string // with a Reason: what was found, for people

	// The object that was looked at.
	VersionID string
	Size      int64  // bytes
	Format    Format // told by the bytes
}
