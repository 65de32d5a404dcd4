package migrate_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/internal/audiotest"
	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

func TestFileNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	names := []string{
		"plain.wav", "with space.wav", "a+b.wav", "percent%20.wav", "hash#.wav", "question?.wav", "quotes'\".wav", `back\slash.wav`,
		"caf\u00e9 nfc.wav", "cafe\u0301 nfd.wav", "🎵.wav", "new\nline.wav", "UPPER.WAV", "none", "two.dots.flac", ".hidden.wav", "-dash.wav",
		"trailing .wav", strings.Repeat("l", 251) + ".wav", strings.Repeat("d/", 120) + "deep.wav", "exotic.xyz", "tab\t.wav", "../inside/../up.wav"[3:],
	}
	want := map[track.ID][]byte{}
	keys := map[track.ID]string{}
	for i, name := range names {
		c := content(i, 500+i)
		r.write(name, c)
		keys[r.insert(name)] = name
		abs := r.insert(filepath.Join(r.Root, name))
		keys[abs] = name
		for id := range keys {
			if _, ok := want[id]; !ok {
				want[id] = c
			}
		}
	}
	summary, seen := r.run(r.upload(), job())
	if summary.Migrated != len(want) {
		t.Errorf("%+v", summary)
	}
	for id, c := range want {
		r.holds(id, track.S3, c)
		key := seen.all[id].StorageKey()
		wantExt := map[bool]string{true: strings.ToLower(filepath.Ext(keys[id])), false: ""}[known(keys[id])]
		if prefix := fmt.Sprintf("tracks/%s/1-", id); !strings.HasPrefix(key, prefix) || len(key) != len(prefix)+16+len(wantExt) ||
			!strings.HasSuffix(key, wantExt) {
			t.Errorf("%q went to key %q", keys[id], key)
		}
	}

	// And back, from S3, to paths of trackstore's own.
	for _, name := range names {
		r.remove(name)
	}
	r.turn(track.ToLocal)
	back, _ := r.run(r.restore(), job())
	if back.Migrated != len(want) {
		t.Errorf("%+v", back)
	}
	for id, c := range want {
		r.holds(id, track.Local, c)
	}
}

func known(name string) bool {
	_, ok := track.FormatOfName(name)
	return ok
}

func TestFilesThatCannotBeMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret.wav"), []byte("secret"), 0o644))
	must(t, os.Symlink(filepath.Join(outside, "secret.wav"), filepath.Join(r.Root, "link-out.wav")))
	must(t, os.Symlink("../../../../../../etc/hostname", filepath.Join(r.Root, "link-up.wav")))
	must(t, os.Symlink(outside, filepath.Join(r.Root, "dir-out")))
	must(t, os.Symlink("nowhere.wav", filepath.Join(r.Root, "broken.wav")))
	must(t, os.Symlink("loop.wav", filepath.Join(r.Root, "loop.wav")))
	must(t, os.Mkdir(filepath.Join(r.Root, "folder.wav"), 0o755))
	must(t, syscall.Mkfifo(filepath.Join(r.Root, "pipe.wav"), 0o644))
	r.write("empty.wav", nil)
	r.write("file.wav", []byte("x"))

	want := map[string]track.MigrationState{
		"missing.wav": track.Missing, "no/such/folder.wav": track.Missing, "broken.wav": track.Missing, "file.wav/below.wav": track.Missing,
		strings.Repeat("n", 300):  track.Missing,
		"empty.wav":               track.Empty,
		"folder.wav":              track.Unreadable,
		"pipe.wav":                track.Unreadable,
		"loop.wav":                track.Unreadable,
		"../secret.wav":           track.OutsideRoot,
		"a/../../secret.wav":      track.OutsideRoot,
		"/etc/passwd":             track.OutsideRoot,
		"link-out.wav":            track.OutsideRoot,
		"link-up.wav":             track.OutsideRoot,
		"dir-out/secret.wav":      track.OutsideRoot,
		outside + "/secret.wav":   track.OutsideRoot,
		r.Root + "/../secret.wav": track.OutsideRoot,
	}
	ids := map[string]track.ID{}
	for path := range want {
		ids[path] = r.insert(path)
	}
	moved := r.add("good.wav", []byte("good"))
	summary, seen := r.run(r.upload(), job())
	if summary.Migrated != 1 || summary.Missing != 5 || summary.Failed != len(want)-5 || !summary.Done {
		t.Errorf("%+v", summary)
	}
	for path, state := range want {
		got := seen.all[ids[path]]
		if got.Result.State() != state || got.Err() == nil {
			t.Errorf("%q is %s (%v), not %s", path, got.Result.State(), got.Err(), state)
		}
	}
	r.holds(moved, track.S3, []byte("good"))

	// All are named, with their text; a plain run leaves them, and retry frees them.
	named := 0
	for f, err := range r.Store.Failures(t.Context(), track.ToS3, track.Selection{}) {
		if err != nil || want[f.FilePath] != f.State || f.Error == "" {
			t.Errorf("%+v, %v", f, err)
		}
		named++
	}
	if named != len(want) {
		t.Errorf("%d failures are named, not %d", named, len(want))
	}
	if again, _ := r.run(r.upload(), job()); again.Claimed != 0 {
		t.Errorf("a plain run claimed %d failures", again.Claimed)
	}
	r.write("missing.wav", []byte("found"))
	r.Exec(`UPDATE tracks SET file_path = 'good.wav' WHERE id = $1`, ids["/etc/passwd"])
	if again, _ := r.run(r.upload(), job()); again.Claimed != 1 || again.Migrated != 1 {
		t.Errorf("a track with a new file was not a candidate: %+v", again)
	}
	if _, err := r.Store.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, _ := r.run(r.upload(), job()); again.Migrated != 1 || again.Claimed != len(want)-1 {
		t.Errorf("after retry: %+v", again)
	}
	r.holds(ids["missing.wav"], track.S3, []byte("found"))
}

func TestLinksInsideTheRootAreFollowed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("real/a.wav", []byte("a"))
	must(t, os.Symlink("real/a.wav", filepath.Join(r.Root, "relative.wav")))
	must(t, os.Symlink(filepath.Join(r.Root, "real/a.wav"), filepath.Join(r.Root, "absolute.wav")))
	must(t, os.Symlink("real", filepath.Join(r.Root, "folder")))
	for _, path := range []string{"relative.wav", "absolute.wav", "folder/a.wav"} {
		id := r.insert(path)
		r.run(r.upload(), job())
		r.holds(id, track.S3, []byte("a"))
	}
}

// A file that grows, shrinks or is exchanged while it is read is moved as it was at one
// moment, or not at all.
func TestFilesThatChangeWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path string){
		"grows":   func(path string) { appendTo(path, []byte("more")) },
		"shrinks": func(path string) { _ = os.Truncate(path, 10) },
		"is exchanged": func(path string) {
			_ = os.WriteFile(path+".new", content(9, 5000), 0o644)
			_ = os.Rename(path+".new", path)
		},
		"is rewritten": func(path string) { _ = os.WriteFile(path, content(8, 5000), 0o644) },
	} {
		for _, size := range []int{5000, 17 << 20} {
			t.Run(fmt.Sprintf("%s at %d bytes", name, size), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				always := r.add("always.wav", content(1, size))
				once := r.add("once.wav", content(2, size))
				files := &changing{r: r, change: change, left: map[string]int{"always.wav": 1000, "once.wav": 1}}
				upload := migrate.NewUpload(migrate.Upload{Files: files, Bucket: r.S3, Large: r.S3, Sniff: noSniff, Rest: 50 * time.Millisecond})
				summary, seen := r.run(upload, job())
				if seen.all[always].Result.State() != track.Changed || summary.Failed != 1 || summary.Migrated != 1 {
					t.Errorf("%+v, %+v", summary, seen.all[always])
				}
				now, err := os.ReadFile(filepath.Join(r.Root, "once.wav"))
				if err != nil {
					t.Fatal(err)
				}
				r.holds(once, track.S3, now)
				if n := r.one(`SELECT count(*)::text FROM tracks WHERE storage_backend = 's3'`); n != "1" {
					t.Errorf("%s tracks are on S3", n)
				}
			})
		}
	}
}

// changing is a disk where files change between being opened and being read to the end.
type changing struct {
	r      *rig
	change func(path string)
	mu     sync.Mutex
	left   map[string]int // how often a file is to be changed
}

func (c *changing) Prove(ctx context.Context) error { return c.r.Disk.Prove(ctx) }

func (c *changing) OpenFile(path string) (track.File, error) {
	f, err := c.r.Disk.OpenFile(path)
	return &changingFile{File: f, c: c, path: path}, err
}

type changingFile struct {
	track.File
	c    *changing
	path string
	once sync.Once // parts are read at the same time
}

func (f *changingFile) ReadAt(p []byte, offset int64) (int, error) {
	f.once.Do(func() {
		f.c.mu.Lock()
		f.c.left[f.path]--
		change := f.c.left[f.path] >= 0
		f.c.mu.Unlock()
		if change {
			time.Sleep(2 * time.Millisecond) // so that the times differ
			f.c.change(filepath.Join(f.c.r.Root, f.path))
		}
	})
	return f.File.ReadAt(p, offset)
}

func TestTypeComesFromTheBytesThenFromTheName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	wav := audiotest.WAV(1, 1)
	for path, want := range map[string]struct {
		bytes               []byte
		contentType, format string
	}{
		"wav named mp3.mp3": {wav, "audio/wav", "wav"},
		"wav without.":      {wav, "audio/wav", "wav"},
		"not audio.mp3":     {[]byte("<html>"), "audio/mpeg", "mp3"},
		"nothing known.xyz": {[]byte("<html>"), track.OctetStream, "old"},
	} {
		id := r.add(path, want.bytes)
		r.Exec(`UPDATE tracks SET format = 'old', content_type = 'old', file_size = 1 WHERE id = $1`, id)
		r.run(r.upload(), job())
		got := r.one(`SELECT content_type || ' ' || format || ' ' || file_size FROM tracks WHERE id = $1`, id)
		if want := fmt.Sprintf("%s %s %d", want.contentType, want.format, len(want.bytes)); got != want {
			t.Errorf("%q became %q, not %q", path, got, want)
		}
		key := r.one(`SELECT storage_key FROM tracks WHERE id = $1`, id)
		head, err := r.Bucket.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &r.Bucket.Name, Key: &key})
		if err != nil || aws.ToString(head.ContentType) != want.contentType {
			t.Errorf("%q has content type %q on S3, %v", path, aws.ToString(head.ContentType), err)
		}
	}
}

// An audio type that the row has is kept where neither the bytes nor the name tell one, and
// no rollback and no second move loses it.
func TestAnAudioTypeThatIsNotKnownIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	asf := append([]byte("\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"), content(1, 3000)...)
	for _, c := range []struct {
		path, contentType, format string
		bytes                     []byte
		want                      string
	}{
		{"a.wma", "audio/x-ms-wma", "wma", asf, "audio/x-ms-wma wma"},
		{"b.bin", "audio/webm", "webm", content(2, 3000), "audio/webm webm"},
		{"c", "Audio/AMR; rate=8000", "", content(3, 3000), "Audio/AMR; rate=8000 "},
		{"d.xyz", "text/html", "old", []byte("<html>"), track.OctetStream + " old"},
		{"e.wma", "audio/x-ms-wma", "wma", audiotest.OggOpus(1, 1), "audio/ogg opus"}, // the bytes tell
		{"f.mp3", "audio/x-ms-wma", "wma", content(4, 3000), "audio/mpeg mp3"},        // the name tells
	} {
		id := r.add(c.path, c.bytes)
		r.Exec(`UPDATE tracks SET format = $2, content_type = $3 WHERE id = $1`, id, c.format, c.contentType)
		for _, mover := range []migrate.Mover{r.upload(), r.restore(), r.upload()} {
			r.turn(mover.Direction())
			r.run(mover, job())
			if got := r.one(`SELECT content_type || ' ' || format FROM tracks WHERE id = $1`, id); got != c.want {
				t.Errorf("%s after %s: %q, want %q", c.path, mover.Direction(), got, c.want)
			}
		}
	}
}

// R1: a key that other bytes have is never overwritten.
func TestAKeyThatIsTakenIsNotOverwritten(t *testing.T) {
	t.Parallel()
	for _, size := range []int{3000, 17 << 20} {
		r := newRig(t)
		c := content(3, size)
		id := r.add("a.wav", c)
		sum := crcOf(c)
		key := track.MigratedKey(id, 1, sum, "a.wav")
		if _, err := r.Bucket.Client().PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &r.Bucket.Name, Key: &key, Body: bytes.NewReader([]byte("other")),
		}); err != nil {
			t.Fatal(err)
		}
		_, seen := r.run(r.upload(), job())
		if seen.all[id].Result.State() != track.Mismatch {
			t.Errorf("%d bytes: %+v", size, seen.all[id])
		}
		r.holds(id, track.Local, c)
		body, err := r.S3.Open(context.WithoutCancel(t.Context()), key, "", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		got := make([]byte, 10)
		if n, _ := body.Read(got); string(got[:n]) != "other" {
			t.Errorf("the object was overwritten: %q", got[:n])
		}
	}
}

func appendTo(path string, more []byte) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, _ = f.Write(more)
		_ = f.Close()
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
