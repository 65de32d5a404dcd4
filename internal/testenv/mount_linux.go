package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Memory mounts a file system of so many bytes, in memory, at a folder of the test's own.
func Memory(t testing.TB, size string) string {
	t.Helper()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size="+size+",mode=755")
	return dir
}

// ReadOnly makes a folder read-only, by mounting it over itself, until undo is called or the test ends.
func ReadOnly(t testing.TB, dir string) (undo func()) {
	t.Helper()
	undo = Over(t, dir, dir)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal("read-only:", err)
	}
	return undo
}

// Over mounts a folder over another, which is hidden until undo is called or the test ends.
func Over(t testing.TB, from, over string) (undo func()) {
	t.Helper()
	return mount(t, from, over, "", syscall.MS_BIND, "")
}

// ExFAT mounts a file system that has no links, owners or modes at a folder of the test's own.
func ExFAT(t testing.TB) string {
	t.Helper()
	needRoot(t)
	for _, tool := range []string{"mkfs.exfat", "mount.exfat-fuse", "losetup"} {
		if _, err := exec.LookPath(tool); err != nil {
			Skip(t, err.Error()+" (packages exfatprogs, exfat-fuse)")
		}
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		Skip(t, err.Error())
	}
	image, dir := filepath.Join(t.TempDir(), "exfat"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.exfat", image)
	loop := strings.TrimSpace(command(t, "losetup", "--find", "--show", image))
	t.Cleanup(func() { command(t, "losetup", "--detach", loop) })
	command(t, "mount.exfat-fuse", loop, dir)
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

func mount(t testing.TB, from, at, kind string, flags uintptr, data string) (undo func()) {
	t.Helper()
	needRoot(t)
	if err := syscall.Mount(from, at, kind, flags, data); err != nil {
		t.Fatalf("mount %s at %s: %v", from, at, err)
	}
	done := false
	undo = func() {
		if !done {
			done = true
			unmount(t, at)
		}
	}
	t.Cleanup(undo)
	return undo
}

// unmount hides what is mounted at once; whoever has it open keeps it.
func unmount(t testing.TB, dir string) {
	t.Helper()
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
		t.Errorf("unmount %s: %v", dir, err)
	}
}

func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return string(out)
}

// needRoot skips a test where nothing may be mounted.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "only root may mount file systems")
	}
}
