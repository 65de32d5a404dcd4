package audiotest

import (
	"encoding/binary"
)

// ogg writes packets into pages, a packet a page for the headers, many for audio.
type ogg struct {
	b      []byte
	serial uint32
	pages  uint32
}

// Flags of a page.
const (
	first = 2
	last  = 4
)

// page appends a page with whole packets of less than 255 bytes each, at most 255 of them. granule is the number of
// samples up to its end.
func (o *ogg) page(flags byte, granule int, packets ...[]byte) {
	start := len(o.b)
	le := binary.LittleEndian
	o.b = append(o.b, "OggS\x00"...)
	o.b = append(o.b, flags)
	o.b = le.AppendUint64(o.b, uint64(granule))
	o.b = le.AppendUint32(o.b, o.serial)
	o.b = le.AppendUint32(o.b, o.pages)
	o.b = le.AppendUint32(o.b, 0) // checksum, below
	o.b = append(o.b, byte(len(packets)))
	for _, p := range packets {
		o.b = append(o.b, byte(len(p)))
	}
	for _, p := range packets {
		o.b = append(o.b, p...)
	}
	le.PutUint32(o.b[start+22:], crc(o.b[start:], 32, 0x04c11db7))
	o.pages++
}

// audio appends count packets that are all the same and add so many samples each; the first adds only firstAdds.
func (o *ogg) audio(packet []byte, count, firstAdds, adds int) {
	for done := 0; done < count; {
		n := min(count-done, 200)
		packets := make([][]byte, n)
		for i := range packets {
			packets[i] = packet
		}
		done += n
		flags := byte(0)
		if done == count {
			flags = last
		}
		o.page(flags, firstAdds+(done-1)*adds, packets...)
	}
}

// comment is the body of a comment header, which is where the seed leaves its mark.
func comment(seed int64) []byte {
	const vendor = "trackstore"
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(vendor)))
	b = append(b, vendor...)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, 11)
	b = append(b, "SEED="...)
	for range 6 {
		b = append(b, 'a'+byte(uint64(seed)%26))
		seed = int64(uint64(seed) / 26)
	}
	return b
}

// OggOpus makes Opus in Ogg, 50 packets of 3 bytes a second.
func OggOpus(seconds int, seed int64) []byte {
	le := binary.LittleEndian
	head := []byte("OpusHead\x01\x01") // version, one channel
	head = le.AppendUint16(head, 0)    // samples to skip
	head = le.AppendUint32(head, sampleRate)
	head = append(head, 0, 0, 0) // gain, mapping family

	o := &ogg{serial: uint32(seed)}
	o.page(first, 0, head)
	o.page(0, 0, append([]byte("OpusTags"), comment(seed)...))
	const granules = 960 // Opus counts at 48 kHz: 20 ms
	o.audio([]byte{0xf8, 0xff, 0xfe}, seconds*50, granules, granules)
	return o.b
}

// OggVorbis makes Vorbis in Ogg, 344 packets of 1 byte a second.
func OggVorbis(seconds int, seed int64) []byte {
	const block = 256 // samples, of which neighbours share half
	le := binary.LittleEndian
	id := []byte("\x01vorbis\x00\x00\x00\x00\x01")
	id = le.AppendUint32(id, sampleRate)
	id = append(id, make([]byte, 12)...) // bit rates: not told
	id = append(id, 0x88, 1)             // 2^8 samples in short and long blocks; framing bit

	o := &ogg{serial: uint32(seed)}
	o.page(first, 0, id)
	o.page(0, 0, append(append([]byte("\x03vorbis"), comment(seed)...), 1), vorbisSetup())
	o.audio([]byte{0}, seconds*sampleRate/(block/2), 0, block/2)
	return o.b
}

// vorbisSetup makes the smallest setup header: each part once, and nothing that could make a sound.
func vorbisSetup() []byte {
	w := &bitWriter{b: []byte("\x05vorbis")}
	w.add(8, 0)                                                    // one codebook
	w.add(24, 0x564342).add(16, 1).add(24, 2).add(2, 0)            // dimension, entries, neither ordered nor sparse
	w.add(5, 0).add(5, 0).add(4, 0)                                // two words of one bit, no lookup
	w.add(6, 0).add(16, 0)                                         // one time transform
	w.add(6, 0).add(16, 1).add(5, 0).add(2, 0).add(4, 7)           // one floor, of type 1, without partitions
	w.add(6, 0).add(16, 0).add(24, 0).add(24, 0).add(24, 0)        // one residue, of type 0, from 0 to 0
	w.add(6, 0).add(8, 0).add(4, 0)                                // one class, no books
	w.add(6, 0).add(16, 0).add(4, 0).add(8, 0).add(8, 0).add(8, 0) // one mapping
	w.add(6, 0).add(1, 0).add(16, 0).add(16, 0).add(8, 0)          // one mode: short blocks
	w.add(1, 1)                                                    // framing bit
	return w.b
}

// bitWriter packs numbers from the least significant bit on.
type bitWriter struct {
	b    []byte
	used int // bits in the last byte, 0 for none left
}

func (w *bitWriter) add(bits int, value uint32) *bitWriter {
	for i := range bits {
		if w.used%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(value>>i&1) << (w.used % 8)
		w.used++
	}
	return w
}
