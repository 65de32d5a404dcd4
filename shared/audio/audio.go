// Package audio tells audio formats by the structure of a file's bytes.
package audio

import (
	"io"

	"trackstore/shared/track"
)

// Found is what a file's bytes are.
type Found struct {
	// Format is empty for what is not audio, for films, and for audio that is not taken.
	Format track.Format
	// What names what was found where there is no Format, for people, so that it ends the
	// sentence "the bytes are …": "a Matroska film".
	What string
}

// Look tells what a file is. It looks at structure and never at a magic number alone: a box
// tree with a sound track, frames in a row, the header of a codec. Tags in front of it are
// walked. However the file is built, Look reads at most 4 MiB of it, in at most 64 pieces.
// The error is one of reading.
func Look(file io.ReaderAt) (Found, error) {
	s := &source{file: file}
	found := s.look()
	if s.err != nil {
		return Found{}, s.err
	}
	return found, nil
}

// Detect returns the Format that Look finds, and false where there is none.
func Detect(file io.ReaderAt) (track.Format, bool, error) {
	found, err := Look(file)
	return found.Format, found.Format != "", err
}

// mostZeros is how many zeros may stand between a tag and what it belongs to, bytes. Players
// skip as many.
const mostZeros = 64 << 10

func (s *source) look() Found {
	var at int64
	for {
		at = s.skipTags(at)
		if found, known := s.bySignature(at); known {
			return found
		}
		if found, known := s.byFrames(at); known {
			return found
		}
		zeros := s.zeros(at, mostZeros)
		if zeros == 0 || zeros == mostZeros && s.has(at+zeros, "\x00") {
			break
		}
		at += zeros
	}
	if s.spent {
		return Found{What: "built so that too much of them would have to be read to tell what they are"}
	}
	return s.byName(at)
}

// zeros counts the zeros at an offset, up to most.
func (s *source) zeros(at, most int64) (n int64) {
	for n < most {
		b := s.at(at+n, int(min(most-n, pieceSize)))
		for _, c := range b {
			if c != 0 {
				return n
			}
			n++
		}
		if len(b) == 0 {
			break
		}
	}
	return n
}

// bySignature tells what begins at an offset with a magic number, by what goes on after it.
// It is false where there is none.
func (s *source) bySignature(at int64) (Found, bool) {
	switch {
	case s.has(at, "fLaC"):
		return s.flac(at), true
	case s.has(at, "OggS"):
		return s.ogg(at), true
	case s.has(at, "RIFF"), s.has(at, "RIFX"), s.has(at, "RF64"), s.has(at, "BW64"):
		return s.riff(at), true
	case s.has(at, "FORM") && (s.has(at+8, "AIFF") || s.has(at+8, "AIFC")):
		return s.aiff(at), true
	case s.has(at, "\x1a\x45\xdf\xa3"):
		return s.matroska(at), true
	case s.has(at, asfHeader):
		return s.asf(at), true
	}
	const notByChance = 3
	if name := s.signature(at, notByChance); name != "" {
		return Found{What: name}, true
	}
	return s.mp4(at)
}
