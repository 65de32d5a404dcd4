package track

import (
	"fmt"
	"path"
	"strings"
)

// Prefixes of the two kinds of object keys.
const (
	UploadsPrefix  = "uploads/"
	MigratedPrefix = "tracks/"
	RestoredPrefix = "restored/"
)

// UploadKey is the key (or, on disk, the path) of one upload's bytes. No other
// upload ever has it, so that it can be written once and never again.
func UploadKey(trackID, uploadID ID, filename string) string {
	return UploadsPrefix + trackID.String() + "/" + uploadID.String() + extension(filename)
}

// MigratedKey is the key of one file version that was moved from disk. The
// checksum in it ties the key to its bytes: whoever writes this key writes these bytes.
func MigratedKey(trackID ID, fileVersion int64, crc64nvme uint64, filePath string) string {
	return fmt.Sprintf("%s%s/%d-%016x%s", MigratedPrefix, trackID, fileVersion, crc64nvme, extension(filePath))
}

// RestoredPath is where a rollback puts one file version, under the root on disk.
func RestoredPath(trackID ID, fileVersion int64, key string) string {
	return fmt.Sprintf("%s%s/%d%s", RestoredPrefix, trackID, fileVersion, extension(key))
}

// extension returns the extension of a known audio format, with its dot and in
// lower case, else nothing: an extension decides how servers and players treat a
// file, so none is taken over from users but these.
func extension(name string) string {
	if _, ok := FormatOfName(name); !ok {
		return ""
	}
	return strings.ToLower(path.Ext(name))
}
