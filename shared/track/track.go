package track

import "time"

// Status says whether a track can be played. trackstore itself sets uploading (no file yet),
// ready, and failed (its first file was refused). A platform may keep values of its own in
// the column; they pass through untouched.
type Status string

// Track is a row of tracks: one piece of audio that a creator owns. Its JSON form is
// what clients see; where the bytes lie is plumbing and never public.
type Track struct {
	ID          ID        `json:"track_id"`
	Title       string    `json:"title"`
	Status      Status    `json:"status"`
	Format      Format    `json:"format"`
	ContentType string    `json:"content_type"`
	Size        int64     `json:"size"` // bytes
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`

	CreatorID        ID      `json:"-"`
	StorageBackend   string  `json:"-"` // Local or S3
	StorageKey       *string `json:"-"` // set where StorageBackend is S3
	StorageVersionID string  `json:"-"` // the object's version, where the bucket keeps versions
	StorageBucket    string  `json:"-"` // by its name, where StorageBackend is S3; empty: the one that was recorded first
	FilePath         string  `json:"-"` // under the root on disk; empty: no file
	FileVersion      int64   `json:"-"` // from 1; each new file has the next one
}

// HasFile reports whether the track has bytes to play.
func (t Track) HasFile() bool {
	if t.StorageBackend == S3 {
		return t.StorageKey != nil && *t.StorageKey != ""
	}
	return t.FilePath != ""
}
