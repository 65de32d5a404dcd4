package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"trackstore/internal/testenv"
)

// onFaultyDisk returns moves of tracks whose disk fails where it is told to. It has proved who it is.
func onFaultyDisk(t *testing.T, tracks int) (moves, *testenv.Faulty) {
	t.Helper()
	m := newMoves(t, tracks)
	disk := testenv.FaultyDisk(t, m.value("TRACK_LOCAL_DIR"))
	m.exits(0, "", "migrate-storage", "audit")
	return m.with("TRACK_LOCAL_DIR", disk.Dir), disk
}

// noneFailed checks that no track is leased or has failed; its local copy may be purged.
func noneFailed(m moves, when string) {
	m.Helper()
	if n := m.count(`SELECT count(*) FROM track_migrations WHERE state <> 'migrated'`); n != 0 {
		m.Errorf("%s: %d tracks are leased or have failed", when, n)
	}
}

// What passes is waited for, and marks nobody: a network file system's server that is away for a moment, a bad cable, as
// many open files as there may be.
func TestDiskThatFailsForAMoment(t *testing.T) {
	t.Parallel()
	for op, errnos := range map[string][]syscall.Errno{
		testenv.OpRead: {syscall.ESTALE, syscall.ETIMEDOUT, syscall.EIO, syscall.EMFILE, syscall.ENFILE},
		testenv.OpOpen: {syscall.ESTALE, syscall.ETIMEDOUT, syscall.EIO, syscall.EACCES, syscall.EMFILE},
	} {
		for _, errno := range errnos {
			t.Run(fmt.Sprint(op, " ", errno), func(t *testing.T) {
				t.Parallel()
				m, disk := onFaultyDisk(t, 3)
				disk.Fail(op, ".wav", errno, 2)
				m.exits(0, "", "migrate-storage", "run", "--workers", "1")
				m.unmarked("after two failures")
				if on, hits := m.on("s3"), disk.Hits(op); on != 3 || hits != 2 {
					t.Errorf("%d tracks are on S3, %d calls failed", on, hits)
				}
			})
		}
	}
	for op, errnos := range map[string][]syscall.Errno{
		testenv.OpWrite: {syscall.ESTALE, syscall.EIO}, testenv.OpSync: {syscall.ETIMEDOUT, syscall.EIO},
		testenv.OpLink: {syscall.ESTALE, syscall.EIO, syscall.EACCES}, testenv.OpCreate: {syscall.EIO, syscall.EMFILE},
	} {
		for _, errno := range errnos {
			t.Run(fmt.Sprint(op, " ", errno), func(t *testing.T) {
				t.Parallel()
				m, disk := onFaultyDisk(t, 3)
				m.exits(0, "", "migrate-storage", "run")
				m.exits(0, "", "migrate-storage", "purge-local", "--yes", "--grace", "0s")
				at, times := "", 1 // the trial write at the beginning, or a file
				if op == testenv.OpLink {
					at, times = ".wav", 2
				}
				disk.Fail(op, at, errno, times)
				if out, err := command(t, m.env, "migrate-storage", "rollback").CombinedOutput(); err != nil {
					noneFailed(m, string(out)) // the trial met it
					m.exits(0, "", "migrate-storage", "rollback")
				}
				noneFailed(m, "after a failure")
				if on, hits := m.on("local"), disk.Hits(op); on != 3 || hits != times {
					t.Errorf("%d tracks are back, %d calls failed", on, hits)
				}
			})
		}
	}
}

// A local copy that cannot be read for a moment is still the track: no second one is made beside it.
func TestRollbackKeepsACopyThatIsReadAtTheSecondTry(t *testing.T) {
	t.Parallel()
	for _, op := range []string{testenv.OpOpen, testenv.OpRead} {
		for _, errno := range []syscall.Errno{syscall.EIO, syscall.ESTALE} {
			t.Run(fmt.Sprint(op, " ", errno), func(t *testing.T) {
				t.Parallel()
				m, disk := onFaultyDisk(t, 2)
				m.exits(0, "", "migrate-storage", "run")
				disk.Fail(op, ".wav", errno, 2)
				m.exits(0, "", "migrate-storage", "rollback", "--workers", "1")
				if on, files, hits := m.on("local"), m.files(disk.Dir), disk.Hits(op); on != 2 || files != 2 || hits != 2 {
					t.Errorf("%d tracks are back, in %d files; %d calls failed", on, files, hits)
				}
			})
		}
	}
}

// A quota that is used up in the middle of a rollback is the disk's.
func TestRollbackOverAQuota(t *testing.T) {
	t.Parallel()
	m, disk := onFaultyDisk(t, 5)
	m.exits(0, "", "migrate-storage", "run")
	m.exits(0, "", "migrate-storage", "purge-local", "--yes", "--grace", "0s")
	disk.Fail(testenv.OpLink, ".wav", syscall.EDQUOT, 100)
	m.exits(1, "quota", "migrate-storage", "rollback")
	noneFailed(m, "over quota")
	disk.Fail(testenv.OpLink, "", syscall.EDQUOT, 0)
	m.exits(0, "", "migrate-storage", "rollback")
	if on := m.on("local"); on != 5 {
		t.Errorf("%d tracks are back", on)
	}
}

// A process that may not open more files has no failed tracks: it ends, and says what to do.
func TestTooManyOpenFiles(t *testing.T) {
	t.Parallel()
	m := newMoves(t, 12)
	run := command(t, m.env, "migrate-storage", "run")
	said := 0
	for files := 11; files < 60; files += 3 { // the test's binary starts with ten
		limited := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files), run.Path, "migrate-storage", "run", "--workers", "8")
		limited.Env = run.Env
		out, err := limited.CombinedOutput()
		if code := limited.ProcessState.ExitCode(); code == 1 && strings.Contains(string(out), "too many open files: raise ulimit -n") {
			said++
		} else if code != 0 && !strings.Contains(string(out), "fatal error") { // Go's own start
			t.Errorf("with %d files: %v, %s", files, err, out)
		}
		m.unmarked(fmt.Sprintf("with %d files", files))
		if err == nil {
			break
		}
	}
	if said == 0 {
		t.Error("no limit was met")
	}
	m.exits(0, "", "migrate-storage", "run")
}

// A read that never comes back, as of a dead NFS server, keeps nobody from ending a command: by Ctrl-C, by a signal, or by
// closing what it writes to.
func TestStopWhileADiskHangs(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]struct {
		args   []string
		signal syscall.Signal // 0: nobody reads its output
	}{
		"Ctrl-C":  {[]string{"run"}, syscall.SIGINT},
		"SIGTERM": {[]string{"run"}, syscall.SIGTERM},
		"SIGHUP":  {[]string{"run"}, syscall.SIGHUP},
		"| head":  {[]string{"run", "--json"}, 0},
		"verify":  {[]string{"verify"}, syscall.SIGINT},
		"purge":   {[]string{"purge-local", "--yes", "--grace", "0s"}, syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, disk := onFaultyDisk(t, 4)
			if stop.args[0] != "run" {
				m.exits(0, "", "migrate-storage", "run")
			}
			disk.Fail(testenv.OpRead, "3.wav", 0, 1000)
			cmd := command(t, m.env, append([]string{"migrate-storage"}, stop.args...)...)
			var said strings.Builder
			cmd.Stderr = &said
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			if cmd.Stdout = writer; stop.signal == 0 {
				reader.Close()
			} else {
				defer reader.Close()
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			writer.Close()
			eventually(t, "a read hangs", func() bool { return disk.Hits(testenv.OpRead) > 0 })
			asked := time.Now()
			if stop.signal != 0 {
				_ = cmd.Process.Signal(stop.signal)
			}
			_ = cmd.Wait()
			took := time.Since(asked)
			t.Logf("it ended within %s", took.Round(time.Millisecond))
			if code := cmd.ProcessState.ExitCode(); code != 3 || took > 30*time.Second || !strings.Contains(said.String(), "stopping") {
				t.Errorf("exit code %d after %s: %s", code, took, said.String())
			}
			m.unmarked("after it was stopped") // nothing is leased, either
			disk.Fail(testenv.OpRead, "", 0, 0)
			m.exits(0, "", "migrate-storage", "run")
			m.exits(0, "", "migrate-storage", "verify")
		})
	}
}

// The second signal ends a command at once, also where a read hangs.
func TestSecondSignalWhileADiskHangs(t *testing.T) {
	t.Parallel()
	m, disk := onFaultyDisk(t, 2)
	disk.Fail(testenv.OpRead, ".wav", 0, 1000)
	cmd := command(t, m.env, "migrate-storage", "run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a read hangs", func() bool { return disk.Hits(testenv.OpRead) > 0 })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	eventually(t, "it ends", func() bool {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by itself, with exit code %d", status.ExitStatus())
	}
}
