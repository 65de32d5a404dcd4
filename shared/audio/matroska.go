package audio

import (
	"math/bits"
	"strings"

	"trackstore/shared/track"
)

// The elements of Matroska and WebM that are looked at.
const (
	ebmlDocType   = 0x4282
	mkvSegment    = 0x18538067
	mkvSeekHead   = 0x114d9b74
	mkvSeek       = 0x4dbb
	mkvSeekID     = 0x53ab
	mkvSeekAt     = 0x53ac
	mkvCluster    = 0x1f43b675
	mkvTracks     = 0x1654ae6b
	mkvTrack      = 0xae
	mkvKind       = 0x83
	mkvKindFilm   = 1
	mkvKindSound  = 2
	mkvKindBoth   = 3
	unknownLength = -1
)

// element is a piece of the tree that such files consist of.
type element struct {
	id     uint64
	from   int64 // of its content
	length int64 // bytes, or unknownLength: what a recorder writes that does not know yet
}

func (e element) to() int64 {
	if e.length == unknownLength {
		return toTheEnd
	}
	return e.from + e.length
}

// element reads the header of the element at an offset.
func (s *source) element(at int64) (element, bool) {
	b := s.at(at, 12)
	if len(b) == 0 || b[0] < 0x10 { // an id has up to four bytes
		return element{}, false
	}
	idLen := bits.LeadingZeros8(b[0]) + 1
	if len(b) <= idLen || b[idLen] == 0 {
		return element{}, false
	}
	sizeLen := bits.LeadingZeros8(b[idLen]) + 1
	if len(b) < idLen+sizeLen {
		return element{}, false
	}
	e := element{id: number(b[:idLen]), from: at + int64(idLen+sizeLen)}
	size := number(b[idLen:idLen+sizeLen]) &^ (1 << (7 * sizeLen))
	if e.length = int64(size); size == 1<<(7*sizeLen)-1 {
		e.length = unknownLength
	}
	return e, true
}

func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// elements calls visit for the elements between two offsets, in order, until it says false.
func (s *source) elements(from, to int64, visit func(element) bool) {
	for from < to {
		e, ok := s.element(from)
		if !ok || e.length > to-e.from || !visit(e) || e.length == unknownLength {
			return
		}
		from = e.to()
	}
}

// value returns a number that an element holds.
func (s *source) value(e element) uint64 {
	if e.length < 0 || e.length > 8 {
		return 0
	}
	return number(s.at(e.from, int(e.length)))
}

// matroska tells sound from films, in Matroska and WebM, by the kinds of the tracks.
// Pictures are attachments, and no track.
func (s *source) matroska(at int64) Found {
	head, ok := s.element(at)
	if !ok {
		return Found{What: "no Matroska, although they begin like it"}
	}
	var kind string
	s.elements(head.from, head.to(), func(e element) bool {
		if e.id == ebmlDocType && e.length > 0 && e.length < 100 {
			kind = strings.TrimRight(string(s.at(e.from, int(e.length))), "\x00")
		}
		return true
	})
	name, format := "Matroska", track.MKA
	switch kind {
	case "webm":
		name, format = "WebM", track.WebM
	case "matroska":
	default:
		return Found{What: "EBML, and neither Matroska nor WebM"}
	}
	t, ok := s.mkvTracks(head.to())
	switch {
	case !ok:
		return Found{What: article(name) + " file that does not describe its tracks; was it cut off?"}
	case t.film:
		return Found{What: article(name) + " film"}
	case !t.sound:
		return Found{What: article(name) + " file without a sound track"}
	}
	return Found{Format: format}
}

// mkvTracks finds the description of the tracks: among the first elements of the segment,
// or where its index says.
func (s *source) mkvTracks(at int64) (t tracks, ok bool) {
	s.elements(at, toTheEnd, func(segment element) bool {
		if segment.id != mkvSegment {
			return true // padding
		}
		var found element
		var indexed int64
		s.elements(segment.from, segment.to(), func(e element) bool {
			switch e.id {
			case mkvSeekHead:
				if at := s.mkvIndexed(e); at > 0 {
					indexed = segment.from + at
				}
			case mkvTracks:
				found, ok = e, true
			case mkvCluster: // the tracks' description comes late
				if e, is := s.element(indexed); is && indexed > 0 && e.id == mkvTracks {
					found, ok = e, true
				}
				return !ok
			}
			return !ok
		})
		s.elements(found.from, found.to(), func(e element) bool {
			if e.id == mkvTrack && e.length >= 0 {
				s.mkvTrack(e, &t)
			}
			return true
		})
		return false
	})
	return t, ok
}

// mkvIndexed returns where an index says that the tracks are, 0 where it does not.
func (s *source) mkvIndexed(index element) (at int64) {
	s.elements(index.from, index.to(), func(seek element) bool {
		var id, position uint64
		if seek.id == mkvSeek {
			s.elements(seek.from, seek.to(), func(e element) bool {
				switch e.id {
				case mkvSeekID:
					id = s.value(e)
				case mkvSeekAt:
					position = s.value(e)
				}
				return true
			})
		}
		if id == mkvTracks && position < toTheEnd/2 {
			at = int64(position)
		}
		return true
	})
	return at
}

func (s *source) mkvTrack(entry element, t *tracks) {
	s.elements(entry.from, entry.to(), func(e element) bool {
		if e.id == mkvKind {
			switch s.value(e) {
			case mkvKindFilm:
				t.film = true
			case mkvKindSound:
				t.sound = true
			case mkvKindBoth:
				t.sound, t.film = true, true
			}
		}
		return true
	})
}
