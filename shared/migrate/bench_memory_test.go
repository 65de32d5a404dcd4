package migrate_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trackstore/bench/delay"
)

// BenchmarkMemory reports the peak of a real process's resident memory for files of different
// sizes. The files are sparse; what is sent is not. With the longest delay of answers MaxWorkers copies are under way.
//
//	go test -run=^$ -bench=Memory -benchtime=1x ./shared/migrate
func BenchmarkMemory(b *testing.B) {
	program := buildProgram(b)
	for _, load := range []struct {
		files int
		size  int64
		by    time.Duration
	}{{1, 5 << 30, 0}, {200, 64 << 20, 0}, {100_000, 16 << 10, 0}, {5000, 64 << 10, 80 * time.Millisecond}, {10_000, 64 << 10, 500 * time.Millisecond}} {
		b.Run(fmt.Sprintf("%dx%d/%s", load.files, load.size, load.by), func(b *testing.B) {
			var disk syscall.Statfs_t
			need := uint64(load.files)*uint64(load.size) + 4<<30
			if err := syscall.Statfs("/dev/shm", &disk); err != nil || disk.Bavail*uint64(disk.Bsize) < need {
				b.Skipf("the S3 server needs %d MiB in memory for this", need>>20)
			}
			dir, err := os.MkdirTemp("/dev/shm", "trackstore-bench-")
			if err != nil {
				b.Skip(err)
			}
			defer os.RemoveAll(dir)
			r := newRig(b)
			r.useRoot(dir)
			for i := range load.files {
				path := fmt.Sprintf("%d.wav", i)
				f, err := os.Create(filepath.Join(dir, path))
				if err != nil {
					b.Fatal(err)
				}
				// Not all the same, or they would all have one checksum.
				_, err = fmt.Fprint(f, i)
				if err == nil {
					err = f.Truncate(load.size)
				}
				if err = errors.Join(err, f.Close()); err != nil {
					b.Fatal(err)
				}
				r.insert(path)
			}
			c := &crashes{rig: r, program: program}
			if load.by > 0 {
				far, err := delay.New(r.Bucket.DirectEndpoint, load.by)
				if err != nil {
					b.Fatal(err)
				}
				defer far.Close()
				r.Bucket.Endpoint = far.URL
			}
			b.ResetTimer()
			b.ReportMetric(peakMemory(b, c.command("migrate-storage", "run", "--json")), "peak-MiB")
			b.ReportMetric(float64(load.size)*float64(load.files)/b.Elapsed().Seconds()/(1<<20), "MiB/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// peakMemory runs a command and returns the most memory it had resident, in MiB. rusage does
// not tell: there a process begins with the peak of the one that started it.
func peakMemory(b *testing.B, cmd *exec.Cmd) (peak float64) {
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)) // gone at the end
		if _, line, ok := strings.Cut(string(status), "VmHWM:"); ok {
			var kib float64
			if _, err := fmt.Sscanf(line, "%f kB", &kib); err != nil {
				b.Fatal(err)
			}
			peak = kib / 1024
		}
		select {
		case err := <-ended:
			if err != nil {
				b.Fatal(err)
			}
			return peak
		case <-time.After(20 * time.Millisecond):
		}
	}
}
