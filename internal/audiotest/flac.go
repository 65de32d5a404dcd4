package audiotest

import (
	"crypto/md5"
	"encoding/binary"
	"unicode/utf8"
)

// flacBlock is the number of samples in a frame.
const flacBlock = 4096

// FLAC makes a FLAC file whose only metadata block is STREAMINFO and whose samples are stored as they are, about
// 88,300 bytes a second.
func FLAC(seconds int, seed int64) []byte {
	samples := chord(seconds, seed)
	digest := md5.New()
	for _, s := range samples {
		digest.Write(binary.LittleEndian.AppendUint16(nil, uint16(s)))
	}

	be := binary.BigEndian
	b := []byte("fLaC\x80\x00\x00\x22") // the last metadata block, STREAMINFO, 34 bytes
	b = be.AppendUint16(b, flacBlock)   // smallest
	b = be.AppendUint16(b, flacBlock)   // and largest block
	b = append(b, 0, 0, 0, 0, 0, 0)     // frame sizes: not told
	const channels, bits = 1, 8 * bytesPerSample
	b = be.AppendUint64(b, sampleRate<<44|(channels-1)<<41|(bits-1)<<36|uint64(len(samples)))
	b = digest.Sum(b)

	for number := 0; len(samples) > 0; number++ {
		n := min(len(samples), flacBlock)
		b = appendFLACFrame(b, number, samples[:n])
		samples = samples[n:]
	}
	return b
}

func appendFLACFrame(b []byte, number int, samples []int16) []byte {
	start := len(b)
	b = append(b, 0xff, 0xf8) // sync, blocks of one size
	b = append(b, 0x79, 0x08) // size of the block at the end of the header, 44.1 kHz; mono, 16 bits
	b = utf8.AppendRune(b, rune(number))
	b = binary.BigEndian.AppendUint16(b, uint16(len(samples)-1))
	b = append(b, byte(crc(b[start:], 8, 0x07)))
	b = append(b, 0x02) // subframe: verbatim
	for _, s := range samples {
		b = binary.BigEndian.AppendUint16(b, uint16(s))
	}
	return binary.BigEndian.AppendUint16(b, uint16(crc(b[start:], 16, 0x8005)))
}

// crc is the cyclic redundancy check of so many bits (up to 32), most significant bit first, that begins with 0.
func crc(b []byte, bits int, polynomial uint32) uint32 {
	// Kept in the upper bits, so that one loop does for every width.
	polynomial <<= 32 - bits
	var sum uint32
	for _, c := range b {
		sum ^= uint32(c) << 24
		for range 8 {
			if sum&(1<<31) != 0 {
				sum = sum<<1 ^ polynomial
			} else {
				sum <<= 1
			}
		}
	}
	return sum >> (32 - bits)
}
