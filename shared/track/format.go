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
	MP3   Format = "mp3"
	MP2   Format = "mp2"
	FLAC  Format = "flac"
	WAV   Format = "wav"
	OGG   Format = "ogg" // Vorbis or FLAC in it
	Opus  Format = "opus"
	Speex Format = "speex"
	M4A   Format = "m4a" // every file of the MP4 family with sound and no film
	AAC   Format = "aac"
	AIFF  Format = "aiff"
	WebM  Format = "webm"
	MKA   Format = "mka"
)

// OctetStream is the content type of bytes that no format fits.
const OctetStream = "application/octet-stream"

// formats has, for each format, its canonical content type first, then the other
// names that browsers, their systems and Uppy give it, and the file extensions it goes by,
// the usual one first.
var formats = []struct {
	format     Format
	types      []string
	extensions []string
}{
	{MP3, []string{"audio/mpeg", "audio/mp3", "audio/mpeg3", "audio/x-mpeg", "audio/x-mp3", "audio/x-mpeg-3", "audio/mpg", "audio/x-mpg", "audio/x-mpegaudio"}, []string{"mp3", "mpga"}},
	{MP2, []string{"audio/mpeg", "audio/mp2", "audio/x-mp2", "audio/mpa"}, []string{"mp2", "m2a", "mpa", "mp1"}},
	{FLAC, []string{"audio/flac", "audio/x-flac"}, []string{"flac"}},
	{WAV, []string{"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-wave", "audio/x-pn-wav"}, []string{"wav", "wave", "bwf", "rf64"}},
	{OGG, []string{"audio/ogg", "audio/x-ogg", "audio/vorbis", "audio/x-vorbis", "audio/x-vorbis+ogg", "audio/x-flac+ogg", "application/ogg", "application/x-ogg", "video/ogg"}, []string{"ogg", "oga"}},
	{Opus, []string{"audio/ogg", "audio/opus", "audio/x-opus", "audio/x-opus+ogg"}, []string{"opus"}},
	{Speex, []string{"audio/ogg", "audio/speex", "audio/x-speex", "audio/x-speex+ogg"}, []string{"spx"}},
	{M4A, []string{"audio/mp4", "audio/x-m4a", "audio/m4a", "audio/mp4a-latm", "audio/x-m4b", "audio/m4b", "audio/x-m4r", "audio/m4r", "audio/x-m4p", "audio/3gpp", "audio/3gpp2", "video/mp4", "video/3gpp", "video/3gpp2", "application/mp4"},
		[]string{"m4a", "m4b", "m4r", "m4p", "mp4", "mp4a", "3gp", "3gpp", "3ga", "3g2", "3gp2", "f4a", "f4b", "alac"}},
	{AAC, []string{"audio/aac", "audio/x-aac", "audio/aacp", "audio/x-aacp", "audio/vnd.dlna.adts", "audio/x-hx-aac-adts"}, []string{"aac", "adts", "adt", "loas", "latm"}},
	{AIFF, []string{"audio/aiff", "audio/x-aiff", "audio/aifc", "audio/x-aifc", "audio/x-pn-aiff"}, []string{"aiff", "aif", "aifc"}},
	{WebM, []string{"audio/webm", "audio/x-webm", "video/webm"}, []string{"webm", "weba"}},
	{MKA, []string{"audio/x-matroska", "audio/matroska"}, []string{"mka"}},
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

// Extensions returns the extensions of names that FormatOfName knows, in lower case, without a dot.
func Extensions() []string {
	var all []string
	for _, row := range formats {
		all = append(all, row.extensions...)
	}
	return all
}

// Extension returns the usual file extension of f, without a dot; nothing where f is none
// of the formats.
func (f Format) Extension() string {
	for _, row := range formats {
		if row.format == f {
			return row.extensions[0]
		}
	}
	return ""
}

// MayBeAudio reports whether a file that a client gives this content type may be audio.
// Systems call a recording what they call a film in the same container, or give its kind
// another name, or none: any type of audio or video may be, and what says nothing. What the
// file is, its bytes decide.
func MayBeAudio(contentType string) bool {
	name, _, _ := strings.Cut(contentType, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	if _, known := FormatOfType(name); known || name == "" || name == OctetStream || name == "binary/octet-stream" {
		return true
	}
	kind, subtype, _ := strings.Cut(name, "/")
	return (kind == "audio" || kind == "video") && subtype != "" && !strings.ContainsAny(subtype, "/ \t\"(),:;<=>?@[\\]{}")
}

// Fits reports whether a name that stands for the format other may go on a file of format
// f. Formats that share a container share names, too.
func (f Format) Fits(other Format) bool {
	return f != "" && f.family() == other.family()
}

func (f Format) family() Format {
	switch f {
	case MP2:
		return MP3
	case Opus, Speex:
		return OGG
	case AAC:
		return M4A
	case MKA:
		return WebM
	}
	return f
}

// Formats returns every known format.
func Formats() []Format {
	all := make([]Format, len(formats))
	for i, row := range formats {
		all[i] = row.format
	}
	return all
}
