package diskstore_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/diskstore"
	"trackstore/shared/track"
)

// folder is a root with a neighbour that nobody may reach, and a link to the root.
//
//	outside/secret.flac
//	alias -> root
//	root/a.flac, root/deep/er/b.flac
func folder(t *testing.T) (store *diskstore.Store, base string) {
	t.Helper()
	base = t.TempDir()
	root := filepath.Join(base, "root")
	for name, content := range map[string]string{
		"root/a.flac": "a", "root/deep/er/b.flac": "b", "outside/secret.flac": "secret",
	} {
		write(t, filepath.Join(base, name), content)
	}
	link(t, "root", filepath.Join(base, "alias"))
	return open(t, diskstore.Config{Root: root}), base
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func read(f track.File) (string, error) {
	content, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	return string(content), errors.Join(err, f.Close())
}

func TestOpenFileFindsWhatIsInside(t *testing.T) {
	t.Parallel()
	store, base := folder(t)
	in := func(name string) string { return filepath.Join(base, "root", name) }
	link(t, "a.flac", in("relative"))
	link(t, "../../a.flac", in("deep/er/up"))
	link(t, in("a.flac"), in("absolute"))
	link(t, filepath.Join(base, "alias/a.flac"), in("absolute by the alias"))
	link(t, in("absolute"), in("link to link"))
	link(t, in("deep"), in("folder"))
	link(t, in("folder/er/../er"), in("folder by folder"))

	for path, want := range map[string]string{
		"a.flac":                              "a",
		"./a.flac":                            "a",
		"deep/../a.flac":                      "a",
		"deep/er/b.flac":                      "b",
		in("a.flac"):                          "a",
		filepath.Join(base, "alias/a.flac"):   "a",
		base + "/alias/../alias/deep/er/./up": "a",
		"relative":                            "a",
		"deep/er/up":                          "a",
		"absolute":                            "a",
		"absolute by the alias":               "a",
		"link to link":                        "a",
		"folder/er/b.flac":                    "b",
		"folder by folder/b.flac":             "b",
		in("folder/er/up"):                    "a",
	} {
		f, err := store.OpenFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := read(f); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
}

// Not parallel: a socket's path must be short, so it changes the working folder.
func TestOpenFileNamesWhatIsWrong(t *testing.T) {
	store, base := folder(t)
	in := func(name string) string { return filepath.Join(base, "root", name) }
	link(t, "../outside/secret.flac", in("leaves"))
	link(t, filepath.Join(base, "outside/secret.flac"), in("leaves by an absolute path"))
	link(t, filepath.Join(base, "outside"), in("leaving folder"))
	link(t, "../root/a.flac", in("leaves and comes back"))
	link(t, "/dev/zero", in("device"))
	link(t, "nothing", in("broken"))
	link(t, in("nothing"), in("broken absolute"))
	link(t, "loop", in("loop"))
	if err := syscall.Mkfifo(in("pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	link(t, in("pipe"), in("link to the pipe"))
	t.Chdir(in(""))
	listener, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })

	for path, want := range map[string]error{
		"../outside/secret.flac":          track.ErrOutsideRoot,
		"deep/../../outside/secret.flac":  track.ErrOutsideRoot,
		"..":                              track.ErrOutsideRoot,
		"/etc/passwd":                     track.ErrOutsideRoot,
		base + "/outside/secret.flac":     track.ErrOutsideRoot,
		base + "/rootless/a.flac":         track.ErrOutsideRoot,
		"leaves":                          track.ErrOutsideRoot,
		"leaves by an absolute path":      track.ErrOutsideRoot,
		"leaving folder/secret.flac":      track.ErrOutsideRoot,
		"leaving folder/nothing":          track.ErrOutsideRoot,
		"leaves and comes back":           track.ErrOutsideRoot,
		"device":                          track.ErrOutsideRoot,
		"":                                track.ErrNotFound,
		"nothing":                         track.ErrNotFound,
		"nothing/at/all":                  track.ErrNotFound,
		in("nothing"):                     track.ErrNotFound,
		"a.flac/b":                        track.ErrNotFound,
		"broken":                          track.ErrNotFound,
		"broken absolute":                 track.ErrNotFound,
		strings.Repeat("x", 300) + ".mp3": track.ErrNotFound,
		".":                               track.ErrNotRegular,
		in(""):                            track.ErrNotRegular,
		"deep":                            track.ErrNotRegular,
		"pipe":                            track.ErrNotRegular,
		"link to the pipe":                track.ErrNotRegular,
		"socket":                          track.ErrNotRegular,
		"loop":                            syscall.ELOOP,
	} {
		if _, err := store.OpenFile(path); !errors.Is(err, want) || !strings.Contains(err.Error(), "open") {
			t.Errorf("%q: got %v, want %v", path, err, want)
		}
	}
}

func TestNamesAreBytes(t *testing.T) {
	t.Parallel()
	store, base := folder(t)
	names := []string{
		"new\nline", "100%", "%20", "plus + space", "#?&", `quotes "'\`, "caf\u00e9", "cafe\u0301", "\U0001F3B5", "trailing ", "-rf",
		strings.Repeat("x", 255), "UPPER.FLAC", "no extension", "...",
	}
	if runtime.GOOS == "linux" { // elsewhere a name is text
		names = append(names, "not \xff\xfe text")
	}
	for _, name := range names {
		if name == "cafe\u0301" && runtime.GOOS == "darwin" {
			continue // one name for both
		}
		write(t, filepath.Join(base, "root", "odd", name), name)
	}
	listed := map[string]bool{}
	for object, err := range store.List(t.Context(), "odd/") {
		if err != nil {
			t.Fatal(err)
		}
		listed[object.Key] = true
	}
	for _, name := range names {
		f, err := store.OpenFile("odd/" + name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := read(f); got != name || err != nil {
			t.Errorf("%q holds %q, %v", name, got, err)
		}
		signed, err := store.SignGet(t.Context(), track.GetSpec{Key: "odd/" + name, TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if response, body := send(t, http.MethodGet, signed.URL, nil, nil); response.StatusCode != http.StatusOK || string(body) != name {
			t.Errorf("%q: answered %d %q", name, response.StatusCode, body)
		}
		if !listed["odd/"+name] {
			t.Errorf("%q is not listed", name)
		}
		if err := store.RemoveFile(filepath.Join(base, "alias", "odd", name)); err != nil {
			t.Error(err)
		}
	}
}

// A link that is exchanged while it is followed must never lead out.
func TestALinkThatIsExchangedLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	store, base := folder(t)
	root := filepath.Join(base, "root")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			target := filepath.Join(root, "deep/er")
			if i%2 == 0 {
				target = filepath.Join(base, "outside")
			}
			temp := filepath.Join(root, "next")
			if errors.Join(os.Symlink(target, temp), os.Rename(temp, filepath.Join(root, "link"))) != nil {
				return
			}
		}
	}()
	write(t, filepath.Join(base, "outside/b.flac"), "secret")
	for range 2000 {
		f, err := store.OpenFile("link/b.flac")
		if err != nil {
			continue
		}
		if got, _ := read(f); got != "b" {
			t.Errorf("got %q", got)
			break
		}
	}
	close(stop)
	<-stopped
}

func TestIdentityTellsChanges(t *testing.T) {
	t.Parallel()
	store, base := folder(t)
	name := filepath.Join(base, "root/a.flac")
	identity := func() track.FileIdentity {
		t.Helper()
		f, err := store.OpenFile("a.flac")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		id, err := f.Identity()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := identity()
	if identity() != first || first.Size != 1 || time.Since(first.Modified()) > time.Minute {
		t.Errorf("got %+v", first)
	}
	for what, change := range map[string]func() error{
		"other bytes of the same length, and the old time": func() error {
			return errors.Join(os.WriteFile(name, []byte("x"), 0o644), os.Chtimes(name, first.Modified(), first.Modified()))
		},
		"another file in its place": func() error {
			other := name + ".new"
			return errors.Join(os.WriteFile(other, []byte("a"), 0o644), os.Chtimes(other, first.Modified(), first.Modified()), os.Rename(other, name))
		},
		"a longer file": func() error { return os.Truncate(name, 100) },
	} {
		before := identity()
		time.Sleep(15 * time.Millisecond) // the clock of inodes ticks every few milliseconds
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if identity() == before {
			t.Errorf("%s: nobody would notice", what)
		}
	}
}

func TestRemoveFileRemovesNothingElse(t *testing.T) {
	t.Parallel()
	store, base := folder(t)
	in := func(name string) string { return filepath.Join(base, "root", name) }
	link(t, in("a.flac"), in("link"))
	link(t, in("deep"), in("folder"))
	link(t, filepath.Join(base, "outside"), in("leaving folder"))
	link(t, "nothing", in("broken"))
	if err := os.Mkdir(in("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"nothing": track.ErrNotFound, "empty": track.ErrNotRegular, "../outside/secret.flac": track.ErrOutsideRoot,
		"leaving folder/secret.flac": track.ErrOutsideRoot, "": track.ErrNotFound, ".": track.ErrNotRegular,
	} {
		if err := store.RemoveFile(path); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", path, err, want)
		}
	}
	for _, path := range []string{"link", "broken", "folder/er/b.flac", "leaving folder"} {
		if err := store.RemoveFile(path); err != nil {
			t.Error(err)
		}
	}
	for name, there := range map[string]bool{
		"a.flac": true, "link": false, "broken": false, "deep/er/b.flac": false, "deep/er": true, "empty": true, "../outside/secret.flac": true,
	} {
		if _, err := os.Lstat(in(name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPathsOfOneFile(t *testing.T) {
	t.Parallel()
	store, base := folder(t)
	in := func(name string) string { return filepath.Join(base, "root", name) }
	link(t, in("deep"), in("folder"))
	link(t, "folder/er/b.flac", in("link"))
	plain := []string{"deep/er/b.flac", in("deep/er/b.flac")}
	odd := []string{"deep/./er/b.flac", "folder/er/b.flac", "link", in("link"), filepath.Join(base, "alias/deep/er/b.flac")}
	all := slices.Concat(plain, odd)
	for _, path := range all {
		if got, err := store.PlainPaths(path); !slices.Equal(got, plain) || err != nil {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
	}
	if _, err := store.PlainPaths("nothing"); !errors.Is(err, track.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	named := func(yield func(string, error) bool) {
		for _, path := range append(all, "a.flac", "broken", "nothing", "leaving", "../outside/secret.flac") {
			if !yield(path, nil) {
				return
			}
		}
	}
	got, err := store.OddPaths(named)
	if diff := cmp.Diff(map[string][]string{"deep/er/b.flac": odd}, got); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
}
