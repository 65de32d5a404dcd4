package migrate_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"trackstore/shared/migrate"
)

// A folder that the audit may not read, such as a disk's lost+found, is a finding, and
// everything else is compared.
func TestAuditGoesOnAfterAFolderThatItMayNotRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	must(t, os.Chmod(filepath.Dir(r.Root), 0o755))
	must(t, os.Mkdir(filepath.Join(r.Root, "lost+found"), 0))
	for _, path := range []string{"a/stray.wav", "z/stray.wav"} {
		r.write(path, []byte("x"))
	}
	r.add("named.wav", []byte("x"))
	kinds := map[string]int{}
	var audited migrate.Audited
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 { // who may read everything
			runtime.LockOSThread() // and never unlocked: the thread ends with this
			if err = syscall.Setfsuid(65534); err != nil {
				return
			}
		}
		audited, err = migrate.Auditor{Uses: r.Store, Files: r.Disk, Bucket: r.S3, Found: func(f migrate.Finding) { kinds[f.Kind+" "+f.Path]++ }}.Audit(t.Context(), time.Nanosecond)
	}()
	<-done
	if err != nil || audited.Files != 3 || audited.Findings != 3 || kinds[migrate.LocalUnreadable+" lost+found"] != 1 {
		t.Errorf("%+v, %v, %v", audited, kinds, err)
	}
}

// A file whose name is no text is one that no row can name.
func TestAuditOfAFileWhoseNameIsNoText(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("caf\xe9.wav", []byte("x"))
	r.write("caf\xe9/a.wav", []byte("x"))
	var found []string
	a, err := migrate.Auditor{Uses: r.Store, Files: r.Disk, Bucket: r.S3, Found: func(f migrate.Finding) { found = append(found, f.Kind+" "+f.Path) }}.Audit(t.Context(), time.Nanosecond)
	slices.Sort(found)
	if want := []string{migrate.FileWithoutRow + " caf\xe9.wav", migrate.FileWithoutRow + " caf\xe9/a.wav"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%+v, %q, %v", a, found, err)
	}
}
