// Package audiotest makes real audio files of every type that trackstore takes, without an encoder, for tests and for
// the first tracks of the local stack. Every file is valid and plays; other seeds make other bytes.
//
// WAV, AIFF and FLAC hold a chord. The compressed types hold silence.
package audiotest

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
)

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

// chord is a fifth on a base tone that the seed chooses, under a little noise.
func chord(seconds int, seed int64) []int16 {
	random := newRand(seed)
	tone := 110 * math.Pow(2, float64(random.IntN(25))/12) // two octaves of semitones from A2, in Hz
	turn := func(hertz float64) complex128 { return cmplx.Rect(1, 2*math.Pi*hertz/sampleRate) }
	root, fifth := complex(8000, 0), complex(5000, 0)
	rootTurn, fifthTurn := turn(tone), turn(tone*3/2)

	samples := make([]int16, seconds*sampleRate)
	for i := range samples {
		samples[i] = int16(imag(root)+imag(fifth)) + int16(random.Uint32()&0xff)
		root, fifth = root*rootTurn, fifth*fifthTurn
	}
	return samples
}
