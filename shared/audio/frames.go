package audio

import (
	"encoding/binary"

	"trackstore/shared/track"
)

// frame is one of a stream of frames that have no file format around them.
type frame struct {
	size   int64  // with freeRate just the padding: what goes before it is of one length in all frames
	kind   uint32 // what all frames of a stream have alike
	format track.Format
	// freeRate says that the header names no bit rate: where the next frame begins tells it.
	freeRate bool
}

// parser reads a frame by its first bytes; ok is false where there is none.
type parser func(header []byte) (f frame, ok bool)

const frameHeader = 7 // bytes, of the longest header

// Where frames begin right at the start, two in a row tell them; a sync word of two bytes is
// anywhere. A recording of a broadcast begins in the middle of a frame, and some taggers leave
// junk; there, where every offset is tried, it takes more, for chance has many tries.
const (
	framesAtStart = 2
	framesInJunk  = 5
	mostJunk      = 8192 // bytes; no frame of AAC is longer
)

// byFrames tells MPEG audio and AAC by frames in a row.
func (s *source) byFrames(at int64) (Found, bool) {
	if format := s.frames(at, framesAtStart); format != "" {
		return Found{Format: format}, true
	}
	if s.has(at, "\x00") { // not junk yet: zeros are skipped first
		return Found{}, false
	}
	junk := s.at(at, mostJunk)
	for i := range junk {
		if junk[i] != 0xff && junk[i] != loasSync {
			continue
		}
		if format := s.frames(at+int64(i), framesInJunk); format != "" {
			return Found{Format: format}, true
		}
	}
	return Found{}, false
}

// frames returns the format of the frames at an offset, if so many are in a row, or as few as
// two that end with the file or before a tag.
func (s *source) frames(at int64, want int) track.Format {
	for _, parse := range []parser{mpegFrame, adtsFrame, loasFrame} {
		if format := s.chain(at, want, parse); format != "" {
			return format
		}
	}
	return ""
}

func (s *source) chain(at int64, want int, parse parser) track.Format {
	var first frame
	var unpadded int64 // of a free bit rate
	for n := 0; n < want; n++ {
		f, ok := parse(s.at(at, frameHeader))
		switch {
		case !ok && n >= framesAtStart && (s.ends(at) || s.tagFollows(at)):
			return first.format
		case !ok || n > 0 && f.kind != first.kind:
			return ""
		case n == 0:
			first = f
		}
		if f.freeRate {
			if unpadded == 0 && want == framesAtStart { // a search at every offset of junk would be long
				unpadded = s.freeSize(at, f)
			}
			if unpadded == 0 {
				return ""
			}
			at += unpadded
		}
		at += f.size
	}
	return first.format
}

// freeSize returns how long the frame of a free bit rate at an offset is, without its padding: so
// long that the two after it begin where that says. 0: it is none.
func (s *source) freeSize(at int64, f frame) int64 {
	const least, most = 24, 4096 // bytes; at 640 kbit/s a frame has up to 2,880
	b := s.at(at, 2*most)
	follows := func(offset int64) (frame, bool) {
		next, ok := mpegFrame(b[min(offset, int64(len(b))):])
		return next, ok && next.freeRate && next.kind == f.kind
	}
	for size := int64(least); size < most; size++ {
		next, ok := follows(size + f.size)
		if !ok {
			continue
		}
		third := 2*size + f.size + next.size
		if _, ok := follows(third); ok || s.ends(at+third) || s.tagFollows(at+third) {
			return size
		}
	}
	return 0
}

// The bit rates of MPEG audio, kbit/s: of MPEG 1 layers I, II and III, of MPEG 2 layer I, and
// of its other two.
var bitRates = [5][16]int64{
	{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// mpegFrame reads the header of MPEG 1, 2 or 2.5 audio, layer I, II or III.
func mpegFrame(b []byte) (frame, bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return frame{}, false
	}
	version, layer := b[1]>>3&3, 4-int(b[1]>>1&3) // of the version 3 is MPEG 1, 2 MPEG 2, 0 MPEG 2.5
	rates := bitRates[4]
	switch {
	case version == 3 && layer < 4:
		rates = bitRates[layer-1]
	case layer == 1:
		rates = bitRates[3]
	}
	const noRate = 15
	rate, sampleRateIndex, padding := rates[b[2]>>4]*1000, b[2]>>2&3, int64(b[2]>>1&1)
	if version == 1 || layer == 4 || b[2]>>4 == noRate || sampleRateIndex == 3 || b[3]&3 == 2 {
		return frame{}, false
	}
	sampleRate := [3]int64{44100, 48000, 32000}[sampleRateIndex]
	switch version {
	case 2:
		sampleRate /= 2
	case 0:
		sampleRate /= 4
	}
	f := frame{kind: uint32(b[1]&0xfe)<<8 | uint32(b[2]&0x0c), format: track.MP2, freeRate: rate == 0}
	switch {
	case layer == 1:
		f.size = (12*rate/sampleRate + padding) * 4
	case layer == 3 && version != 3:
		f.size, f.format = 72*rate/sampleRate+padding, track.MP3
	default:
		f.size = 144*rate/sampleRate + padding
	}
	if layer == 3 {
		f.format = track.MP3
	}
	return f, true
}

// adtsFrame reads the header of AAC as streams have it.
func adtsFrame(b []byte) (frame, bool) {
	const header, sampleRates = 7, 13
	if len(b) < header || b[0] != 0xff || b[1]&0xf6 != 0xf0 || b[2]>>2&0xf >= sampleRates {
		return frame{}, false
	}
	size := int64(b[3]&3)<<11 | int64(b[4])<<3 | int64(b[5])>>5
	return frame{size: size, kind: 0x10000 | uint32(b[1]&8)<<8 | uint32(b[2]&0xfc), format: track.AAC}, size >= header
}

// loasSync is the first byte of a frame of AAC as broadcasts have it.
const loasSync = 0x56

func loasFrame(b []byte) (frame, bool) {
	const header = 3
	if len(b) < header || b[0] != loasSync || b[1]&0xe0 != 0xe0 {
		return frame{}, false
	}
	size := int64(b[1]&0x1f)<<8 | int64(b[2])
	return frame{size: header + size, kind: 0x20000, format: track.AAC}, size > 0
}

// flac tells FLAC by its first metadata block, STREAMINFO, and by what follows it: another
// block, the first frame, or nothing.
func (s *source) flac(at int64) Found {
	broken := Found{What: "no FLAC, although they begin like it: they lack STREAMINFO"}
	const header, length, lastKind = 4, 34, 6
	b := s.at(at+4, header+length)
	if !isStreamInfo(b) {
		return broken
	}
	next := at + 4 + header + length
	after := s.at(next, 2)
	switch {
	case len(after) < 2:
	case b[0]&0x80 == 0 && (after[0]&0x7f == 0 || after[0]&0x7f > lastKind): // no other block
		return broken
	case b[0]&0x80 != 0 && binary.BigEndian.Uint16(after)&0xfffe != 0xfff8 && !s.has(next, "\x00\x00"):
		return broken
	}
	return Found{Format: track.FLAC}
}

// isStreamInfo reports whether b begins with this metadata block of FLAC.
func isStreamInfo(b []byte) bool {
	if len(b) < 38 || b[0]&0x7f != 0 || b[1] != 0 || b[2] != 0 || b[3] != 34 {
		return false
	}
	smallest, largest := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	smallestFrame, largestFrame := number(b[8:11]), number(b[11:14])
	sampleRate := binary.BigEndian.Uint32(b[14:]) >> 12
	bitsPerSample := binary.BigEndian.Uint16(b[16:])>>4&0x1f + 1
	return smallest >= 16 && largest >= smallest && (largestFrame == 0 || largestFrame >= smallestFrame) && sampleRate > 0 && bitsPerSample >= 4
}
