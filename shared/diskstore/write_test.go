package diskstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trackstore/shared/diskstore"
	"trackstore/shared/track"
)

func TestCreateFileWritesOnce(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store := open(t, diskstore.Config{Root: root})
	const name = "restored/a/1.flac"
	disk := filepath.Join(root, name)

	broken := errors.New("the source broke off")
	err := store.CreateFile(name, func(f *os.File) error {
		_, err := f.WriteString("half")
		return errors.Join(err, broken)
	})
	if _, stat := os.Lstat(disk); !errors.Is(err, broken) || !errors.Is(stat, os.ErrNotExist) {
		t.Errorf("got %v, %v", err, stat)
	}
	err = store.CreateFile(name, func(f *os.File) error {
		_, err1 := f.WriteAt([]byte("end"), 3)
		_, err2 := f.WriteAt([]byte("the"), 0)
		if _, err := os.Lstat(disk); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file has its name before it is whole: %v", err)
		}
		return errors.Join(err1, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = store.CreateFile(name, func(f *os.File) error {
		_, err := f.WriteString("other bytes")
		return err
	})
	if content, _ := os.ReadFile(disk); !errors.Is(err, track.ErrExists) || string(content) != "theend" {
		t.Errorf("got %q, %v", content, err)
	}
	wantTemps(t, root)
}

func TestOneOfManyWritersWins(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store := open(t, diskstore.Config{Root: root})
	var winners []string
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			mine := fmt.Sprint("writer ", i)
			err := store.CreateFile("a/b/c", func(f *os.File) error {
				_, err := f.WriteString(mine)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, mine)
			} else if !errors.Is(err, track.ErrExists) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	content, _ := os.ReadFile(filepath.Join(root, "a/b/c"))
	if len(winners) != 1 || string(content) != winners[0] {
		t.Errorf("the winners are %q, the file is of %q", winners, content)
	}
	wantTemps(t, root)
}

func TestKeysThatAreNoPathsAreRefused(t *testing.T) {
	t.Parallel()
	store := open(t, diskstore.Config{})
	for _, key := range []string{
		"", ".", "..", "../x", "a/../b", "a//b", "a/", "./a", "/etc/x", ".trackstore/tmp/x", ".TrackStore/x", "a\x00b", strings.Repeat("x", 300),
	} {
		if err := store.CreateFile(key, func(*os.File) error { return nil }); err == nil {
			t.Errorf("%q was written", key)
		}
		if _, err := store.Create(t.Context(), track.ObjectSpec{Key: key}, bytes.NewReader(nil)); err == nil {
			t.Errorf("%q was created", key)
		}
		if len(key) < 300 {
			if _, err := store.SignPut(t.Context(), track.PutSpec{Key: key, Size: 1, TTL: time.Minute}); err == nil {
				t.Errorf("%q was signed", key)
			}
		}
	}
}

// A disk that is not there says nothing about files: they are not gone.
func TestWithoutRootEverythingIsOutOfReach(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "unmounted")
	store := open(t, diskstore.Config{Root: root})
	ctx := t.Context()
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, track.ErrUnavailable) || errors.Is(err, track.ErrNotFound) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	_, err := store.OpenFile("a.flac")
	check("OpenFile", err)
	_, err = store.OpenFile(filepath.Join(root, "a.flac"))
	check("OpenFile of an absolute path", err)
	_, err = store.OpenFile("/elsewhere/a.flac")
	check("OpenFile of a path elsewhere", err)
	_, err = store.PlainPaths("a.flac")
	check("PlainPaths", err)
	_, err = store.OddPaths(func(func(string, error) bool) {})
	check("OddPaths", err)
	_, err = store.Head(ctx, "a.flac", "")
	check("Head", err)
	_, err = store.Open(ctx, "a.flac", "", 0, -1)
	check("Open", err)
	_, err = store.Create(ctx, track.ObjectSpec{Key: "a.flac"}, bytes.NewReader(nil))
	check("Create", err)
	_, err = store.CreateMultipart(ctx, "a.flac", "", nil)
	check("CreateMultipart", err)
	_, err = store.ListParts(ctx, "a.flac", track.NewID().String())
	check("ListParts", err)
	check("CreateFile", store.CreateFile("a.flac", func(*os.File) error { return nil }))
	check("RemoveFile", store.RemoveFile("a.flac"))
	check("Delete", store.Delete(ctx, "a.flac"))
	check("AbortMultipart", store.AbortMultipart(ctx, "a.flac", track.NewID().String()))
	for _, err := range store.List(ctx, "") {
		check("List", err)
	}
	for _, err := range store.ListMultiparts(ctx, "") {
		check("ListMultiparts", err)
	}
	if _, err := os.Lstat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the root was made: %v", err)
	}
}

// Whoever changes the disk removes what crashes left: a rollback that was killed may have
// been the last to write, and the sweep and purge-local only remove.
func TestOldTemporaryFilesGo(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*diskstore.Store) error{
		"at a writing": func(s *diskstore.Store) error { return s.CreateFile("a.flac", func(*os.File) error { return nil }) },
		"at a removal": func(s *diskstore.Store) error { return s.RemoveFile("b.flac") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			temps := filepath.Join(root, ".trackstore/tmp")
			write(t, filepath.Join(root, "b.flac"), "whole")
			write(t, filepath.Join(temps, "old"), "half a file")
			write(t, filepath.Join(temps, "old upload/part"), "a part")
			write(t, filepath.Join(temps, "young"), "somebody writes it")
			for _, name := range []string{"old", "old upload"} {
				yesterday := time.Now().Add(-25 * time.Hour)
				if err := os.Chtimes(filepath.Join(temps, name), yesterday, yesterday); err != nil {
					t.Fatal(err)
				}
			}
			store := open(t, diskstore.Config{Root: root})
			if err := change(store); err != nil {
				t.Fatal(err)
			}
			wantTemps(t, root, "young")
			for object, err := range store.List(t.Context(), "") {
				if err != nil || strings.HasPrefix(object.Key, ".trackstore") {
					t.Errorf("listed: %+v, %v", object, err)
				}
			}
		})
	}
}

// A crash between a part and the removal of what was sent for it before leaves both.
func TestThePartThatWasSentLastCounts(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	store := open(t, diskstore.Config{Root: root})
	const key = "uploads/a.flac"
	id, err := store.CreateMultipart(t.Context(), key, "audio/flac", nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, ".trackstore/multipart", id)
	var first string
	var firstContent []byte
	for _, content := range []string{"first", "second"} {
		part, err := store.SignPart(t.Context(), track.PartSpec{Key: key, MultipartID: id, Number: 1, TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if response, body := send(t, http.MethodPut, part.URL, nil, strings.NewReader(content)); response.StatusCode != http.StatusOK {
			t.Fatalf("answered %d %s", response.StatusCode, body)
		}
		if content == "first" {
			names, _ := filepath.Glob(dir + "/00001.*")
			first = names[0]
			firstContent, _ = os.ReadFile(first)
		}
	}
	if _, err := os.Stat(first); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the first sending is still there: %v", err)
	}
	write(t, first, string(firstContent))
	parts, err := store.ListParts(t.Context(), key, id)
	if err != nil || len(parts) != 1 || parts[0].Size != int64(len("second")) {
		t.Fatalf("got %+v, %v", parts, err)
	}
	if err := store.CompleteMultipart(t.Context(), key, id, 0, parts); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(filepath.Join(root, key)); string(content) != "second" {
		t.Errorf("got %q", content)
	}
	wantTemps(t, root)
}

func wantTemps(t *testing.T, root string, want ...string) {
	t.Helper()
	var got []string
	entries, _ := os.ReadDir(filepath.Join(root, ".trackstore/tmp"))
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("temporary files: %q, want %q", got, want)
	}
}

const (
	crashDir  = "TRACKSTORE_TEST_CRASH_DIR"
	crashSize = 1 << 20
)

// TestMain makes of the test program, where it is told so, a writer to be killed.
func TestMain(m *testing.M) {
	if root := os.Getenv(crashDir); root != "" {
		writeUntilKilled(root)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(root string) {
	store, err := diskstore.New(diskstore.Config{Root: root, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		panic(err)
	}
	fmt.Println("started")
	go func() {
		// The pipe closes with the test: a writer that outlived it would fill the disk.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	content := bytes.Repeat([]byte("x"), crashSize)
	for {
		ctx := context.Background()
		key := track.NewID().String()
		if err := store.CreateFile("files/"+key, func(f *os.File) error {
			_, err := f.Write(content)
			return err
		}); err != nil {
			panic(err)
		}
		id, err := store.CreateMultipart(ctx, "parts/"+key, "", nil)
		if err != nil {
			panic(err)
		}
		if err := store.AbortMultipart(ctx, "parts/"+key, id); err != nil {
			panic(err)
		}
	}
}

func TestAWriterThatIsKilledLeavesWholeFiles(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for round := range 10 {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), crashDir+"="+root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("started"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(10+7*round) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	store := open(t, diskstore.Config{Root: root})
	files := 0
	for object, err := range store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if files++; object.Size != crashSize {
			t.Errorf("%s has %d bytes", object.Key, object.Size)
		}
	}
	if files == 0 {
		t.Error("no file was written at all")
	}
	for m, err := range store.ListMultiparts(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if parts, err := store.ListParts(t.Context(), m.Key, m.ID); len(parts) != 0 || err != nil {
			t.Errorf("got %v, %v", parts, err)
		}
		if err := store.AbortMultipart(t.Context(), m.Key, m.ID); err != nil {
			t.Error(err)
		}
	}
}
