package audio

import "encoding/binary"

// skipTags returns where the tags that begin at an offset end. A tag that ends beyond the
// file is none.
func (s *source) skipTags(at int64) int64 {
	const most = 16
	for range most {
		size := s.id3(at)
		if size == 0 {
			size = s.apeTag(at)
		}
		// What ends with the file is whole, and has nothing behind it.
		if size == 0 || s.ends(at+size-1) {
			break
		}
		at += size
	}
	return at
}

// id3 returns the length of the ID3v2 tag at an offset, 0 for none.
func (s *source) id3(at int64) int64 {
	const header = 10
	b := s.at(at, header)
	if len(b) < header || string(b[:3]) != "ID3" || b[3] == 0xff || b[4] == 0xff {
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

// apeTag returns the length of the APE tag at an offset, 0 for none.
func (s *source) apeTag(at int64) int64 {
	const header = 32
	b := s.at(at, header)
	if len(b) < header || string(b[:8]) != "APETAGEX" {
		return 0
	}
	return header + int64(binary.LittleEndian.Uint32(b[12:]))
}

// tagFollows reports whether a tag that goes after MP3 or AAC is at an offset.
func (s *source) tagFollows(at int64) bool {
	return s.has(at, "TAG") || s.has(at, "APETAGEX") || s.has(at, "LYRICSBEGIN") || s.has(at, "ID3") || s.has(at, "3DI")
}
