package diskstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"trackstore/internal/testenv"
	"trackstore/shared/diskstore"
	"trackstore/shared/track"
)

// writing returns what fills a file with text.
func writing(text string) func(*os.File) error {
	return func(f *os.File) error {
		_, err := f.WriteString(text)
		return err
	}
}

// A file system without links names files as exclusively as one with them.
func TestOneOfManyWritersWinsWithoutLinks(t *testing.T) {
	t.Parallel()
	exfat := testenv.ExFAT(t)
	if err := os.WriteFile(filepath.Join(exfat, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(exfat, "x"), filepath.Join(exfat, "y")); err == nil {
		t.Fatal("this file system has links, and the test shows nothing")
	}
	ways := map[string]func(name, content string) error{
		"exFAT": func(name, content string) error {
			return open(t, diskstore.Config{Root: exfat}).CreateFile(name, writing(content))
		},
	}
	for way, give := range map[string]func(*os.Root, string, string) error{
		"renaming": diskstore.RenameExclusively, "lock": diskstore.RenameLocked,
	} {
		dir := t.TempDir()
		ways[way] = func(name, content string) error { return diskstore.NameBy(dir, give, name, []byte(content)) }
	}
	for way, create := range ways {
		var winners []string
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() {
				err := create("a/b/c", fmt.Sprint("writer ", i))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					winners = append(winners, fmt.Sprint(i))
				} else if !errors.Is(err, track.ErrExists) && !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s: %v", way, err)
				}
			})
		}
		group.Wait()
		if len(winners) != 1 {
			t.Errorf("%s: the winners are %q", way, winners)
		}
	}
	content, err := os.ReadFile(filepath.Join(exfat, "a/b/c"))
	if err != nil || !strings.HasPrefix(string(content), "writer ") {
		t.Errorf("got %q, %v", content, err)
	}
	wantTemps(t, exfat)

	// An empty file of somebody else's stays, where there are links.
	linked := t.TempDir()
	if err := os.WriteFile(filepath.Join(linked, "e"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, diskstore.Config{Root: linked}).CreateFile("e", writing("x")); !errors.Is(err, track.ErrExists) {
		t.Errorf("got %v", err)
	}
	// A crash between taking the name and the renaming leaves an empty file.
	if err := os.WriteFile(filepath.Join(exfat, "a/b/d"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ways["exFAT"]("a/b/d", "whole"); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(filepath.Join(exfat, "a/b/d")); string(content) != "whole" {
		t.Errorf("got %q, %v", content, err)
	}
	if err := open(t, diskstore.Config{Root: exfat}).TryWrite("restored", 1, 1); err != nil {
		t.Error(err)
	}
}

// A full disk is told from a file that cannot be written.
func TestFullDiskIsThePlacesFault(t *testing.T) {
	t.Parallel()
	root := testenv.Memory(t, "1m")
	store := open(t, diskstore.Config{Root: root})
	if err := store.TryWrite("restored", 3, 300<<10); err != nil {
		t.Errorf("there is room: %v", err)
	}
	if err := store.TryWrite("restored", 3, 2<<20); !errors.Is(err, track.ErrPlace) || !strings.Contains(err.Error(), "2097152 bytes") {
		t.Errorf("got %v", err)
	}
	err := store.CreateFile("restored/a/1.wav", func(f *os.File) error {
		_, err := f.Write(make([]byte, 2<<20))
		return err
	})
	if !errors.Is(err, track.ErrPlace) || track.IsRetryable(err) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "restored/a/1.wav")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file is there: %v", err)
	}
	wantTemps(t, root)
}

func TestReadOnlyDiskIsThePlacesFault(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store := open(t, diskstore.Config{Root: root})
	if err := store.CreateFile("a.wav", writing("x")); err != nil {
		t.Fatal(err)
	}
	undo := testenv.ReadOnly(t, root)
	for what, err := range map[string]error{
		"TryWrite":   store.TryWrite(".", 0, 0),
		"CreateFile": store.CreateFile("b.wav", writing("x")),
		"RemoveFile": store.RemoveFile("a.wav"),
		"Mark":       store.Mark(track.NewID()),
	} {
		if !errors.Is(err, track.ErrPlace) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	undo()
	if err := store.TryWrite(".", 0, 0); err != nil {
		t.Error(err)
	}
}

// The platform, which owns the folders, reads what root restores.
func TestNewFilesAreForWhomTheFolderIs(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "only root may hand files over")
	}
	for _, test := range []struct {
		folder, file os.FileMode
	}{
		{0o750, 0o640}, {0o755, 0o644}, {0o700, 0o600}, {0o2770, 0o660},
	} {
		root := t.TempDir()
		if err := os.Chown(root, 1234, 2345); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Chmod(root, uint32(test.folder)); err != nil {
			t.Fatal(err)
		}
		store := open(t, diskstore.Config{Root: root})
		if err := store.CreateFile("restored/a/1.wav", writing("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := store.CreateMultipart(t.Context(), "uploads/a/b", "", nil); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st syscall.Stat_t
			if err := syscall.Lstat(path, &st); err != nil {
				return err
			}
			want := uint32(test.folder) | syscall.S_IFDIR
			if st.Mode&syscall.S_IFMT == syscall.S_IFREG {
				want = uint32(test.file) | syscall.S_IFREG
			}
			if st.Mode != want || st.Uid != 1234 || st.Gid != 2345 {
				t.Errorf("%s: mode %o of %d:%d, want %o of 1234:2345", path, st.Mode, st.Uid, st.Gid, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A root proves who it is before it is worked with, and again when it is another one.
func TestAnotherRootIsRefused(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	disk, empty := testenv.Memory(t, "1m"), t.TempDir()
	unmount := testenv.Over(t, disk, root)
	id := track.NewID()
	bare := open(t, diskstore.Config{Root: root})
	if got, err := bare.ID(); err != nil || !got.IsZero() {
		t.Fatalf("got %s, %v", got, err)
	}
	if err := bare.Mark(id); err != nil {
		t.Fatal(err)
	}
	if err := bare.Mark(track.NewID()); !errors.Is(err, track.ErrExists) {
		t.Errorf("it was marked twice: %v", err)
	}
	if got, err := bare.ID(); err != nil || got != id {
		t.Errorf("got %s, %v", got, err)
	}

	asked := 0
	store := open(t, diskstore.Config{Root: root, Prove: func(context.Context) (track.ID, error) {
		asked++
		bears, err := bare.ID()
		if err == nil && bears != id {
			err = fmt.Errorf("%w: it is another one", track.ErrPlace)
		}
		return bears, err
	}})
	for range 3 {
		if err := store.CreateFile(track.NewID().String(), writing("x")); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times who the root is", asked)
	}
	unmount()
	refused := func(when string) {
		t.Helper()
		_, openErr := store.OpenFile("a.wav")
		_, plainErr := store.PlainPaths("a.wav")
		for _, err := range []error{openErr, plainErr, store.CreateFile("b.wav", writing("x")), store.RemoveFile("a.wav"), store.TryWrite(".", 0, 0)} {
			if !errors.Is(err, track.ErrPlace) || errors.Is(err, track.ErrNotFound) {
				t.Errorf("%s: got %v", when, err)
			}
		}
		if names, _ := os.ReadDir(root); when == "unmounted" && len(names) > 0 {
			t.Errorf("something was written where nobody looks: %v", names)
		}
	}
	refused("unmounted")
	undo := testenv.Over(t, empty, root)
	refused("another volume")
	undo()
	testenv.Over(t, disk, root)
	if err := store.CreateFile("c.wav", writing("x")); err != nil {
		t.Errorf("it is back: %v", err)
	}
	// The same folder, whose id was exchanged: nothing is written there.
	if err := os.WriteFile(filepath.Join(root, ".trackstore/root-id"), []byte(track.NewID().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.CreateFile("d.wav", writing("x")); !errors.Is(err, track.ErrPlace) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, ".trackstore/root-id"), []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bare.ID(); !errors.Is(err, track.ErrPlace) {
		t.Errorf("got %v", err)
	}
}
