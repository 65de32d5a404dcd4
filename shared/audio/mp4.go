package audio

import (
	"encoding/binary"
	"math"
	"slices"

	"trackstore/shared/track"
)

// box is a piece of the tree that files of the MP4 family, 3GP and QuickTime consist of.
type box struct {
	kind     string
	from, to int64 // of its content
}

const toTheEnd = math.MaxInt64

// box reads the header of the box at an offset, which ends no later than its parent.
func (s *source) box(at, end int64) (box, bool) {
	const header = 16
	b := s.at(at, header)
	if len(b) < 8 || at+8 > end || !printable(b[4:8]) {
		return box{}, false
	}
	c := box{kind: string(b[4:8]), from: at + 8}
	size := uint64(binary.BigEndian.Uint32(b))
	if size == 1 { // a long one
		if len(b) < header {
			return box{}, false
		}
		size = binary.BigEndian.Uint64(b[8:])
		c.from += 8
	}
	// A size of 0 means: to the end.
	if c.to = end; size > 0 && size < uint64(end-at) {
		c.to = at + int64(size)
	}
	return c, c.to >= c.from
}

// children calls visit for the boxes between two offsets, in order, until it says false.
func (s *source) children(from, to int64, visit func(box) bool) {
	for from < to {
		b, ok := s.box(from, to)
		if !ok || !visit(b) {
			return
		}
		from = b.to
	}
}

// child returns the first child of a kind.
func (s *source) child(parent box, kind string) (found box, ok bool) {
	s.children(parent.from, parent.to, func(b box) bool {
		if ok = b.kind == kind; ok {
			found = b
		}
		return !ok
	})
	return found, ok
}

// firstBoxes are the kinds of box that such files begin with. A file that begins with
// another kind is one where it has a moov box all the same.
var firstBoxes = []string{"ftyp", "styp", "moov", "moof", "mdat", "sidx", "pdin", "free", "skip", "wide", "pnot"}

// mp4 tells sound from films by the kinds of the tracks that the moov box describes. The
// brand says nothing of them. False: these are no boxes.
func (s *source) mp4(at int64) (Found, bool) {
	first, ok := s.box(at, toTheEnd)
	if !ok {
		return Found{}, false
	}
	known := slices.Contains(firstBoxes, first.kind)
	var moov, meta, moof bool
	var tracks tracks
	brand := ""
	s.children(at, toTheEnd, func(b box) bool {
		switch b.kind {
		case "ftyp":
			brand = string(s.at(b.from, 4))
		case "moov":
			moov = true
			s.children(b.from, b.to, func(b box) bool {
				if b.kind == "trak" {
					s.trak(b, &tracks)
				}
				return true
			})
		case "meta":
			meta = true
		case "moof":
			moof = true
		}
		return !moov
	})
	name := "MP4"
	if brand == "qt  " || brand == "" {
		name = "QuickTime"
	}
	switch {
	case tracks.film:
		return Found{What: article(name) + " film"}, true
	case tracks.sound:
		return Found{Format: track.M4A}, true
	case s.spent || !known && !moov:
		return Found{}, false
	case moov:
		return Found{What: article(name) + " file without a sound track"}, true
	case meta:
		return Found{What: "a picture (HEIF)"}, true
	case moof:
		return Found{What: "a fragment of an MP4 file, without the moov box that describes it"}, true
	}
	return Found{What: article(name) + " file without the moov box that describes it; was it cut off?"}, true
}

type tracks struct{ sound, film bool }

// trak adds what one track is. Text, of chapters say, and whatever else is neither sound nor
// picture counts as nothing.
func (s *source) trak(trak box, t *tracks) {
	mdia, ok := s.child(trak, "mdia")
	if !ok {
		return
	}
	hdlr, ok := s.child(mdia, "hdlr")
	if !ok {
		return
	}
	const kind = 8
	switch string(s.at(hdlr.from+kind, 4)) {
	case "soun":
		t.sound = true
	case "vide":
		t.film = t.film || !s.slides(mdia)
	case "auxv", "pict", "MPEG": // depth and masks; sequences of pictures; an MPEG-1 film
		t.film = true
	}
}

// slides reports whether a track shows pictures and no film: a cover, or a picture for each
// chapter, as audio books and podcasts have them in a track of their own. Such a track has
// still pictures, JPEG or PNG, and no more than one in a second. A film of a camera that
// stores each frame as JPEG has many.
func (s *source) slides(mdia box) bool {
	mdhd, ok := s.child(mdia, "mdhd")
	if !ok {
		return false
	}
	minf, _ := s.child(mdia, "minf")
	stbl, _ := s.child(minf, "stbl")
	stsd, _ := s.child(stbl, "stsd")
	stsz, ok := s.child(stbl, "stsz")
	if !ok || !s.stills(stsd) {
		return false
	}
	be := binary.BigEndian
	count := s.at(stsz.from+8, 4)
	times := s.at(mdhd.from, 32)
	if len(count) < 4 || len(times) < 32 {
		return false
	}
	scale, duration := uint64(be.Uint32(times[12:])), uint64(be.Uint32(times[16:]))
	if times[0] == 1 { // times of 64 bits
		scale, duration = uint64(be.Uint32(times[20:])), be.Uint64(times[24:])
	}
	pictures := uint64(be.Uint32(count))
	return pictures == 1 || pictures > 0 && scale > 0 && pictures <= duration/scale+1
}

// stills reports whether a description of samples names formats of still pictures alone.
func (s *source) stills(stsd box) bool {
	const header = 8 // version, number of entries
	entries, ok := 0, true
	s.children(stsd.from+header, stsd.to, func(b box) bool {
		entries++
		switch b.kind {
		case "jpeg", "png ", "tiff", "gif ":
		case "mp4v": // the kind of object that its esds box names: JPEG or PNG
			ok = ok && (s.contains(b.from, 160, "\x6c\x11") || s.contains(b.from, 160, "\x6d\x11"))
		default:
			ok = false
		}
		return ok
	})
	return ok && entries > 0
}
