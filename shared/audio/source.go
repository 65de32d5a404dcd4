package audio

import (
	"bytes"
	"errors"
	"io"
)

// Each piece of an object is a request to S3, which takes as long for 16 KiB as for one byte.
const (
	pieceSize  = 16 << 10
	mostPieces = 64
	mostBytes  = 4 << 20
)

// source reads a file in pieces, keeps them, and reads no more than is allowed.
type source struct {
	file   io.ReaderAt
	pieces []piece
	bytes  int   // read so far
	spent  bool  // more was asked for than may be read
	err    error // of reading; nothing is read after it
}

type piece struct {
	at   int64
	b    []byte
	last bool // the file ends with it
}

// at returns up to n bytes from offset on: fewer at the end of the file, and none after an
// error or when no more may be read.
func (s *source) at(offset int64, n int) []byte {
	if offset < 0 || n <= 0 {
		return nil
	}
	for _, p := range s.pieces {
		if from := offset - p.at; from >= 0 && from <= int64(len(p.b)) && (p.last || from+int64(n) <= int64(len(p.b))) {
			return p.b[from:min(from+int64(n), int64(len(p.b)))]
		}
		if p.last && offset >= p.at+int64(len(p.b)) {
			return nil
		}
	}
	size := max(n, pieceSize)
	if s.err != nil || len(s.pieces) == mostPieces || s.bytes+size > mostBytes {
		s.spent = true
		return nil
	}
	b := make([]byte, size)
	got, err := s.file.ReadAt(b, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
		return nil
	}
	s.bytes += got
	s.pieces = append(s.pieces, piece{at: offset, b: b[:got], last: got < size})
	return b[:min(n, got)]
}

// has reports whether the file has these bytes at an offset.
func (s *source) has(offset int64, text string) bool {
	return string(s.at(offset, len(text))) == text
}

// ends reports whether the file ends at an offset, or before it.
func (s *source) ends(offset int64) bool {
	return len(s.at(offset, 1)) == 0 && s.err == nil && !s.spent
}

// contains reports whether text is among the n bytes from offset on.
func (s *source) contains(offset int64, n int, text string) bool {
	return bytes.Contains(s.at(offset, n), []byte(text))
}

// printable reports whether b is an identifier of a box or chunk: four characters of ASCII,
// or the sign © that QuickTime begins some with.
func printable(b []byte) bool {
	for _, c := range b {
		if (c < ' ' || c > '~') && c != 0xa9 {
			return false
		}
	}
	return len(b) == 4
}
