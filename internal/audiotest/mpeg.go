package audiotest

import "encoding/binary"

// MP3 makes MPEG 1 layer III frames of 128 kbit/s, 16,000 bytes a second, without a tag (see ID3).
func MP3(seconds int, seed int64) []byte {
	const (
		bitrate         = 128000
		samplesPerFrame = 1152
		header          = 4 + 17 // with the side information of a mono frame: all 0, no bits for any granule
	)
	random := newRand(seed)
	var b []byte
	for frame := range seconds * sampleRate / samplesPerFrame {
		// A frame's share of the bit rate is no whole number of bytes: some have one more, so that the sum is right.
		end := (frame + 1) * samplesPerFrame / 8 * bitrate / sampleRate
		size := samplesPerFrame / 8 * bitrate / sampleRate
		padding := end - frame*samplesPerFrame/8*bitrate/sampleRate - size
		b = append(b, 0xff, 0xfb, 0x90|byte(padding)<<1, 0xc0)
		b = append(b, make([]byte, header-4)...)
		// The rest is for ancillary data: anything that does not look like the start of a frame.
		for range size + padding - header {
			b = append(b, byte(random.Uint32()&0x7f))
		}
	}
	return b
}

// ID3 makes an ID3v2.4 tag with a title of up to 100 bytes, to be put before an MP3.
func ID3(title string) []byte {
	text := "\x03" + title // UTF-8
	b := []byte{'I', 'D', '3', 4, 0, 0, 0, 0, 0, byte(10 + len(text))}
	b = append(b, "TIT2"...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return append(append(b, 0, 0), text...)
}

// aacSamples is the number of samples in an AAC frame.
const aacSamples = 1024

// aacFrames makes the frames of silence, all of one size.
func aacFrames(seconds int, seed int64) [][]byte {
	random := newRand(seed)
	frames := make([][]byte, seconds*sampleRate/aacSamples)
	for i := range frames {
		// One channel without any band, so that its gain (8 bits) does not matter; then the end mark.
		frames[i] = binary.BigEndian.AppendUint32(nil, random.Uint32()&0xff<<17|0b111)
	}
	return frames
}

// AAC makes an ADTS stream of AAC-LC frames, some 470 bytes a second.
func AAC(seconds int, seed int64) []byte {
	var b []byte
	for _, frame := range aacFrames(seconds, seed) {
		size := uint64(7 + len(frame))
		// sync, MPEG-4, no CRC; LC, 44.1 kHz, one channel; size; buffer fullness unknown; one block
		header := uint64(0xfff1)<<40 | 1<<38 | 4<<34 | 1<<30 | size<<13 | 0x7ff<<2
		b = append(b, binary.BigEndian.AppendUint64(nil, header)[1:]...)
		b = append(b, frame...)
	}
	return b
}

// M4A makes an MPEG-4 file with AAC-LC in it, some 170 bytes a second and 600 more.
func M4A(seconds int, seed int64) []byte {
	frames := aacFrames(seconds, seed)
	ftyp := box("ftyp", []byte("M4A \x00\x00\x00\x00M4A mp42isom"))
	var audio []byte
	for _, frame := range frames {
		audio = append(audio, frame...)
	}
	audioAt := len(ftyp) + 8
	return concat(ftyp, box("mdat", audio), moov(len(frames), len(frames[0]), audioAt))
}

// moov describes count frames of size bytes each, which lie one after another from offset on.
func moov(count, size, offset int) []byte {
	duration := u32(count * aacSamples)
	identity := concat(u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000))
	return box("moov",
		box("mvhd", u32(0, 0, 0, sampleRate), duration, u32(0x10000), u16(0x100, 0), u32(0, 0), identity, u32(0, 0, 0, 0, 0, 0, 2)),
		box("trak",
			box("tkhd", u32(7, 0, 0, 1, 0), duration, u32(0, 0), u16(0, 0, 0x100, 0), identity, u32(0, 0)),
			box("mdia",
				box("mdhd", u32(0, 0, 0, sampleRate), duration, u16(0x55c4, 0)), // language: undetermined
				box("hdlr", u32(0, 0), []byte("soun"), u32(0, 0, 0), []byte{0}),
				box("minf",
					box("smhd", u32(0, 0)),
					box("dinf", box("dref", u32(0, 1), box("url ", u32(1)))), // in this file
					box("stbl",
						box("stsd", u32(0, 1), box("mp4a", u16(0, 0, 0, 1), u32(0, 0), u16(1, 16), u32(0, sampleRate<<16), esds())),
						box("stts", u32(0, 1, count, aacSamples)),
						box("stsc", u32(0, 1, 1, count, 1)),
						box("stsz", u32(0, size, count)),
						box("stco", u32(0, 1, offset)),
					),
				),
			),
		),
	)
}

// esds holds the decoder's configuration: AAC-LC, 44.1 kHz, one channel.
func esds() []byte {
	descriptor := func(tag byte, content ...[]byte) []byte {
		all := concat(content...)
		return append([]byte{tag, byte(len(all))}, all...)
	}
	return box("esds", u32(0), descriptor(3, u16(1), []byte{0},
		descriptor(4, []byte{0x40, 0x15, 0, 0, 0}, u32(128000, 128000),
			descriptor(5, []byte{0x12, 0x08})),
		descriptor(6, []byte{2}),
	))
}

func box(name string, content ...[]byte) []byte {
	all := concat(content...)
	return concat(u32(8+len(all)), []byte(name), all)
}

func concat(parts ...[]byte) (all []byte) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func u32(values ...int) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b
}

func u16(values ...int) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}
