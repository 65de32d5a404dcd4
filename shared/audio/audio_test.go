package audio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
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

// ape is an APE tag of size bytes, and 32 more.
func ape(size int) []byte {
	tag := binary.LittleEndian.AppendUint32([]byte("APETAGEX\xd0\x07\x00\x00"), uint32(size))
	return append(append(tag, make([]byte, 32-len(tag))...), make([]byte, size)...)
}

func box(kind string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

// longBox is a box whose size is written in 64 bits.
func longBox(kind string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	head := binary.BigEndian.AppendUint64(append([]byte{0, 0, 0, 1}, kind...), uint64(16+len(body)))
	return append(head, body...)
}

func u32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// trak is a track of a kind, as the box tree has it; codec and pictures are of its samples.
func trak(kind, codec string, pictures uint32) []byte {
	return box("trak", box("tkhd", make([]byte, 84)), box("mdia",
		box("mdhd", u32(0, 0, 0, 1000, 60_000, 0), make([]byte, 8)), // a minute
		box("hdlr", make([]byte, 8), []byte(kind), make([]byte, 12)),
		box("minf", box("hdlr", []byte("\x00\x00\x00\x00dhlralis"), make([]byte, 12)), box("stbl",
			box("stsd", u32(0, 1), box(codec, make([]byte, 78))),
			box("stsz", u32(0, 0, pictures), make([]byte, 4*pictures)))),
	))
}

func moov(traks ...[]byte) []byte {
	return box("moov", append([][]byte{box("mvhd", make([]byte, 100))}, traks...)...)
}

func ftyp(brand string) []byte { return box("ftyp", []byte(brand), make([]byte, 4)) }

var (
	sound = trak("soun", "mp4a", 100)
	film  = trak("vide", "avc1", 1500)
)

// oggPage is a page with one packet of less than 255 bytes.
func oggPage(flags byte, packet string) []byte {
	page := append([]byte("OggS\x00"), flags)
	page = append(page, make([]byte, 20)...)
	return append(append(page, 1, byte(len(packet))), packet...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func wavHead(magic string, order binary.AppendByteOrder, chunks ...[]byte) []byte {
	return join([]byte(magic), order.AppendUint32(nil, 0xffffffff), []byte("WAVE"), join(chunks...))
}

func chunk(id string, order binary.AppendByteOrder, size uint32, content []byte) []byte {
	return join([]byte(id), order.AppendUint32(nil, size), content)
}

// pcm is what a fmt chunk says of 16 bits, mono, 44.1 kHz.
func pcm(order binary.AppendByteOrder) []byte {
	b := order.AppendUint16(order.AppendUint16(nil, 1), 1)
	b = order.AppendUint32(order.AppendUint32(b, 44100), 88200)
	return order.AppendUint16(order.AppendUint16(b, 2), 16)
}

// ebml is an element of Matroska; length -1: not known.
func ebml(id uint32, length int, content ...[]byte) []byte {
	b := bytes.TrimLeft(u32(id), "\x00")
	size := uint64(1)<<56 - 1
	if length >= 0 {
		size = uint64(len(bytes.Join(content, nil)))
	}
	return join(b, binary.BigEndian.AppendUint64(nil, size|1<<56), bytes.Join(content, nil))
}

func matroska(doc string, segment ...[]byte) []byte {
	return join(ebml(0x1a45dfa3, 0, ebml(0x4282, 0, []byte(doc))), ebml(0x18538067, -1, segment...))
}

func mkvTracks(kinds ...byte) []byte {
	var entries [][]byte
	for i, k := range kinds {
		entries = append(entries, ebml(0xae, 0, ebml(0xd7, 0, []byte{byte(i + 1)}), ebml(0x83, 0, []byte{k})))
	}
	return ebml(0x1654ae6b, 0, entries...)
}

// adtsAfter is ADTS that begins in the middle of a frame.
func cut(b []byte) []byte { return b[3:] }

// A sequence is a file that is known by its structure, and what it is found to be.
type sequence struct {
	bytes []byte
	want  track.Format
}

func taken() map[string]sequence {
	le, be := binary.LittleEndian, binary.BigEndian
	mp3, aac, flac, wav, ogg := audiotest.MP3(2, 1), audiotest.AAC(2, 1), audiotest.FLAC(1, 1), audiotest.WAV(1, 1), audiotest.OggVorbis(1, 1)
	zeros := func(n int) []byte { return make([]byte, n) }
	cases := map[string]sequence{
		"MP3 of two frames":                    {mp3[:2*417+1], track.MP3},
		"MP3 with ID3v1 after two frames":      {join(mp3[:2*417+1], []byte("TAG"), zeros(125)), track.MP3},
		"MP3 of a free bit rate":               {free(700, 700, 701, 700), track.MP3},
		"MP3 of a free bit rate, three frames": {join(id3(20), free(2880, 2881, 2880)), track.MP3},
		"MP3 that begins in a frame":           {cut(mp3), track.MP3},
		"MP3 after junk":                       {join([]byte("junk that a broken tagger left"), mp3), track.MP3},
		"MP3 after a tag and zeros":            {join(id3(10), zeros(700), mp3), track.MP3},
		"MP3 after a tag and 64 KiB of zeros":  {join(id3(10), zeros(64<<10), mp3), track.MP3},
		"MP3 after zeros":                      {join(zeros(3000), mp3), track.MP3},
		"MP3 after zeros and a tag":            {join(zeros(10), id3(10), zeros(10), mp3), track.MP3},
		"MP3 after an APE tag":                 {join(ape(300), mp3), track.MP3},
		"MP3 after an APE tag and an ID3 tag":  {join(ape(300), id3(40_000), mp3), track.MP3},
		"MP3 after a tag that ends too soon":   {join(id3(100)[:70], mp3), track.MP3},
		"MP3 after a tag that ends beyond":     {join([]byte("ID3\x03\x00\x00\x7f\x7f\x7f\x7f"), mp3), track.MP3},
		"ADTS that begins in a frame":          {cut(aac), track.AAC},
		"ADTS after two tags":                  {join(id3(10), id3(20_000), aac), track.AAC},
		"LOAS":                                 {bytes.Repeat([]byte("\x56\xe0\x04abcd"), 3), track.AAC},
		"FLAC after two tags":                  {join(id3(10), id3(500), flac), track.FLAC},
		"FLAC with STREAMINFO alone":           {flac[:42], track.FLAC},
		"FLAC after a tag and zeros":           {join(id3(10), zeros(100), flac), track.FLAC},
		"FLAC in Ogg":                          {join(oggPage(2, "\x7fFLAC\x01\x00\x00\x01fLaC"+string(flac[4:42])), oggPage(0, "x")), track.OGG},
		"Opus beside a skeleton": {join(oggPage(2, "fishead\x00"), oggPage(2, "OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00"),
			oggPage(0, "x")), track.Opus},
		"Vorbis after a tag": {join(id3(100), ogg), track.OGG},
		"RIFX":               {wavHead("RIFX", be, chunk("fmt ", be, 16, pcm(be)), chunk("data", be, 4, zeros(4))), track.WAV},
		"RF64":               {wavHead("RF64", le, chunk("ds64", le, 28, zeros(28)), chunk("fmt ", le, 16, pcm(le)), chunk("data", le, 0xffffffff, zeros(4))), track.WAV},
		"BW64":               {wavHead("BW64", le, chunk("ds64", le, 28, zeros(28)), chunk("fmt ", le, 16, pcm(le)), chunk("data", le, 0xffffffff, zeros(4))), track.WAV},
		"RF64, its format after its data": {wavHead("RF64", le, chunk("ds64", le, 24, join(le.AppendUint64(le.AppendUint64(nil, 0), 50_000), zeros(8))),
			chunk("data", le, 0xffffffff, zeros(50_000)), chunk("fmt ", le, 16, pcm(le))), track.WAV},
		"WAV with JUNK":                  {wavHead("RIFF", le, chunk("JUNK", le, 28, zeros(28)), chunk("fmt ", le, 16, pcm(le)), chunk("data", le, 4, zeros(4))), track.WAV},
		"WAV with bext":                  {wavHead("RIFF", le, chunk("bext", le, 100_858, zeros(100_858)), chunk("fmt ", le, 16, pcm(le)), chunk("data", le, 4, zeros(4))), track.WAV},
		"WAV with an odd chunk":          {wavHead("RIFF", le, chunk("LIST", le, 7, zeros(8)), chunk("fmt ", le, 16, pcm(le)), chunk("data", le, 4, zeros(4))), track.WAV},
		"WAV with an odd chunk unpadded": {wavHead("RIFF", le, chunk("LIST", le, 7, zeros(7)), chunk("fmt ", le, 16, pcm(le)), chunk("data", le, 4, zeros(4))), track.WAV},
		"WAVE extensible":                {join(wav[:20], []byte{0xfe, 0xff}, wav[22:]), track.WAV},
		"AIFC": {join([]byte("FORM\x00\x00\x10\x00AIFC"), chunk("FVER", be, 4, zeros(4)),
			chunk("COMM", be, 24, join([]byte("\x00\x01\x00\x00\x00\x01\x00\x10\x40\x0e\xac\x44"), zeros(6), []byte("NONE\x00\x00")))), track.AIFF},

		"MP4, moov last":              {join(ftyp("isom"), box("mdat", zeros(100_000)), moov(sound)), track.M4A},
		"MP4, styp first":             {join(box("styp", []byte("msdh\x00\x00\x00\x00")), moov(sound)), track.M4A},
		"MP4, free and wide first":    {join(box("free", zeros(9)), box("wide"), box("skip", zeros(3)), moov(sound)), track.M4A},
		"MP4, mdat first":             {join(longBox("mdat", zeros(70_000)), moov(sound)), track.M4A},
		"MP4, a box of no known kind": {join(box("blub", zeros(5)), ftyp("M4A "), moov(sound)), track.M4A},
		"MP4 in long boxes":           {join(ftyp("isom"), longBox("mdat", zeros(30)), longBox("moov", longBox("trak", moov(sound)[116:]))[:0], longBox("moov", sound)), track.M4A},
		"MP4, moov to the end":        {join(ftyp("isom"), u32(0), []byte("moov"), sound), track.M4A},
		"MP4 after a tag":             {join(id3(100), ftyp("M4A "), moov(sound)), track.M4A},
		"audio book":                  {join(ftyp("M4B "), moov(sound, trak("text", "text", 9), trak("vide", "jpeg", 9))), track.M4A},
		"cover in a track":            {join(ftyp("M4A "), moov(trak("vide", "png ", 1), sound)), track.M4A},
		"subtitles":                   {join(ftyp("isom"), moov(sound, trak("sbtl", "tx3g", 9), trak("meta", "mett", 1), trak("tmcd", "tmcd", 1))), track.M4A},
		"hdlr after minf":             {join(ftyp("isom"), moov(box("trak", box("mdia", box("minf", zeros(40_000)), box("hdlr", zeros(8), []byte("soun")))))), track.M4A},

		"WebM of unknown length":         {matroska("webm", mkvTracks(2), ebml(0x1f43b675, -1, zeros(100))), track.WebM},
		"Matroska":                       {matroska("matroska", ebml(0xec, 0, zeros(90)), mkvTracks(2, 17), ebml(0x1f43b675, 0, zeros(100))), track.MKA},
		"Matroska with a cover":          {matroska("matroska", ebml(0x1941a469, 0, zeros(300_000)), mkvTracks(2)), track.MKA},
		"Matroska, its tracks come last": {lateTracks(mkvTracks(2)), track.MKA},
	}
	for _, brand := range []string{
		"M4A ", "M4B ", "M4P ", "M4V ", "F4A ", "F4B ", "isom", "iso2", "iso3", "iso4", "iso5", "iso6", "iso7", "iso8", "iso9", "isoa", "isob", "isoc",
		"mp41", "mp42", "mp71", "dash", "msdh", "avc1", "MSNV", "NDSC", "NDSH", "qt  ", "3gp4", "3gp5", "3gp6", "3gp7", "3gr6", "3gs7", "3g2a", "3g2b", "3ge6",
		"kddi", "cmfc", "cmf2", "dby1", "mmp4", "caqv", "iphE", "\x00\x00\x00\x00",
	} {
		cases["MP4 of brand "+brand] = sequence{join(ftyp(brand), moov(sound), box("mdat", zeros(10))), track.M4A}
	}
	for _, file := range audiotest.All(2, 1) {
		f, _ := track.FormatOfName("a." + file.Ext)
		cases[file.Ext] = sequence{file.Bytes, f}
		cases[file.Ext+" after a tag"] = sequence{join(id3(500), file.Bytes), f}
		cases[file.Ext+" after a large tag"] = sequence{join(id3(300_000), file.Bytes), f}
	}
	return cases
}

// lateTracks is a Matroska file whose clusters come before the description of its tracks.
func lateTracks(tracks []byte) []byte {
	cluster := ebml(0x1f43b675, -1, make([]byte, 50_000))
	index := func(at uint32) []byte {
		return ebml(0x114d9b74, 0, ebml(0x4dbb, 0, ebml(0x53ab, 0, u32(0x1654ae6b)), ebml(0x53ac, 0, u32(at))))
	}
	return matroska("matroska", index(uint32(len(index(0))+len(cluster))), cluster, tracks)
}

// free is frames of MP3 whose headers name no bit rate; those of odd sizes are padded by a byte.
func free(sizes ...int) (b []byte) {
	for _, size := range sizes {
		frame := bytes.Repeat([]byte{0x55}, size)
		copy(frame, []byte{0xff, 0xfb, byte(size % 2 << 1), 0x64})
		b = append(b, frame...)
	}
	return b
}

func TestAudioIsTakenByItsStructure(t *testing.T) {
	t.Parallel()
	for name, c := range taken() {
		file := &counter{file: bytes.NewReader(c.bytes)}
		found, err := audio.Look(file)
		if found.Format != c.want || err != nil {
			t.Errorf("%s: got %q (%s), %v, want %q", name, found.Format, found.What, err, c.want)
		}
		if file.calls > 8 {
			t.Errorf("%s: %d reads of %d bytes", name, file.calls, file.bytes)
		}
	}
}

func TestOtherThingsAreNamedAndNotTaken(t *testing.T) {
	t.Parallel()
	html := []byte("<!DOCTYPE html><html><body>RIFF OggS fLaC ID3</body></html>" + strings.Repeat("<p>", 5000))
	mp3, aac, flac := audiotest.MP3(1, 1), audiotest.AAC(1, 1), audiotest.FLAC(1, 1)
	le := binary.LittleEndian
	noise := make([]byte, 100_000)
	for i, random := 0, rand.New(rand.NewPCG(1, 2)); i < len(noise); i++ {
		noise[i] = byte(random.Uint32())
	}
	for name, c := range map[string]struct {
		bytes []byte
		want  string // in the name
	}{
		"nothing":                  {nil, "empty"},
		"one byte":                 {[]byte{0xff}, "no audio"},
		"noise":                    {noise, "no audio"},
		"text":                     {[]byte(strings.Repeat("all work and no play\n", 3000)), "text"},
		"UTF-16":                   {bytes.Repeat([]byte{0xff, 0xfe, 'a', 0, 'b', 0}, 3000), "no audio"},
		"zeros":                    {make([]byte, 100_000), "zeros"},
		"few zeros":                {make([]byte, 100), "zeros"},
		"ones":                     {bytes.Repeat([]byte{0xff}, 20_000), "no audio"},
		"ten bytes before HTML":    {join([]byte("ID3\x03\x00\x00\x7f\x7f\x7f\x7f"), html), "no audio"},
		"ff fb before HTML":        {join([]byte{0xff, 0xfb}, html), "no audio"},
		"a frame before HTML":      {join(mp3[:417], html), "no audio"},
		"a free frame before HTML": {join(free(700), html), "no audio"},
		"free frames of no length": {join(free(700, 650, 731), html), "no audio"},
		"ADTS before HTML":         {join(aac[:8], html), "no audio"},
		"fLaC before text":         {join([]byte("fLaC"), html), "no FLAC"},
		"fLaC and zeros":           {join([]byte("fLaC\x80\x00\x00\x22"), make([]byte, 34)), "no FLAC"},
		"STREAMINFO before HTML":   {join(flac[:42], html), "no FLAC"},
		"HTML after a tag":         {join(id3(20), html), "an HTML page"},
		"HTML after a large tag":   {join(id3(50_000), html), "an HTML page"},
		"a tag alone":              {id3(200), "tags"},
		"a tag that is cut":        {id3(200)[:150], "no audio"},
		"too many zeros":           {join(id3(10), make([]byte, 200_000), mp3), ""},
		"MP3 behind much else":     {join(noise, mp3), "no audio"},
		"RIFF before HTML":         {join([]byte("RIFF\x00\x00\x01\x00WAVE"), html), "fmt"},
		"WAV without a format":     {wavHead("RIFF", le, chunk("data", le, 4, make([]byte, 4))), "fmt"},
		"WAV of no channels":       {wavHead("RIFF", le, chunk("fmt ", le, 16, make([]byte, 16))), "fmt"},
		"fmt before HTML":          {wavHead("RIFF", le, chunk("fmt ", le, 16, pcm(le)), []byte("\x00\x01\x02"), html), "fmt"},
		"AIFF before HTML":         {join([]byte("FORM\x00\x00\x01\x00AIFF"), html), "COMM"},
		"AVI":                      {[]byte("RIFF\x00\x00\x01\x00AVI LIST"), "an AVI film"},
		"WebP":                     {[]byte("RIFF\x00\x00\x01\x00WEBPVP8 "), "picture"},
		"ADIF":                     {join([]byte("ADIF"), html), "AAC"},
		"film in Ogg":              {join(oggPage(2, "\x80theora"), oggPage(2, "\x01vorbis")), "an Ogg film"},
		"film in Ogg, sound first": {join(audiotest.OggOpus(1, 1)[:47], oggPage(2, "\x80theora\x03\x02"), oggPage(0, "x")), "an Ogg film"},
		"Ogg of nothing":           {join(oggPage(2, "fishead\x00"), oggPage(0, "")), "without sound"},
		"OpusHead before HTML":     {join(oggPage(2, "OpusHead"), html), "Ogg"},
		"Opus before HTML":         {join(audiotest.OggOpus(1, 1)[:47], html), "Ogg"},
		"film in MP4":              {join(ftyp("isom"), moov(film, sound), box("mdat", noise)), "an MP4 film"},
		"film, sound first":        {join(ftyp("M4A "), moov(trak("soun", "mp4a", 100_000), film)), "an MP4 film"},
		"film, moov last":          {join(ftyp("M4A "), box("mdat", noise), moov(sound, film)), "an MP4 film"},
		"film without sound":       {join(ftyp("M4V "), moov(film)), "an MP4 film"},
		"film of JPEGs":            {join(ftyp("qt  "), moov(sound, trak("vide", "jpeg", 1500))), "a QuickTime film"},
		"film of one picture":      {join(ftyp("isom"), moov(sound, trak("vide", "avc1", 1))), "an MP4 film"},
		"film beside a cover":      {join(ftyp("isom"), moov(sound, trak("vide", "png ", 1), film)), "an MP4 film"},
		"film in fragments":        {join(ftyp("iso5"), moov(sound, trak("vide", "jpeg", 0)), box("moof", noise)), "an MP4 film"},
		"film without brand":       {join(box("wide"), box("mdat", noise), moov(film)), "a QuickTime film"},
		"MP4 without tracks":       {join(ftyp("isom"), moov()), "without a sound track"},
		"MP4 with text":            {join(ftyp("isom"), moov(trak("text", "text", 1))), "without a sound track"},
		"MP4 that is cut":          {join(ftyp("isom"), box("mdat", noise)[:5000]), "cut off"},
		"MP4 before HTML":          {join(ftyp("M4A "), html), "moov"},
		"fragment of MP4":          {join(box("styp", []byte("msdh")), box("moof", noise[:50])), "fragment"},
		"AVIF":                     {join(ftyp("avif"), box("meta", noise[:500])), "picture"},
		"Matroska film":            {matroska("matroska", mkvTracks(1, 2)), "a Matroska film"},
		"WebM film":                {matroska("webm", mkvTracks(2, 1)), "a WebM film"},
		"Matroska film, late":      {lateTracks(mkvTracks(2, 1)), "a Matroska film"},
		"Matroska with text":       {matroska("matroska", mkvTracks(17)), "without a sound track"},
		"Matroska before HTML":     {join(matroska("webm"), html), "tracks"},
		"other EBML":               {matroska("doc"), "EBML"},
		"PNG":                      {[]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "PNG"},
		"PNG after a tag":          {join(id3(10), []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")), "PNG"},
		"JPEG":                     {[]byte{0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F'}, "JPEG"},
		"PDF with MP3 in it":       {join([]byte("%PDF-1.7\n"), mp3), "PDF"},
		"ZIP with MP3 in it":       {join([]byte("PK\x03\x04\x14\x00\x00\x00\x00\x00"), mp3), "ZIP"},
		"ELF":                      {[]byte("\x7fELF\x02\x01\x01"), "program"},
		"transport stream":         {bytes.Repeat(append([]byte("G@\x00\x10"), mp3[:184]...), 9), "transport"},
		"program stream":           {join([]byte("\x00\x00\x01\xba"), mp3), "MPEG film"},
		"Flash":                    {join([]byte("FLV\x01\x05\x00\x00\x00\x09"), mp3), "Flash film"},
		"AMR":                      {[]byte("#!AMR\n<"), "AMR, which is not taken"},
		"Monkey's Audio":           {[]byte("MAC \x96\x0f"), "Monkey's Audio, which is not taken"},
		"its tag first":            {join(id3(10), ape(20), []byte("MAC \x96\x0f")), "Monkey's Audio, which is not taken"},
		"DSD":                      {[]byte("DSD \x1c\x00\x00\x00"), "DSD"},
		"CAF":                      {[]byte("caff\x00\x01\x00\x00"), "Core Audio"},
		"MIDI":                     {[]byte("MThd\x00\x00\x00\x06"), "MIDI"},
		"MIDI in RIFF":             {[]byte("RIFF\x00\x00\x01\x00RMIDdata"), "MIDI"},
	} {
		found, err := audio.Look(bytes.NewReader(c.bytes))
		if found.Format != "" || !strings.Contains(found.What, c.want) || found.What == "" || err != nil {
			t.Errorf("%s: got %q, %q, %v, want %q", name, found.Format, found.What, err, c.want)
		}
	}
}

type broken struct{ after int }

func (b *broken) ReadAt(p []byte, _ int64) (int, error) {
	if b.after--; b.after >= 0 {
		return copy(p, id3(1<<20)), nil
	}
	return 0, io.ErrUnexpectedEOF
}

func TestErrorsOfReadingAreReported(t *testing.T) {
	t.Parallel()
	for after := range 2 {
		if found, err := audio.Look(&broken{after}); !errors.Is(err, io.ErrUnexpectedEOF) || found != (audio.Found{}) {
			t.Errorf("after %d reads: got %v, %v", after, found, err)
		}
	}
}

// counter counts what is read.
type counter struct {
	file         io.ReaderAt
	calls, bytes int
}

func (c *counter) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.file.ReadAt(p, offset)
	c.calls++
	c.bytes += n
	return n, err
}

// endless is a file of 8 EiB that repeats one piece.
type endless []byte

func (e endless) ReadAt(p []byte, offset int64) (int, error) {
	for i := range p {
		p[i] = e[(offset+int64(i))%int64(len(e))]
	}
	return len(p), nil
}

// Files that are built to be read for ever are given up after 4 MiB and 64 pieces.
func TestReadingIsBounded(t *testing.T) {
	t.Parallel()
	far := func(kind string, size int) []byte { return append(u32(uint32(size)), kind...) }
	for name, piece := range map[string][]byte{
		"zeros": {0}, "ones": {0xff}, "tags": id3(1 << 20), "small tags": id3(0), "APE tags": ape(100_000), "boxes": box("free"),
		"far boxes": join(far("free", 20_000), make([]byte, 19_992)), "moov in moov": box("moov"), "tracks": box("trak", box("mdia")),
		"Ogg streams": oggPage(2, "OpusHead"), "chunks": []byte("RIFF\x04\x00\x00\x00WAVEjunk\x00\x00\x00\x00"),
		"EBML": ebml(0xec, 0, make([]byte, 30_000)), "Matroska": matroska("webm", ebml(0xec, 0)), "a frame": append([]byte{0xff, 0xfb, 0x90, 0xc0}, make([]byte, 413)...),
		"sync words": {0xff, 0xfb, 0x90}, "free sync words": {0xff, 0xfb, 0}, "free frames": free(700), "LOAS": {0x56, 0xe0}, "indexes": matroska("webm", ebml(0x114d9b74, -1)),
	} {
		for _, head := range [][]byte{nil, ftyp("isom"), join(ftyp("isom"), u32(0), []byte("moov")), matroska("webm"), []byte("RIFF\x00\x00\x00\x00WAVE")} {
			file := &counter{file: endless(piece)}
			if head != nil {
				file.file = &headed{head, endless(piece)}
			}
			_, err := audio.Look(file)
			if file.calls > 64 || file.bytes > 4<<20 || err != nil {
				t.Errorf("%s after %.12q: %d reads of %d bytes, %v", name, head, file.calls, file.bytes, err)
			}
		}
	}
}

type headed struct {
	head []byte
	body endless
}

func (h *headed) ReadAt(p []byte, offset int64) (int, error) {
	n := 0
	if offset < int64(len(h.head)) {
		n = copy(p, h.head[offset:])
	}
	_, _ = h.body.ReadAt(p[n:], max(0, offset+int64(n)-int64(len(h.head))))
	return len(p), nil
}

// What goes on behind the bytes is noise in a second run: no walk may read without end there, or panic.
func fuzz(f *testing.F, seeds ...[]byte) {
	for _, seed := range seeds {
		f.Add(seed[:min(len(seed), 3000)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		noise := make(endless, 4099)
		for i, random := 0, rand.New(rand.NewPCG(uint64(len(b)), 1)); i < len(noise); i++ {
			noise[i] = byte(random.Uint32())
		}
		for _, content := range []io.ReaderAt{bytes.NewReader(b), &headed{b, noise}, &headed{b, append(endless{}, append(b, 0)...)}} {
			file := &counter{file: content}
			found, err := audio.Look(file)
			if err != nil || file.calls > 64 || file.bytes > 4<<20 {
				t.Fatalf("%d reads of %d bytes, %v", file.calls, file.bytes, err)
			}
			if (found.Format == "") == (found.What == "") || found.Format != "" && found.Format.ContentType() == track.OctetStream {
				t.Fatalf("found %+v", found)
			}
		}
	})
}

func FuzzTags(f *testing.F) {
	mp3 := audiotest.MP3(1, 1)
	fuzz(f, join(id3(50), id3(20), mp3), join(ape(30), id3(5), make([]byte, 50), audiotest.FLAC(1, 1)), id3(300_000), []byte("ID3\x03\x00\x00\x7f\x7f\x7f\x7f"))
}

func FuzzFrames(f *testing.F) {
	fuzz(f, audiotest.MP3(1, 1), audiotest.AAC(1, 1), cut(audiotest.AAC(1, 1)), bytes.Repeat([]byte("\x56\xe0\x04abcd"), 3), audiotest.FLAC(1, 1), []byte("ADIF\x00\x00"))
}

func FuzzMP4(f *testing.F) {
	fuzz(f, audiotest.M4A(1, 1), join(ftyp("qt  "), moov(sound, trak("vide", "jpeg", 9))), join(box("free"), longBox("moov", sound, film)))
}

func FuzzMatroska(f *testing.F) {
	fuzz(f, matroska("webm", mkvTracks(2), ebml(0x1f43b675, -1)), lateTracks(mkvTracks(2, 1))[:200], matroska("matroska", ebml(0xec, 0, make([]byte, 90)), mkvTracks(1)))
}

func FuzzOgg(f *testing.F) {
	fuzz(f, audiotest.OggOpus(1, 1), audiotest.OggVorbis(1, 1), join(oggPage(2, "fishead\x00"), oggPage(2, "\x80theora")))
}

func FuzzRIFF(f *testing.F) {
	le, be := binary.LittleEndian, binary.BigEndian
	fuzz(f, audiotest.WAV(1, 1), audiotest.AIFF(1, 1), wavHead("RF64", le, chunk("ds64", le, 28, make([]byte, 28)), chunk("fmt ", le, 16, pcm(le))),
		wavHead("RIFX", be, chunk("fmt ", be, 16, pcm(be))))
}
