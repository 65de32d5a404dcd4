package audio

import (
	"encoding/binary"
	"math"

	"trackstore/shared/track"
)

// riff tells WAV by its fmt chunk, wherever it stands. RIFX counts with the largest byte
// first; RF64 and BW64 have sizes beyond 4 GiB in a chunk of their own, ds64.
func (s *source) riff(at int64) Found {
	switch kind := string(s.at(at+8, 4)); kind {
	case "WAVE":
	case "AVI ", "AMV ":
		return Found{What: "an AVI film"}
	case "CDXA":
		return Found{What: "a Video CD film"}
	case "RMID":
		return Found{What: notTaken("MIDI")}
	case "QLCM":
		return Found{What: notTaken("QCELP")}
	case "WEBP":
		return Found{What: "a picture"}
	default:
		return Found{What: "no WAV, although they begin like it"}
	}
	var order binary.ByteOrder = binary.LittleEndian
	if s.has(at, "RIFX") {
		order = binary.BigEndian
	}
	var dataSize int64
	for at += 12; ; {
		header := s.at(at, 8)
		if len(header) < 8 || !printable(header[:4]) {
			return Found{What: "a WAV file that does not say what its samples are: it has no fmt chunk"}
		}
		size := int64(order.Uint32(header[4:]))
		switch string(header[:4]) {
		case "fmt ":
			return s.wavFormat(at, size, order)
		case "ds64": // size of the file, size of the data
			if b := s.at(at+8, 16); len(b) == 16 {
				dataSize = int64(min(order.Uint64(b[8:]), math.MaxInt64/2))
			}
		case "data":
			if size == math.MaxUint32 && dataSize > 0 {
				size = dataSize
			}
		}
		at = s.nextChunk(at, size)
	}
}

// nextChunk returns where the chunk after that at an offset begins. One of odd size has a
// byte behind it, which some programs forget.
func (s *source) nextChunk(at, size int64) int64 {
	at += 8 + size
	if size%2 == 1 && !printable(s.at(at, 4)) {
		at++
	}
	return at
}

func (s *source) wavFormat(at, size int64, order binary.ByteOrder) Found {
	b := s.at(at+8, 16)
	if size < 14 || len(b) < 14 || order.Uint16(b) == 0 || order.Uint16(b[2:]) == 0 || order.Uint32(b[4:]) == 0 {
		return Found{What: "a WAV file whose fmt chunk makes no sense"}
	}
	if next := s.nextChunk(at, size); !s.ends(next) && !printable(s.at(next, 4)) {
		return Found{What: "a WAV file that has something else than a chunk after fmt"}
	}
	return Found{Format: track.WAV}
}

// aiff tells AIFF and AIFC by the COMM chunk.
func (s *source) aiff(at int64) Found {
	for at += 12; ; {
		header := s.at(at, 8)
		if len(header) < 8 || !printable(header[:4]) {
			return Found{What: "an AIFF file that does not say what its samples are: it has no COMM chunk"}
		}
		size := int64(binary.BigEndian.Uint32(header[4:]))
		if string(header[:4]) != "COMM" {
			at = s.nextChunk(at, size)
			continue
		}
		// Channels, frames, bits, and the sample rate as a number of 80 bits.
		b := s.at(at+8, 18)
		if size < 18 || len(b) < 18 || binary.BigEndian.Uint16(b) == 0 || binary.BigEndian.Uint64(b[10:]) == 0 {
			return Found{What: "an AIFF file whose COMM chunk makes no sense"}
		}
		return Found{Format: track.AIFF}
	}
}
