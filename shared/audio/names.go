package audio

import (
	"strings"
	"unicode/utf8"
)

// article puts the indefinite article before a format's name, by its sound.
func article(name string) string {
	if strings.HasPrefix(name, "MP") || strings.HasPrefix(name, "A") || strings.HasPrefix(name, "O") || strings.HasPrefix(name, "E") {
		return "an " + name
	}
	return "a " + name
}

func notTaken(name string) string { return name + ", which is not taken" }

// signatures names what else files are, by what stands at an offset. It is for telling
// people; what has a sign of more than two bytes is refused in any case.
var signatures = []struct {
	at   int64
	text string
	name string
}{
	{0, "ADIF", notTaken("AAC in ADIF")}, // nothing has played it for decades
	{0, "#!AMR", notTaken("AMR")},
	{0, "MAC ", notTaken("Monkey's Audio")},
	{0, "wvpk", notTaken("WavPack")},
	{0, "DSD ", notTaken("DSD (DSF)")},
	{0, "FRM8", notTaken("DSD (DSDIFF)")},
	{0, "caff", notTaken("Core Audio Format")},
	{0, "MThd", notTaken("MIDI")},
	{0, "TTA1", notTaken("True Audio")},
	{0, "TTA2", notTaken("True Audio")},
	{0, "\x0b\x77", notTaken("AC-3")},
	{0, "\x77\x0b", notTaken("AC-3")},
	{0, "\x7f\xfe\x80\x01", notTaken("DTS")},
	{0, "\xfe\x7f\x01\x80", notTaken("DTS")},
	{0, "\x1f\xff\xe8\x00", notTaken("DTS")},
	{0, "\xff\x1f\x00\xe8", notTaken("DTS")},
	{0, "DTSHDHDR", notTaken("DTS-HD")},
	{4, "\xf8\x72\x6f\xba", notTaken("MLP")},
	{4, "\xf8\x72\x6f\xbb", notTaken("MLP")},
	{0, "MPCK", notTaken("Musepack")},
	{0, "MP+", notTaken("Musepack")},
	{0, "tBaK", notTaken("TAK")},
	{0, ".snd", notTaken("AU")},
	{0, "dns.", notTaken("AU")},
	{0, ".ra\xfd", notTaken("RealAudio")},
	{0, ".RMF", notTaken("RealMedia")},
	{0, "OFR ", notTaken("OptimFROG")},
	{0, ".SoX", notTaken("SoX")},
	{0, "2BIT", notTaken("AVR")},
	{0, " paf", notTaken("PAF")},
	{0, "fap ", notTaken("PAF")},
	{0, "\x72\xf8\x1f\x4e", notTaken("S/PDIF")},
	{0, "ajkg", notTaken("Shorten")},
	{0, "TWIN97012000", notTaken("TwinVQ")},
	{0, "riff\x2e\x91\xcf\x11", notTaken("Sony Wave64")},
	{0, "Creative Voice File", notTaken("Creative Voice")},
	{0, "NIST_1A", notTaken("NIST SPHERE")},
	{0, "\x64\xa3", notTaken("IRCAM")},
	{0, "ea3\x03", notTaken("ATRAC")},
	{0, "EA3\x01", notTaken("ATRAC")},
	{0, "Extended Module: ", notTaken("a tracker module")},
	{0, "IMPM", notTaken("a tracker module")},
	{44, "SCRM", notTaken("a tracker module")},
	{1080, "M.K.", notTaken("a tracker module")},
	{8, "8SVX", notTaken("8SVX")},
	{4, "\x57\x90\x75\x36", notTaken("Audible")},

	{0, "FLV", "a Flash film"},
	{0, "\x00\x00\x01\xba", "an MPEG film"},
	{0, "\x00\x00\x01\xb3", "an MPEG film"},
	{0, "\x00\x00\x01\xbb", "an MPEG film"},
	{0, "DKIF", "a film (IVF)"},
	{0, "\x00\x00\x00\x01\x67", "a film (H.264)"},
	{0, "\x00\x00\x00\x01\x40\x01", "a film (H.265)"},
	{0, "\x06\x0e\x2b\x34\x02\x05\x01\x01", "a film (MXF)"},
	{0, "YUV4MPEG2", "a film (YUV4MPEG)"},
	{0, "nut/multimedia container", "a film (NUT)"},

	{0, "\x89PNG", "a PNG picture"},
	{0, "\xff\xd8\xff", "a JPEG picture"},
	{0, "GIF8", "a GIF picture"},
	{0, "II*\x00", "a TIFF picture"},
	{0, "MM\x00*", "a TIFF picture"},
	{0, "8BPS", "a Photoshop picture"},
	{4, "JXL ", "a JPEG XL picture"},
	{4, "jP  ", "a JPEG 2000 picture"},
	{0, "%PDF", "a PDF document"},
	{0, "PK\x03\x04", "a ZIP archive"},
	{0, "PK\x05\x06", "a ZIP archive"},
	{0, "Rar!", "a RAR archive"},
	{0, "7z\xbc\xaf", "a 7z archive"},
	{0, "\x1f\x8b", "compressed by gzip"},
	{0, "\xfd7zXZ", "compressed by xz"},
	{0, "BZh", "compressed by bzip2"},
	{0, "\x28\xb5\x2f\xfd", "compressed by zstd"},
	{257, "ustar", "a tar archive"},
	{0, "\x7fELF", "a program"},
	{0, "MZ", "a program"},
	{0, "\xca\xfe\xba\xbe", "a program"},
	{0, "\xcf\xfa\xed\xfe", "a program"},
	{0, "#!", "a script"},
	{0, "\x00asm", "a program"},
	{0, "SQLite format 3", "a database"},
	{0, "{\\rtf", "a text document"},
	{0, "\xd0\xcf\x11\xe0", "a document of Microsoft Office"},
	{0, "wOFF", "a font"},
	{0, "wOF2", "a font"},
}

// signature names what begins at an offset and is not taken, by a sign of at least so many
// bytes, or returns nothing.
func (s *source) signature(at int64, least int) string {
	for _, sig := range signatures {
		if len(sig.text) >= least && s.has(at+sig.at, sig.text) {
			return sig.name
		}
	}
	// Packets of 188 bytes, or of 192 with a time before each.
	for _, layout := range [][2]int64{{0, 188}, {4, 192}} {
		first := at + layout[0]
		if s.has(first, "G") && s.has(first+layout[1], "G") && s.has(first+2*layout[1], "G") && s.has(first+3*layout[1], "G") {
			return "an MPEG transport stream"
		}
	}
	head := strings.ToLower(strings.TrimLeft(strings.TrimPrefix(string(s.at(at, 512)), "\xef\xbb\xbf"), " \t\r\n"))
	for _, sig := range [][2]string{
		{"<!doctype html", "an HTML page"}, {"<html", "an HTML page"}, {"<head", "an HTML page"}, {"<body", "an HTML page"},
		{"<script", "an HTML page"}, {"<svg", "an SVG picture"}, {"<?xml", "an XML document"}, {"<?php", "a script"}, {"<!--", "an HTML page"},
	} {
		if strings.HasPrefix(head, sig[0]) {
			return sig[1]
		}
	}
	return ""
}

// Objects of ASF, the format of Windows Media, are named by GUIDs.
const (
	asfHeader = "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
	asfFilm   = "\xc0\xef\x19\xbc\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b"
)

// asf names Windows Media by whether a film is among its streams.
func (s *source) asf(at int64) Found {
	if s.contains(at, pieceSize, asfFilm) {
		return Found{What: "a Windows Media film"}
	}
	return Found{What: notTaken("Windows Media Audio")}
}

// byName names what has no structure that is known.
func (s *source) byName(at int64) Found {
	head := s.at(at, pieceSize)
	switch name := s.signature(at, 1); {
	case name != "":
		return Found{What: name}
	case len(head) == 0 && at == 0:
		return Found{What: "none at all: the file is empty"}
	case len(head) == 0:
		return Found{What: "tags or zeros alone, without audio"}
	case len(s.at(at, 1)) == 1 && s.zeros(at, int64(len(head))) == int64(len(head)):
		return Found{What: "zeros"}
	case isText(head):
		return Found{What: "text"}
	}
	return Found{What: "no audio of a format that is known"}
}

// isText reports whether b is text in UTF-8; its end may be cut within a character.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && size <= 1:
			return !utf8.FullRune(b)
		case r < ' ' && !strings.ContainsRune("\t\r\n\f\v", r):
			return false
		}
		b = b[size:]
	}
	return true
}
