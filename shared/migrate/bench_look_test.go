package migrate_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trackstore/internal/testenv/proxy"
	"trackstore/shared/track"
)

// BenchmarkLookMemory reports the peak of a real process's resident memory while it looks at many rows, files and objects.
// The files are one file by many names, and the rows on S3 name one object: what is counted is what a program keeps of
// each.
//
//	go test -run=^$ -bench=LookMemory/1000000 -benchtime=1x -timeout=2h ./shared/migrate
func BenchmarkLookMemory(b *testing.B) {
	program := buildProgram(b)
	for _, rows := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			r := newRig(b)
			dir, err := os.MkdirTemp("/dev/shm", "trackstore-bench-")
			if err != nil {
				b.Skip(err)
			}
			b.Cleanup(func() { os.RemoveAll(dir) })
			r.useRoot(dir)
			r.write("0.wav", content(1, 64))
			for i := 1; i < rows; i++ {
				if err := os.Link(filepath.Join(dir, "0.wav"), filepath.Join(dir, fmt.Sprintf("%d.wav", i))); err != nil {
					b.Fatal(err)
				}
			}
			r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path) SELECT gen_random_uuid(), gen_random_uuid(), 'x', n || '.wav'
				FROM generate_series(0, $1::int - 1) AS n`, rows)
			key := track.UploadKey(track.NewID(), track.NewID(), "x.wav")
			r.Put(track.S3, key, content(1, 64))
			r.Exec(`INSERT INTO tracks (id, creator_id, title, storage_backend, storage_key) SELECT gen_random_uuid(), gen_random_uuid(), 'x', 's3', $2
				FROM generate_series(1, $1::int) AS n`, rows, key)
			r.Exec(`ANALYZE`)
			c := &crashes{rig: r, program: program}
			for _, command := range []string{"audit", "verify"} {
				b.Run(command, func(b *testing.B) {
					b.ReportMetric(peakMemory(b, c.command("migrate-storage", command, "--json")), "peak-MiB")
					b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
					b.ReportMetric(0, "ns/op")
				})
			}
		})
	}
}

// BenchmarkCommands runs each command over the same 5,000 small files, with an S3 server whose answers are held back by
// 30 ms, and reports how many times as many tracks a second it does as run.
//
//	go test -run=^$ -bench=Commands -benchtime=1x ./shared/migrate
func BenchmarkCommands(b *testing.B) {
	const files = 5000
	program := buildProgram(b)
	dir, err := os.MkdirTemp("/dev/shm", "trackstore-bench-")
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	r := newRig(b)
	r.useRoot(dir)
	for i := range files {
		r.add(fmt.Sprintf("%02d/%d.wav", i%100, i), content(i, 64<<10))
	}
	r.Exec(`VACUUM ANALYZE`)
	far, endpoint := proxy.New(b, r.Bucket.DirectEndpoint)
	toxic := `{"name": "far", "type": "latency", "stream": "downstream", "toxicity": 1, "attributes": {"latency": 30}}`
	if _, err := far.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		b.Fatal(err)
	}
	r.Bucket.Endpoint = endpoint
	c := &crashes{rig: r, program: program}
	var moving float64
	for _, command := range [][]string{{"run"}, {"verify"}, {"rollback"}, {"run"}, {"purge-local", "--yes", "--grace=0s"}, {"rollback"}} {
		b.Run(command[0], func(b *testing.B) {
			cmd := c.command(append([]string{"migrate-storage"}, command...)...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			started := time.Now()
			if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
				b.Fatal(err)
			}
			seconds := time.Since(started).Seconds()
			if moving == 0 {
				moving = seconds
			}
			b.ReportMetric(files/seconds, "tracks/s")
			b.ReportMetric(moving/seconds, "x-run")
			b.ReportMetric(0, "ns/op")
			b.Logf("%s", bytes.TrimSpace(out.Bytes()[max(0, out.Len()-300):]))
		})
	}
}
