package track

import (
	"path"
	"strings"
)

// Format names an audio file format as the column tracks.format keeps it.
// The empty Format is "not known".
type Format string

// The formats that clients may upload.
const (
	MP3  Format = "mp3"
	FLAC Format = "flac"
	WAV  Format = "wav"
	OGG  Format = "ogg"
	Opus Format = "opus"
	M4A  Format = "m4a"
	AAC  Format = "aac"
	AIFF Format = "aiff"
)

// OctetStream is the content type of bytes that no format fits.
const OctetStream = "application/octet-stream"

// formats has, for each format, its canonical content type first, then the other
// names that browsers, their systems and Uppy give it, and the file extensions it goes by.
// Firefox calls every .ogg a video; what is one is refused for its bytes.
var formats = []struct {
	format     Format
	types      []string
	extensions []string
}{
	{MP3, []string{"audio/mpeg", "audio/mp3", "audio/mpeg3", "audio/x-mpeg", "audio/x-mp3", "audio/x-mpeg-3", "audio/mpg", "audio/x-mpg", "audio/x-mpegaudio"}, []string{"mp3"}},
	{FLAC, []string{"audio/flac", "audio/x-flac"}, []string{"flac"}},
	{WAV, []string{"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-wave", "audio/x-pn-wav"}, []string{"wav", "wave"}},
	{OGG, []string{"audio/ogg", "audio/x-ogg", "audio/vorbis", "audio/x-vorbis", "audio/x-vorbis+ogg", "audio/x-flac+ogg", "audio/x-speex+ogg", "application/ogg", "video/ogg"}, []string{"ogg", "oga"}},
	{Opus, []string{"audio/ogg", "audio/opus", "audio/x-opus", "audio/x-opus+ogg"}, []string{"opus"}},
	{M4A, []string{"audio/mp4", "audio/x-m4a", "audio/m4a", "audio/mp4a-latm"}, []string{"m4a", "mp4"}},
	{AAC, []string{"audio/aac", "audio/x-aac", "audio/aacp", "audio/x-aacp", "audio/vnd.dlna.adts", "audio/x-hx-aac-adts"}, []string{"aac"}},
	{AIFF, []string{"audio/aiff", "audio/x-aiff", "audio/aifc", "audio/x-aifc", "audio/x-pn-aiff"}, []string{"aiff", "aif", "aifc"}},
}

// ContentType returns the canonical content type of f, or OctetStream.
func (f Format) ContentType() string {
	for _, row := range formats {
		if row.format == f {
			return row.types[0]
		}
	}
	return OctetStream
}

// FormatOfType returns the format that a content type names, with any parameters
// ignored. Of a type that two formats share it returns the first (audio/ogg: OGG).
func FormatOfType(contentType string) (Format, bool) {
	name, _, _ := strings.Cut(contentType, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	for _, row := range formats {
		for _, t := range row.types {
			if t == name {
				return row.format, true
			}
		}
	}
	return "", false
}

// FormatOfName returns the format that a file name's extension stands for.
func FormatOfName(filename string) (Format, bool) {
	ext := strings.TrimPrefix(strings.ToLower(path.Ext(filename)), ".")
	for _, row := range formats {
		for _, e := range row.extensions {
			if e == ext {
				return row.format, true
			}
		}
	}
	return "", false
}

// Fits reports whether bytes that were recognised as format found may be stored
// under the declared format f. Formats that share a container fit each other, for
// players open them alike and browsers confuse them: Ogg and Opus, M4A and AAC.
func (f Format) Fits(found Format) bool {
	return f != "" && f.family() == found.family()
}

func (f Format) family() Format {
	switch f {
	case Opus:
		return OGG
	case AAC:
		return M4A
	}
	return f
}
