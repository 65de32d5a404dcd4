package track_test

import (
	"fmt"

	"trackstore/shared/track"
)

// The keys of a track's bytes: an upload's is its own for ever, and a moved file's holds the checksum of its bytes.
func Example() {
	trackID, _ := track.ParseID("0195d2f0-0000-7000-8000-000000000001")
	uploadID, _ := track.ParseID("0195d2f0-0000-7000-8000-00000000000a")
	fmt.Println(track.UploadKey(trackID, uploadID, "take 3 (final).FLAC"))
	fmt.Println(track.MigratedKey(trackID, 2, 0xbf58476d1ce4e5b9, "old/song.mp3"))
	fmt.Println(track.RestoredPath(trackID, 2, "tracks/x/2-bf58476d1ce4e5b9.mp3"))
	// Output:
	// uploads/0195d2f0-0000-7000-8000-000000000001/0195d2f0-0000-7000-8000-00000000000a.flac
	// tracks/0195d2f0-0000-7000-8000-000000000001/2-bf58476d1ce4e5b9.mp3
	// restored/0195d2f0-0000-7000-8000-000000000001/2.mp3
}
