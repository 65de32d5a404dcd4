// Package audiotest makes real audio files of every type that trackstore takes, without an encoder, for tests and for
// the first tracks of the local stack. Every file is valid and plays; other seeds make other bytes.
//
// WAV, AIFF and FLAC hold a chord. The compressed types hold silence.
package audiotest

import "math/rand/v2"

// sampleRate is that of every file, in samples a second; all are mono, 16 bits where that applies.
const sampleRate = 44100

// File is a made file.
type File struct {
	Ext   string // of its name, without the dot
	Bytes []byte
}

// All makes one file of each type.
func All(seconds int, seed int64) []File {
	return []File{
		{"wav", WAV(seconds, seed)},
		{"aiff", AIFF(seconds, seed)},
		{"flac", FLAC(seconds, seed)},
		{"mp3", MP3(seconds, seed)},
		{"ogg", OggVorbis(seconds, seed)},
		{"opus", OggOpus(seconds, seed)},
		{"m4a", M4A(seconds, seed)},
		{"aac", AAC(seconds, seed)},
	}
}

func newRand(seed int64) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 0)) }

// chord is a fifth on a base tone that the seed chooses, under a little noise. Whole numbers alone, so that every
// machine makes the same.
func chord(seconds int, seed int64) []int16 {
	random := newRand(seed)
	hertz := 110 + uint64(random.IntN(330))
	// A wave's phase runs through the whole range of uint32.
	var root, fifth uint32
	step := uint32(hertz << 32 / sampleRate)

	samples := make([]int16, seconds*sampleRate)
	for i := range samples {
		samples[i] = triangle(root)/4 + triangle(fifth)/8 + int16(random.Uint32()&0xff)
		root += step
		fifth += step / 2 * 3
	}
	return samples
}

// triangle is a triangle wave's value at a phase, over the whole range of int16.
func triangle(phase uint32) int16 {
	const quarter, half = 1 << 14, 1 << 15
	p := int32(phase>>16) - half
	if p < 0 {
		p = -p
	}
	return int16(max(min(2*(p-quarter), half-1), -half))
}
