package audio

import (
	"encoding/binary"
	"strings"

	"trackstore/shared/track"
)

// ogg looks at the first packet of each stream in an Ogg file, which names its codec; the
// streams' first pages come before all others.
func (s *source) ogg(at int64) Found {
	const header, firstOfStream = 27, 2
	var format track.Format
	unknown := false
	for {
		page := s.at(at, header+255)
		if len(page) < header || string(page[:4]) != "OggS" || page[4] != 0 || len(page) < header+int(page[26]) {
			return Found{What: "the beginning of an Ogg file, without sound"}
		}
		if page[5]&firstOfStream == 0 {
			break
		}
		lacing := page[header : header+int(page[26])]
		var size, packet int64
		whole := false
		for _, n := range lacing {
			size += int64(n)
			if !whole {
				packet += int64(n)
				whole = n < 255
			}
		}
		start := at + header + int64(len(lacing))
		first := s.at(start, int(packet))
		switch f, film := oggCodec(first); {
		case film:
			return Found{What: "an Ogg film"}
		case f == "":
			unknown = unknown || !isOggHelper(first)
		case format == "", f == track.Opus:
			format = f
		}
		at = start + size
	}
	switch {
	case format != "":
		return Found{Format: format}
	case unknown:
		return Found{What: "an Ogg file of a codec that is not known"}
	}
	return Found{What: "an Ogg file without sound"}
}

// oggCodec reads a codec's first header.
func oggCodec(b []byte) (format track.Format, film bool) {
	has := func(prefix string) bool { return strings.HasPrefix(string(b), prefix) }
	le := binary.LittleEndian
	switch {
	case has("\x01vorbis"): // version, channels, rate, three bit rates, two block sizes, a framing bit
		ok := len(b) >= 30 && le.Uint32(b[7:]) == 0 && b[11] > 0 && le.Uint32(b[12:]) > 0 && b[28]&0xf <= b[28]>>4 && b[29]&1 == 1
		return formatIf(track.OGG, ok), false
	case has("OpusHead"): // version, channels
		return formatIf(track.Opus, len(b) >= 19 && b[8]&0xf0 == 0 && b[9] > 0), false
	case has("Speex   "): // a version of 20 + 4 bytes, size of the header, rate
		return formatIf(track.Speex, len(b) >= 80 && le.Uint32(b[36:]) > 0), false
	case has("\x7fFLAC"): // version, number of headers, and then what a FLAC file begins with
		return formatIf(track.OGG, len(b) >= 13+38 && string(b[9:13]) == "fLaC" && isStreamInfo(b[13:])), false
	case has("fLaC"): // as it was before that was agreed upon
		return formatIf(track.OGG, isStreamInfo(b[4:])), false
	}
	for _, name := range []string{"\x80theora", "\x80daala", "BBCD\x00", "\x01video", "OVP80", "\x01AV1", "\x8aMNG", "\x8bJNG", "YUV4MPEG"} {
		if has(name) {
			return "", true
		}
	}
	return "", false
}

// isOggHelper reports whether b begins a stream that goes beside sound: an index, text.
func isOggHelper(b []byte) bool {
	for _, name := range []string{"fishead\x00", "\x80kate\x00", "CMML\x00", "\x01text", "Annodex\x00"} {
		if strings.HasPrefix(string(b), name) {
			return true
		}
	}
	return false
}

func formatIf(f track.Format, ok bool) track.Format {
	if !ok {
		return ""
	}
	return f
}
