// Package audio tells audio formats by their bytes.
package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/gabriel-vasile/mimetype"

	"trackstore/shared/track"
)

// headLen is how many bytes Detect reads at a time.
const headLen = 4096

// Detect returns the format of a file. It is false for what is not audio, or audio of a
// format that trackstore does not take. It reads 4 KiB at the start, and where a
// format needs it a few more pieces of at most that size further on. The error is one of
// reading.
//
// Where the file ends before it shows, a tag that goes before MP3 counts as MP3, and an MP4
// file as audio.
func Detect(file io.ReaderAt) (track.Format, bool, error) {
	head, err := read(file, 0, headLen)
	if err != nil {
		return "", false, err
	}
	tag := id3Len(head)
	if tag == 0 {
		return detect(file, head)
	}
	// The tag says nothing about what follows it: MP3 mostly, also AAC, FLAC or AIFF.
	body := head[min(tag, int64(len(head))):]
	if len(body) < enoughToTell && len(head) == headLen {
		if body, err = read(file, tag, headLen); err != nil {
			return "", false, err
		}
	}
	if len(body) == 0 {
		return track.MP3, true, nil
	}
	return detect(file, bytes.TrimLeft(body, "\x00")) // some taggers pad
}

// enoughToTell is how many bytes after a tag tell what follows: two frames of most MP3s.
const enoughToTell = 1024

// detect tells the format of what begins with head. file is for a look further on.
func detect(file io.ReaderAt, head []byte) (track.Format, bool, error) {
	switch {
	case has(head, 0, "fLaC"):
		return track.FLAC, true, nil
	case has(head, 8, "WAVE") && (has(head, 0, "RIFF") || has(head, 0, "RF64") || has(head, 0, "BW64")):
		return track.WAV, true, nil
	case has(head, 0, "FORM") && (has(head, 8, "AIFF") || has(head, 8, "AIFC")):
		return track.AIFF, true, nil
	case has(head, 0, "ADIF"), isADTS(head):
		return track.AAC, true, nil
	case has(head, 0, "OggS"):
		f, ok := sniffOgg(head)
		return f, ok, nil
	case has(head, 4, "ftyp"):
		return detectMP4(file, head)
	}
	// What is left is MP3, which has no signature: the library looks for a run of frames,
	// after it has ruled out everything that has one.
	return track.MP3, mimetype.Detect(head).Is("audio/mpeg"), nil
}

func has(b []byte, at int, signature string) bool {
	return len(b) >= at && bytes.HasPrefix(b[at:], []byte(signature))
}

// id3Len returns the length of the ID3v2 tag that b begins with, 0 for none.
func id3Len(b []byte) int64 {
	const header = 10
	if len(b) < header || !has(b, 0, "ID3") || b[3] == 0xff || b[4] == 0xff {
		return 0
	}
	var size int64
	for _, c := range b[6:10] { // four times seven bits
		if c&0x80 != 0 {
			return 0
		}
		size = size<<7 | int64(c)
	}
	if b[5]&0x10 != 0 { // a footer
		size += header
	}
	return header + size
}

// isADTS reports whether b begins with a frame of AAC as streams have it, and goes on with
// another one where it is long enough to show it.
func isADTS(b []byte) bool {
	n := adtsFrameLen(b)
	return n > 0 && (len(b) < n+adtsHeader || adtsFrameLen(b[n:]) > 0)
}

const adtsHeader = 7 // bytes

func adtsFrameLen(b []byte) int {
	if len(b) < adtsHeader || b[0] != 0xff || b[1]&0xf6 != 0xf0 || b[2]>>2&0xf > 12 {
		return 0
	}
	n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if n < adtsHeader {
		return 0
	}
	return n
}

// sniffOgg looks at the first packet of each stream in an Ogg file; they come before all
// else. A file with a picture stream is a film.
func sniffOgg(b []byte) (format track.Format, ok bool) {
	const header, firstOfStream = 27, 2
	for len(b) >= header && has(b, 0, "OggS") && b[5]&firstOfStream != 0 {
		lacing := int(b[26])
		if len(b) < header+lacing {
			break
		}
		var size int
		for _, n := range b[header : header+lacing] {
			size += int(n)
		}
		packet := b[header+lacing:]
		switch {
		case has(packet, 0, "OpusHead"):
			format = track.Opus
		case has(packet, 0, "\x01vorbis"), has(packet, 0, "\x7fFLAC"), has(packet, 0, "Speex   "):
			if format == "" {
				format = track.OGG
			}
		case has(packet, 0, "\x80theora"), has(packet, 0, "\x01video"), has(packet, 0, "BBCD"):
			return "", false
		}
		b = packet[min(size, len(packet)):]
	}
	return format, format != ""
}

// read returns up to n bytes of file from offset on; fewer at its end.
func read(file io.ReaderAt, offset int64, n int) ([]byte, error) {
	b := make([]byte, n)
	n, err := file.ReadAt(b, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// detectMP4 tells audio from films and pictures in the family of MP4. Files of music apps
// say it in their brand; for the others the kinds of their tracks do.
func detectMP4(file io.ReaderAt, head []byte) (track.Format, bool, error) {
	for _, brand := range []string{"M4A ", "M4B ", "M4P ", "F4A ", "F4B "} {
		if has(head, 8, brand) {
			return track.M4A, true, nil
		}
	}
	for _, brand := range []string{"isom", "iso2", "iso3", "iso4", "iso5", "iso6", "mp41", "mp42", "dash", "MSNV", "NDSC"} {
		if has(head, 8, brand) {
			moov, err := readMoov(file)
			return track.M4A, !hasPictures(moov), err
		}
	}
	return "", false, nil
}

// hasPictures reports whether one of the tracks that moov describes is a film's.
func hasPictures(moov []byte) bool {
	const kind = 12 // of a track, so far into its handler box
	for i := bytes.Index(moov, []byte("hdlr")); i >= 0; i = bytes.Index(moov, []byte("hdlr")) {
		moov = moov[i:]
		if has(moov, kind, "vide") {
			return true
		}
		moov = moov[4:]
	}
	return false
}

// readMoov returns the beginning of the box that describes an MP4 file's tracks; it may
// come last. Empty where it cannot be found within a few steps.
func readMoov(file io.ReaderAt) ([]byte, error) {
	const steps = 8
	var offset int64
	for range steps {
		header, err := read(file, offset, 16)
		if err != nil || len(header) < 16 {
			return nil, err
		}
		size := int64(binary.BigEndian.Uint32(header))
		if size == 1 { // a long one
			size = int64(binary.BigEndian.Uint64(header[8:]))
		}
		if has(header, 4, "moov") {
			return read(file, offset, int(min(max(size, 0), headLen)))
		}
		if size < 8 || offset+size < offset {
			return nil, nil // it goes to the end, or is broken
		}
		offset += size
	}
	return nil, nil
}
