package audio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"trackstore/internal/audiotest"
	"trackstore/shared/audio"
	"trackstore/shared/track"
)

// Files that ffmpeg makes of a sine wave, a moving picture, a still one and a list of chapters: each line is one run, its
// outputs apart by semicolons. {a} stands for the sound, {f} for sound and film, {s} for the film first.
const ffmpegs = `
{a} -c:a libmp3lame a1.mp3; {a} -c:a libmp3lame -q:a 2 a2.mp3; {a} -ar 48000 -b:a 320k a3.mp3; {a} -ar 32000 -ac 1 a4.mp3; {a} -ar 22050 a5.mp3; {a} -ar 24000 -ac 1 a6.mp3; {a} -ar 16000 a7.mp3; {a} -ar 11025 a8.mp3; {a} -ar 8000 -ac 1 a9.mp3; {a} -id3v2_version 3 -write_id3v1 1 -metadata title=x a10.mp3; {a} -id3v2_version 0 a11.mp3; {a} -write_xing 0 a12.mp3; {a} -map 2:v -c:v png -disposition:v attached_pic -id3v2_version 3 a13.mp3; {a} -map 2:v -c:v mjpeg -disposition:v attached_pic a14.mp3
{a} a1.mp2; {a} -ar 48000 a2.mp2; {a} -ar 22050 -b:a 64k a3.mp2; {a} -ac 1 -ar 32000 a4.mp2; {a} -f mp2 a5.mpa
{a} a1.aac; {a} -ar 8000 a2.aac; {a} -ar 96000 a3.aac; {a} -ar 16000 -ac 1 a4.aac; {a} -write_id3v2 1 -metadata title=x a5.aac; {a} -write_apetag 1 -metadata title=x a6.aac; {a} -ac 6 a7.aac; {a} -c:a aac -f latm a8.aac; {a} -c:a aac -f latm -smc-interval 5 a9.latm
{a} -c:a aac a1.m4a; {a} -c:a alac a2.m4a; {a} -c:a aac -f 3gp a3.m4a; {a} -c:a aac -f 3g2 a4.3g2; {a} -c:a aac -f 3gp a5.3gp; {a} -c:a aac -f mp4 a6.mp4; {a} -c:a libmp3lame -f mp4 a7.mp4; {a} -c:a libopus -f mp4 a8.mp4; {a} -c:a flac -f mp4 a9.mp4; {a} -c:a ac3 -f mp4 a10.mp4; {a} -c:a eac3 -f mp4 a11.mp4; {a} -c:a mp2 -f mp4 a12.mp4; {a} -c:a libvorbis -f mp4 a13.mp4
{a} -c:a aac -f ipod -movflags faststart a14.m4a; {a} -c:a aac -f mp4 -movflags frag_keyframe+empty_moov a15.m4a; {a} -c:a aac -f mp4 -movflags empty_moov+default_base_moof+dash a16.m4a; {a} -c:a aac -f ismv a17.m4a; {a} -c:a aac -f f4v a18.f4a; {a} -c:a aac -f mov a19.mov; {a} -c:a pcm_s16le -f mov a20.mov; {a} -c:a alac -f mov a21.mov; {a} -c:a pcm_mulaw -f mov a22.mov; {a} -c:a aac -f ipod -brand M4B a23.m4b; {a} -c:a aac -f ipod -map 2:v -c:v png -disposition:v attached_pic a24.m4a; {a} -c:a aac -f ipod -map 2:v -c:v mjpeg -disposition:v attached_pic a25.m4a; {a} -map_chapters 3 -c:a aac -f ipod a26.m4b; {a} -map_chapters 3 -map 2:v -c:v mjpeg -disposition:v attached_pic -c:a aac -f mp4 a27.m4b; {a} -map 0:a -c:a aac -f ipod a28.m4a; {a} -c:a aac -f mp4 -brand dash a29.mp4; {a} -c:a aac -ac 6 a30.m4a; {a} -c:a aac -f mp4 -movflags cmaf a31.m4a; {a} -c:a aac -f ipod -metadata title=x -metadata comment=y a32.m4r
{a} -c:a pcm_u8 a1.wav; {a} -c:a pcm_s16le a2.wav; {a} -c:a pcm_s24le a3.wav; {a} -c:a pcm_s32le a4.wav; {a} -c:a pcm_f32le a5.wav; {a} -c:a pcm_f64le a6.wav; {a} -c:a pcm_alaw a7.wav; {a} -c:a pcm_mulaw a8.wav; {a} -c:a adpcm_ms a9.wav; {a} -c:a adpcm_ima_wav a10.wav; {a} -c:a libmp3lame a11.wav; {a} -c:a ac3 a12.wav; {a} -rf64 always a13.wav; {a} -write_bext 1 -metadata description=x a14.wav; {a} -metadata title=x -metadata artist=y a15.wav; {a} -ac 6 a16.wav; {a} -ac 8 -ar 96000 -c:a pcm_s24le a17.wav; {a} -ar 8000 -ac 1 -c:a libgsm_ms a18.wav; {a} -fflags bitexact a19.wav; {a} -write_peak on a20.wav; {a} -c:a adpcm_yamaha a21.wav; {a} -c:a wmav2 a22.wav; {a} -rf64 auto a23.wav
{a} -c:a pcm_s8 a1.aiff; {a} a2.aiff; {a} -c:a pcm_s24be a3.aiff; {a} -c:a pcm_s32be a4.aif; {a} -c:a pcm_f32be a5.aifc; {a} -c:a pcm_alaw -f aiff a6.aifc; {a} -c:a pcm_s16le -f aiff a7.aifc; {a} -write_id3v2 1 -metadata title=x a8.aiff; {a} -c:a adpcm_ima_qt -f aiff a9.aifc
{a} a1.flac; {a} -compression_level 12 a2.flac; {a} -sample_fmt s32 a3.flac; {a} -ar 96000 -ac 1 a4.flac; {a} -map 2:v -c:v png -disposition:v attached_pic a5.flac; {a} -metadata title=x a6.flac; {a} -write_header 1 -ac 6 a7.flac; {a} -ar 8000 a8.flac
{a} -c:a libvorbis a1.ogg; {a} -c:a libvorbis -q:a 9 -ar 48000 a2.ogg; {a} -c:a flac a3.oga; {a} -c:a libspeex -ar 16000 -ac 1 a4.spx; {a} -c:a libspeex -ar 8000 -ac 1 -f ogg a5.ogg; {a} -c:a libopus a6.opus; {a} -c:a libopus -b:a 16k -ac 1 -f ogg a7.ogg; {a} -c:a libopus -ac 6 a8.opus; {a} -c:a flac -f ogg a9.ogg; {a} -c:a libvorbis -ac 1 -ar 8000 a10.ogg; {a} -c:a libvorbis -metadata title=x -map_chapters 3 a11.ogg
{a} -c:a libopus a1.webm; {a} -c:a libvorbis a2.webm; {a} -c:a libopus -live 1 a3.webm; {a} -c:a libopus -cluster_time_limit 100 a4.webm; {a} -c:a libopus -dash 1 a5.webm; {a} -c:a libvorbis -f webm a6.weba; {a} -c:a libopus -live 1 -f webm a7.webm
{a} -c:a flac a1.mka; {a} -c:a aac a2.mka; {a} -c:a libmp3lame a3.mka; {a} -c:a pcm_s16le a4.mka; {a} -c:a libopus a5.mka; {a} -c:a libvorbis -live 1 a6.mka; {a} -c:a alac a7.mka; {a} -c:a ac3 a8.mka; {a} -c:a flac -map_chapters 3 -metadata title=x a9.mka; {a} -c:a flac -reserve_index_space 5000 a10.mka; {a} -c:a aac -attach still.png -metadata:s:t mimetype=image/png a11.mka
{a} -c:a wmav1 n1.wma; {a} -c:a wmav2 n2.wma; {a} -c:a wmav2 -f asf_stream n3.wma; {a} n4.wv; {a} n5.tta; {a} n6.ac3; {a} n7.eac3; {a} -c:a dca -ar 48000 n8.dts; {a} n9.au; {a} -c:a pcm_s16be n10.caf; {a} -c:a alac n11.caf; {a} -c:a libopus -ar 48000 n13.caf; {a} n14.voc; {a} n15.w64; {a} -c:a ac3 n16.rm; {a} -f ircam n17.sf; {a} -c:a truehd -ar 48000 n18.thd; {a} -c:a mlp -ar 48000 n19.mlp; {a} -c:a libmp3lame -ar 44100 n20.flv; {a} -c:a aac n21.ts; {a} -c:a mp2 n22.mpg; {a} -c:a libmp3lame n23.avi; {a} -c:a ac3 -f spdif n24.spdif; {a} -c:a flac n25.nut; {a} n26.sox; {a} -c:a mp2 -f mpegts -mpegts_m2ts_mode 1 n27.m2ts; {a} -c:a aac -f adts -ac 1 a30.aac
{f} -c:v mpeg4 -c:a aac f1.mp4; {f} -c:v mpeg4 -c:a aac f2.mov; {f} -c:v mpeg4 -c:a aac -f ipod f3.m4a; {f} -c:v mpeg4 -c:a aac -f mp4 -brand M4A f4.m4a; {s} -c:v mpeg4 -c:a aac -f mp4 f5.mp4; {f} -c:v mpeg4 -c:a aac -f 3gp f6.3gp; {f} -c:v mjpeg -c:a aac -f mov f7.mov; {f} -c:v mjpeg -c:a aac -f mp4 f8.m4a; {f} -c:v mpeg4 -c:a aac -movflags empty_moov+frag_keyframe f9.mp4; {f} -c:v mpeg4 -c:a aac -movflags faststart f10.m4a; {f} -c:v png -c:a pcm_s16le -f mov f11.mov; {f} -c:v mpeg4 -c:a aac -f mov f12.f4a; {f} -c:v h263 -s 128x96 -c:a aac -f 3gp f13.3gp; {f} -c:v mpeg4 -c:a aac -f ismv f14.m4a; {f} -c:v mpeg4 -c:a aac f15.m4v
{f} -c:v mpeg4 -c:a aac f1.mkv; {f} -c:v vp8 -c:a libvorbis f2.webm; {s} -c:v mpeg4 -c:a libvorbis -f matroska f3.mka; {f} -c:v vp8 -c:a libopus -live 1 f4.webm; {f} -c:v libtheora -c:a libvorbis f5.ogv; {s} -c:v libtheora -c:a libvorbis -f ogg f6.ogg; {f} -c:v mpeg4 -c:a libmp3lame f7.avi; {f} -c:v mpeg1video -r 25 -c:a mp2 -f mpeg f8.mpg; {f} -c:v mpeg2video -r 25 -c:a mp2 -f vob f9.vob; {f} -c:v mpeg2video -r 25 -c:a mp2 -f mpegts f10.ts; {f} -c:v flv1 -c:a libmp3lame -ar 44100 f11.flv; {f} -c:v wmv2 -c:a wmav2 f12.wmv; {f} -c:v mpeg4 -c:a aac f13.nut; {s} -c:v mpeg2video -r 25 -c:a pcm_s16le -ar 48000 -f mxf f14.mxf; {f} -c:v mpeg2video -r 25 -c:a mp2 -f mpegts -mpegts_m2ts_mode 1 f15.m2ts; {f} -c:v libtheora -c:a flac -f ogg f16.oga; {f} -c:v mjpeg -c:a libmp3lame f17.avi; {f} -c:v mpeg1video -r 25 -c:a mp2 -f svcd f18.mpg; {f} -c:v dvvideo -s 720x576 -r 25 -pix_fmt yuv420p -ar 48000 -f avi f19.avi
-map 1:v f20.gif; -map 2:v f21.png; -map 2:v f22.jpg; -map 2:v f23.bmp; -map 2:v f24.tiff; -map 1:v -c:v mpeg1video -r 25 f25.m1v; -map 1:v -c:v mpeg4 f26.m4v; -map 1:v -c:v vp8 f27.ivf; -map 1:v -c:v vp8 f28.webm; -map 1:v -c:v mjpeg f29.mjpeg; -map 1:v -c:v mpeg4 -f mp4 f30.m4a`

// Files that other programs make of src.wav.
const others = `
lame --quiet -b 128 src.wav l1.mp3
lame --quiet -V 0 --tt title --ta artist --add-id3v2 src.wav l2.mp3
lame --quiet -t --id3v1-only --tt title src.wav l3.mp3
lame --quiet --preset insane --id3v2-only --pad-id3v2-size 4000 --tt title src.wav l4.mp3
lame --quiet -m j --ti still.png src.wav l5.mp3
lame --quiet -b 8 --resample 8 src.wav l6.mp3
lame --quiet --strictly-enforce-ISO -p --abr 100 src.wav l7.mp3
lame --quiet --freeformat -b 100 src.wav rate1.mp3
lame --quiet --freeformat -b 8 src.wav rate2.mp3
lame --quiet --freeformat -b 400 --tt title --add-id3v2 src.wav rate3.mp3
lame --quiet --freeformat -b 640 -t src.wav rate4.mp3
lame --quiet --freeformat -b 40 --resample 16 -m m src.wav rate5.mp3
flac --silent -8 -o l1.flac src.wav
flac --silent -0 --no-padding --no-seektable -o l2.flac src.wav
flac --silent --picture=still.png -T TITLE=x -P 100000 -o l3.flac src.wav
flac --silent --ogg -o l4.oga src.wav
flac --silent --ogg --serial-number=7 -5 -o l5.ogg src.wav
opusenc --quiet src.wav l1.opus
opusenc --quiet --bitrate 16 --speech --padding 0 src.wav l2.opus
opusenc --quiet --picture still.png --title x src.wav l3.opus
opusenc --quiet --hard-cbr --framesize 2.5 src.wav l4.opus
oggenc --quiet -o l1.ogg src.wav
oggenc --quiet -k -q 8 -o l2.ogg src.wav
oggenc --quiet --downmix --resample 22050 -t x -o l3.ogg src.wav
speexenc -u src.wav l1.spx
speexenc -n --vbr src.wav l2.spx
twolame --quiet src.wav l1.mp2
twolame --quiet -b 64 -m m src.wav l2.mp2
wavpack -q src.wav -o n30.wv
wavpack -q -h -b400 src.wav -o n31.wv
sox src.wav -e float l1.wav
sox src.wav -b 24 -r 48000 l2.wav
sox src.wav -e a-law l3.wav
sox src.wav -e ms-adpcm l4.wav
sox -B src.wav -t wav l5.wav
sox src.wav l1.aiff
sox src.wav l2.aifc
sox src.wav -C 128 l8.mp3
sox src.wav l4.ogg
sox src.wav l4.flac
sox src.wav n32.au
sox src.wav n33.8svx
sox src.wav n34.voc
sox src.wav -r 8000 n35.amr-nb
sox src.wav n37.caf
sox src.wav n38.w64
sox src.wav n39.sph
sox src.wav n40.avr
sox src.wav n41.sf
sox src.wav n42.paf`

// TestACorpusOfRealFiles compares what Look says with what ffmpeg does: of files that encoders make, over codecs, containers,
// brands and tags, of the same with tags, zeros and cuts, of films and of other things, and of the sounds that this
// machine has.
func TestACorpusOfRealFiles(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"ffmpeg", "lame", "flac", "opusenc", "oggenc", "speexenc", "twolame", "wavpack", "sox"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program, "is not installed") // in CI that is a failure, as every skip
		}
	}
	c := &corpus{TB: t, dir: t.TempDir(), seen: make(map[string]probed)}
	c.make()
	c.alter()
	files, _ := filepath.Glob(filepath.Join(c.dir, "*.*"))
	for _, pattern := range []string{"/usr/share/sounds/*/*/*.*", "/usr/share/sounds/*/*.*"} {
		installed, _ := filepath.Glob(pattern)
		files = append(files, installed...)
	}
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, ".txt") })
	c.probe(files)
	var sounds, films, untaken int
	for _, name := range files {
		switch p := c.seen[name]; {
		case p.film:
			films++
		case p.format != "":
			sounds++
		default:
			untaken++
		}
		c.judge(name)
	}
	t.Logf("%d files: %d of taken formats, %d films and pictures, %d others", len(files), sounds, films, untaken)
	if sounds < 300 || films < 50 || untaken < 40 {
		t.Error("the corpus is smaller than it should be")
	}
}

type corpus struct {
	testing.TB
	dir string

	mu   sync.Mutex
	seen map[string]probed
}

// probed is what ffmpeg says of a file.
type probed struct {
	container    string
	codec        string
	sound, film  bool
	format       track.Format // that it should be taken as
	unrecognised bool
}

func (c *corpus) run(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(c.Context(), name, args...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *corpus) write(name string, content []byte) {
	if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
		c.Error(err)
	}
}

func (c *corpus) read(name string) []byte {
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.Error(err)
	}
	return b
}

// atOnce runs jobs, as many at once as there are processors on most machines.
func (c *corpus) atOnce(jobs []func() error) {
	c.Helper()
	var group errgroup.Group
	group.SetLimit(4)
	for _, job := range jobs {
		group.Go(func() error {
			err := job()
			if err != nil {
				c.Error(err)
			}
			return err
		})
	}
	if group.Wait() != nil {
		c.FailNow()
	}
}

func (c *corpus) make() {
	c.Helper()
	c.write("src.wav", audiotest.WAV(1, 1))
	c.write("chapters.txt", []byte(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=one\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=two\n"))
	if out, err := c.run("ffmpeg", strings.Fields("-nostdin -v error -f lavfi -i testsrc=s=64x64 -frames:v 1 still.png")...); err != nil {
		c.Fatal(out)
	}
	var jobs []func() error
	for line := range strings.SplitSeq(strings.TrimSpace(ffmpegs), "\n") {
		line = strings.NewReplacer("{a}", "-strict -2 -map 0:a", "{f}", "-strict -2 -map 0:a -map 1:v", "{s}", "-strict -2 -map 1:v -map 0:a", ";", "").Replace(line)
		args := "-nostdin -v error -y -f lavfi -i sine=440:d=1,aformat=channel_layouts=stereo -f lavfi -i testsrc=s=64x64:r=10:d=1 -i still.png -i chapters.txt " + line
		jobs = append(jobs, func() error { return c.command("ffmpeg", strings.Fields(args)) })
	}
	for line := range strings.SplitSeq(strings.TrimSpace(others), "\n") {
		words := strings.Fields(line)
		jobs = append(jobs, func() error { return c.command(words[0], words[1:]) })
	}
	c.atOnce(jobs)
}

func (c *corpus) command(name string, args []string) error {
	if out, err := c.run(name, args...); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// alter makes more files of those that there are: what taggers, recorders and cuts leave, other brands, and what only
// begins like audio.
func (c *corpus) alter() {
	c.Helper()
	for _, name := range []string{"a1.mp3", "a5.mp3", "a9.mp3", "a11.mp3", "l2.mp3", "a1.mp2", "a3.mp2", "l1.mp2", "a1.aac", "a4.aac", "a2.aac"} {
		b := c.read(name)
		for way, altered := range map[string][]byte{
			"id3": join(id3(100), b), "two-id3": join(id3(100), id3(200), b), "cover": join(id3(400_000), b), "ape": join(ape(200), b),
			"ape-id3": join(ape(200), id3(50), b), "zeros": join(id3(30), make([]byte, 3000), b), "more-zeros": join(id3(30), make([]byte, 40_000), b),
			"id3v1": join(b, []byte("TAG"), make([]byte, 125)), "half": b[:len(b)/2],
		} {
			c.write("alt-"+way+"-"+name, altered)
		}
		if !strings.HasPrefix(string(b), "ID3") {
			c.write("alt-cut-"+name, b[5:])
			c.write("alt-cut-more-"+name, b[301:])
		}
	}
	for _, name := range []string{"a1.flac", "a5.flac", "l2.flac"} {
		c.write("alt-two-id3-"+name, join(id3(100), id3(200), c.read(name)))
		c.write("alt-id3-"+name, join(id3(70_000), c.read(name)))
	}
	for i, brand := range []string{"3gp4", "3gp5", "3gp6", "3g2a", "M4A ", "M4B ", "M4P ", "M4V ", "F4A ", "F4B ", "f4v ", "isom", "iso2", "iso3", "iso4",
		"iso5", "iso6", "iso7", "iso8", "iso9", "mp41", "mp42", "mp71", "avc1", "dash", "msdh", "MSNV", "NDSC", "NDSH", "qt  ", "kddi", "cmfc", "dby1",
		"mmp4", "isml", "piff", "caqv", "XAVC", "\x00\x00\x00\x00"} {
		for _, name := range []string{"a1.m4a", "f1.mp4"} {
			b := c.read(name)
			copy(b[8:], brand)
			c.write(fmt.Sprintf("alt-brand%d-%s", i, name), b)
		}
	}
	sound := c.read("a14.m4a")
	rest := sound[20+int(sound[3])-20:] // without ftyp
	c.write("alt-styp.m4a", join(box("styp", []byte("msdh\x00\x00\x00\x00msdh")), rest))
	c.write("alt-no-ftyp.m4a", rest)
	for _, name := range []string{"a1.ogg", "a6.opus", "a2.wav", "a2.aiff", "a1.webm", "a1.mka", "a1.m4a", "a1.flac", "a1.mp3"} {
		b := c.read(name)
		c.write("alt-begin-"+name, b[:min(3, len(b))])
		for _, other := range []string{"f21.png", "chapters.txt", "f7.avi", "f8.mpg"} { // magic numbers before something else
			c.write("alt-magic"+strings.TrimSuffix(other, filepath.Ext(other))+"-"+name, join(b[:8], c.read(other)))
		}
	}
	page := []byte("<!DOCTYPE html><html>" + strings.Repeat("<p>RIFF fLaC OggS ID3</p>", 900) + "</html>")
	for name, b := range map[string][]byte{
		"page.html": page, "doc.pdf": []byte("%PDF-1.7\n" + string(page)), "archive.zip": append([]byte("PK\x03\x04"), page...), "program.elf": append([]byte("\x7fELF"), page...),
		"id3.html": join([]byte("ID3\x03\x00\x00\x7f\x7f\x7f\x7f"), page), "mpeg.html": join([]byte{0xff, 0xfb}, page), "adts.html": join([]byte{0xff, 0xf1}, page),
		"flac.html": join([]byte("fLaC"), page), "ogg.html": join([]byte("OggS"), page), "frame.html": join([]byte{0xff, 0xfb, 0x90, 0xc0}, page),
	} {
		c.write("other-"+name, b)
	}
}

var (
	inputLine  = regexp.MustCompile(`^Input #(\d+), (.+), from '(.*)':$`)
	streamLine = regexp.MustCompile(`^  Stream #(\d+):\d+.*?: (Audio|Video|Data|Subtitle|Attachment): (\w+)(.*)$`)
)

// probe asks ffmpeg what files are: many in one run, for most of a run's time is its start.
func (c *corpus) probe(files []string) {
	c.Helper()
	var jobs []func() error
	for batch := range slices.Chunk(files, 40) {
		jobs = append(jobs, func() error {
			for len(batch) > 0 {
				rest, err := c.probeBatch(batch)
				if err != nil {
					return err
				}
				batch = rest
			}
			return nil
		})
	}
	c.atOnce(jobs)
}

// probeBatch stops at the first file that ffmpeg does not know, and returns those after it.
func (c *corpus) probeBatch(files []string) (rest []string, err error) {
	args := []string{"-nostdin", "-hide_banner"}
	for _, name := range files {
		args = append(args, "-i", name)
	}
	out, err := c.run("ffmpeg", args...)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	opened := 0
	for line := range strings.SplitSeq(out, "\n") {
		if m := inputLine.FindStringSubmatch(line); m != nil {
			c.seen[files[opened]] = probed{container: m[2]}
			opened++
		} else if m := streamLine.FindStringSubmatch(line); m != nil && opened > 0 {
			p := c.seen[files[opened-1]]
			switch m[2] {
			case "Audio":
				p.sound, p.codec = true, m[3]
			case "Video":
				p.film = p.film || !strings.Contains(m[4], "attached pic")
			}
			c.seen[files[opened-1]] = p
		}
	}
	for _, name := range files[:opened] {
		p := c.seen[name]
		p.format = p.takenAs(name)
		c.seen[name] = p
	}
	if opened < len(files) {
		c.seen[files[opened]] = probed{unrecognised: true}
		opened++
	}
	return files[opened:], nil
}

// takenAs is the format that a file with this sound should be taken as.
func (p probed) takenAs(name string) track.Format {
	if !p.sound || p.film {
		return ""
	}
	switch p.container {
	case "mp3":
		if p.codec != "mp3" {
			return track.MP2
		}
		return track.MP3
	case "aac", "loas":
		return track.AAC
	case "mov,mp4,m4a,3gp,3g2,mj2":
		return track.M4A
	case "matroska,webm":
		if strings.Contains(name, ".web") {
			return track.WebM
		}
		return track.MKA
	case "ogg":
		switch p.codec {
		case "opus":
			return track.Opus
		case "speex":
			return track.Speex
		}
		return track.OGG
	case "wav":
		return track.WAV
	case "aiff":
		return track.AIFF
	case "flac":
		return track.FLAC
	}
	return ""
}

func (c *corpus) judge(name string) {
	file, err := os.Open(name)
	if err != nil {
		c.Error(err)
		return
	}
	defer file.Close()
	reads := &counter{file: file}
	found, err := audio.Look(reads)
	p, base := c.seen[name], filepath.Base(name)
	want := p.format
	made := func(prefix string) bool { return filepath.Dir(name) == c.dir && strings.HasPrefix(base, prefix) }
	if made("alt-magic") || made("alt-begin") || made("other-") { // ffmpeg has a guess at anything
		want = ""
	}
	if made("rate") { // of a free bit rate, which ffmpeg does not read; players do
		want = track.MP3
	}
	if found.Format != want || err != nil {
		c.Errorf("%s: found %q (%s), %v; ffmpeg says %+v", base, found.Format, found.What, err, p)
	}
	if made("f") && p.sound && p.film && !strings.Contains(found.What, " film") && !strings.Contains(found.What, "transport stream") {
		c.Errorf("%s: a film is called %s", base, found.What)
	}
	if made("n") && p.sound && !strings.Contains(found.What, "not taken") && !strings.Contains(found.What, "film") && !strings.Contains(found.What, "transport stream") {
		c.Errorf("%s: %s in %s is called %s", base, p.codec, p.container, found.What)
	}
	if reads.calls > 12 {
		c.Errorf("%s: %d reads of %d bytes", base, reads.calls, reads.bytes)
	}
}

// A file that is cut anywhere is read without a fault, and is nothing else than it was, or nothing.
func TestFilesThatAreCut(t *testing.T) {
	t.Parallel()
	for _, file := range audiotest.All(1, 3) {
		want, _ := track.FormatOfName("a." + file.Ext)
		for n := 0; n < min(len(file.Bytes), 6000); n += 1 + n/20 {
			if found, err := audio.Look(bytes.NewReader(file.Bytes[:n])); err != nil || found.Format != "" && found.Format != want {
				t.Errorf("%s of %d bytes: %+v, %v", file.Ext, n, found, err)
			}
		}
	}
}
