package track

import "hash/maphash"

// HashSet is a set in some 6 bytes a member, for as many as there are tracks. It may take something for one of its own
// that is not, once in 10^7 questions of a set of 10^7, and another set would not for the same. Several may ask it at
// once; only one may add to it, while nobody asks.
type HashSet[T comparable] struct {
	seed  maphash.Seed
	cells *[1 << 16]cell // by the first 16 bits of a hash
}

// cell is a table of the last 32 bits of hashes. 0 is a free place.
type cell struct {
	members int
	places  []uint32
}

// NewHashSet returns an empty set.
func NewHashSet[T comparable]() HashSet[T] {
	return HashSet[T]{maphash.MakeSeed(), new([1 << 16]cell)}
}

// Add adds a member.
func (s HashSet[T]) Add(member T) {
	c, rest := s.of(member)
	i, found := c.find(rest)
	switch {
	case found:
		return
	case 5*(c.members+1) > 4*len(c.places): // so full that looking would take long
		was := c.places
		c.places = make([]uint32, len(was)*5/4+4)
		for _, r := range was {
			if r != 0 {
				at, _ := c.find(r)
				c.places[at] = r
			}
		}
		i, _ = c.find(rest)
	}
	c.places[i] = rest
	c.members++
}

// Has reports whether something is a member.
func (s HashSet[T]) Has(member T) bool {
	c, rest := s.of(member)
	_, found := c.find(rest)
	return found
}

func (s HashSet[T]) of(member T) (c *cell, rest uint32) {
	hash := maphash.Comparable(s.seed, member)
	return &s.cells[hash>>48], max(uint32(hash), 1)
}

// find returns where a hash is, or else where it would be.
func (c *cell) find(rest uint32) (at int, found bool) {
	if len(c.places) == 0 {
		return 0, false
	}
	at = int(uint64(rest) * uint64(len(c.places)) >> 32)
	for c.places[at] != 0 && c.places[at] != rest {
		if at++; at == len(c.places) {
			at = 0
		}
	}
	return at, c.places[at] == rest
}
