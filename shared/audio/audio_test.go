package audio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"trackstore/internal/audiotest"
	"trackstore/shared/audio"
	"trackstore/shared/track"
)

// id3 is a tag with a picture of size bytes in it.
func id3(size int) []byte {
	n := size + 10
	tag := []byte{'I', 'D', '3', 3, 0, 0, byte(n >> 21 & 0x7f), byte(n >> 14 & 0x7f), byte(n >> 7 & 0x7f), byte(n & 0x7f)}
	tag = append(tag, "APIC"...)
	tag = binary.BigEndian.AppendUint32(tag, uint32(size))
	return append(append(tag, 0, 0), make([]byte, size)...)
}

func box(name string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), name...), body...)
}

func mp4(brand, kind string, mdat int) []byte {
	moov := box("moov", box("mvhd", make([]byte, 100)), box("trak", box("tkhd", make([]byte, 84)),
		box("mdia", box("hdlr", make([]byte, 8), []byte(kind), make([]byte, 12)))))
	return bytes.Join([][]byte{box("ftyp", []byte(brand), make([]byte, 4)), box("mdat", make([]byte, mdat)), moov}, nil)
}

func oggPage(flags byte, packet string) []byte {
	page := append([]byte("OggS\x00"), flags)
	page = append(page, make([]byte, 20)...)
	return append(append(page, 1, byte(len(packet))), packet...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestFormatsAreRecognised(t *testing.T) {
	t.Parallel()
	want := map[string]track.Format{"wav": track.WAV, "aiff": track.AIFF, "flac": track.FLAC, "mp3": track.MP3,
		"ogg": track.OGG, "opus": track.Opus, "m4a": track.M4A, "aac": track.AAC}
	for _, file := range audiotest.All(2, 1) {
		for name, prefix := range map[string][]byte{"": nil, "after a tag": id3(500), "after a large tag": id3(300_000)} {
			if prefix != nil && (file.Ext == "ogg" || file.Ext == "opus" || file.Ext == "wav" || file.Ext == "m4a") {
				continue // nobody puts a tag before these
			}
			got, ok, err := audio.Detect(bytes.NewReader(join(prefix, file.Bytes)))
			if got != want[file.Ext] || !ok || err != nil {
				t.Errorf("%s %s: got %q, %t, %v", file.Ext, name, got, ok, err)
			}
		}
		got, ok, err := audio.Detect(bytes.NewReader(file.Bytes[:min(len(file.Bytes), 4096)]))
		if got != want[file.Ext] || !ok || err != nil {
			t.Errorf("%s by its head: got %q, %t, %v", file.Ext, got, ok, err)
		}
	}
	mp3, wav := audiotest.MP3(2, 1), audiotest.WAV(1, 1)
	for name, c := range map[string]struct {
		bytes []byte
		want  track.Format
	}{
		"FLAC with STREAMINFO alone": {join([]byte("fLaC\x80\x00\x00\x22"), make([]byte, 34)), track.FLAC},
		"FLAC in Ogg":                {oggPage(2, "\x7fFLAC\x01\x00"), track.OGG},
		"Opus beside a skeleton":     {join(oggPage(2, "fishead\x00"), oggPage(2, "OpusHead\x01\x01")), track.Opus},
		"RF64":                       {join([]byte("RF64\xff\xff\xff\xff"), wav[8:]), track.WAV},
		"WAVE extensible":            {join(wav[:20], []byte{0xfe, 0xff}, wav[22:]), track.WAV},
		"AIFC":                       {[]byte("FORM\x00\x00\x10\x00AIFCFVER\x00\x00\x00\x04"), track.AIFF},
		"MP3 after junk":             {join([]byte("junk that a broken tagger left"), mp3[len(audiotest.ID3("")):]), track.MP3},
		"MP3 after a tag and zeros":  {join(id3(10), make([]byte, 700), mp3), track.MP3},
		"MP3 with a tag to its end":  {id3(200), track.MP3},
		"M4A":                        {mp4("M4A ", "soun", 10), track.M4A},
		"audio in isom, moov last":   {mp4("isom", "soun", 100_000), track.M4A},
		"audio in mp42":              {mp4("mp42", "soun", 10), track.M4A},
		"ADIF":                       {[]byte("ADIF and so on"), track.AAC},
	} {
		if got, ok, err := audio.Detect(bytes.NewReader(c.bytes)); got != c.want || !ok || err != nil {
			t.Errorf("%s: got %q, %t, %v, want %q", name, got, ok, err, c.want)
		}
	}
}

func TestOtherThingsAreNotAudio(t *testing.T) {
	t.Parallel()
	html := []byte("<!DOCTYPE html><html><body>RIFF OggS fLaC ID3</body></html>")
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"one byte":               {0xff},
		"HTML":                   html,
		"HTML after a tag":       join(id3(20), bytes.Repeat(html, 50)),
		"HTML after a large tag": join(id3(50_000), bytes.Repeat(html, 50)),
		"text":                   []byte(strings.Repeat("all work and no play\n", 300)),
		"UTF-16 text":            {0xff, 0xfe, 'a', 0, 'b', 0},
		"PNG":                    []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
		"JPEG":                   {0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F'},
		"zeros":                  make([]byte, 8192),
		"ones":                   bytes.Repeat([]byte{0xff}, 8192),
		"AVI":                    []byte("RIFF\x00\x00\x01\x00AVI LIST"),
		"WebP":                   []byte("RIFF\x00\x00\x01\x00WEBPVP8 "),
		"film in Ogg":            join(oggPage(2, "\x80theora"), oggPage(2, "\x01vorbis")),
		"Ogg of nothing":         oggPage(2, "fishead\x00"),
		"film in MP4":            mp4("isom", "vide", 100_000),
		"QuickTime":              mp4("qt  ", "soun", 10),
		"AVIF":                   mp4("avif", "pict", 10),
		"zip":                    []byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"),
		"ELF":                    []byte("\x7fELF\x02\x01\x01"),
	} {
		if got, ok, err := audio.Detect(bytes.NewReader(b)); ok || err != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestErrorsOfReadingAreReported(t *testing.T) {
	t.Parallel()
	if _, _, err := audio.Detect(broken{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func FuzzDetect(f *testing.F) {
	for _, file := range audiotest.All(1, 1) {
		f.Add(file.Bytes[:min(len(file.Bytes), 2000)])
	}
	f.Add(join(id3(5000), audiotest.AAC(1, 1)))
	f.Add(mp4("isom", "vide", 10))
	f.Add(join(oggPage(2, "fishead\x00"), oggPage(2, "OpusHead")))
	f.Fuzz(func(t *testing.T, b []byte) {
		format, ok, err := audio.Detect(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if ok && format.ContentType() == track.OctetStream {
			t.Fatalf("%q is none of the formats", format)
		}
	})
}
