package audiotest

import "encoding/binary"

const bytesPerSample = 2

// WAV makes a RIFF WAVE file, of 88,200 bytes a second and 44 more.
func WAV(seconds int, seed int64) []byte {
	size := seconds * sampleRate * bytesPerSample
	le := binary.LittleEndian
	b := make([]byte, 0, 44+size)
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(36+size))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 1) // channel
	b = le.AppendUint32(b, sampleRate)
	b = le.AppendUint32(b, sampleRate*bytesPerSample)
	b = le.AppendUint16(b, bytesPerSample)
	b = le.AppendUint16(b, 8*bytesPerSample)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(size))
	for _, s := range chord(seconds, seed) {
		b = le.AppendUint16(b, uint16(s))
	}
	return b
}

// AIFF makes an AIFF file, of 88,200 bytes a second and 54 more.
func AIFF(seconds int, seed int64) []byte {
	frames := seconds * sampleRate
	size := frames * bytesPerSample
	be := binary.BigEndian
	b := make([]byte, 0, 54+size)
	b = append(b, "FORM"...)
	b = be.AppendUint32(b, uint32(46+size))
	b = append(b, "AIFFCOMM"...)
	b = be.AppendUint32(b, 18)
	b = be.AppendUint16(b, 1) // channel
	b = be.AppendUint32(b, uint32(frames))
	b = be.AppendUint16(b, 8*bytesPerSample)
	b = be.AppendUint16(b, 0x3fff+15) // the rate as an 80-bit float: exponent,
	b = be.AppendUint64(b, sampleRate<<48)
	b = append(b, "SSND"...)
	b = be.AppendUint32(b, uint32(8+size))
	b = be.AppendUint64(b, 0) // offset and block size
	for _, s := range chord(seconds, seed) {
		b = be.AppendUint16(b, uint16(s))
	}
	return b
}
