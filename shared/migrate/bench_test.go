package migrate_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/bench/delay"
	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/shared/diskstore"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// BenchmarkMove has the command move files from memory-backed disk to the S3 server, with claims, checks and flips, and other
// copy tools copy the same files to the same server: in turns, each for as long as its whole command takes. "memory" only
// sends the same bytes, of no disk and with no database. Answers of the server are held back by a delay, and the last lines
// are a table: the median of the rounds, of what each took relative to ours in its round. Tools that are not installed are
// left out.
//
//	go test -run=^$ -bench=Move -benchtime=5x ./shared/migrate
//	go test -run=^$ -bench=Move/5000/30ms -benchtime=5x ./shared/migrate
func BenchmarkMove(b *testing.B) {
	program := buildProgram(b)
	var table [][]string
	for _, load := range []struct {
		files, size int
		delays      []time.Duration
		workers     []int // of s5cmd
	}{
		{5000, 64 << 10, []time.Duration{0, 10 * time.Millisecond, 30 * time.Millisecond, 80 * time.Millisecond}, []int{128, 256, 512}},
		{80, 8 << 20, []time.Duration{0, 30 * time.Millisecond}, []int{256}},
		{1, 1 << 30, []time.Duration{0, 30 * time.Millisecond}, []int{256}},
	} {
		b.Run(fmt.Sprintf("%dx%d", load.files, load.size), func(b *testing.B) {
			c := newContest(b, program, load.files, load.size)
			for _, by := range load.delays {
				b.Run(by.String(), func(b *testing.B) {
					all := c.contenders(b, load.workers)
					row := []string{fmt.Sprintf("%d × %d KiB", load.files, load.size>>10), by.String()}
					head := []string{"", "delay"}
					for i, ratio := range c.run(b, by, all) {
						head, row = append(head, all[i].name), append(row, ratio)
					}
					if table = append(table, row); len(table) == 1 {
						table = [][]string{head, row}
					}
				})
			}
		})
	}
	for _, row := range table {
		fmt.Println("| " + strings.Join(row, " | ") + " |")
	}
}

// contest is a disk of files that several tools copy, one after the other.
type contest struct {
	*crashes
	one   []byte // every file
	files int
}

func newContest(b *testing.B, program string, files, size int) *contest {
	dir, err := os.MkdirTemp("/dev/shm", "trackstore-bench-")
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	c := &contest{crashes: &crashes{rig: newRig(b), program: program}, one: append(audiotest.WAV(1, 1), content(1, size)...)[:size], files: files}
	c.useRoot(dir)
	for i := range files {
		c.rig.add(fmt.Sprintf("%02d/%d.wav", i%100, i), c.one)
	}
	return c
}

// contender copies the files to the server at an endpoint.
type contender struct {
	name string
	copy func(ctx context.Context, endpoint string) error
}

// contenders are all that can be measured here. Ours is the first.
func (c *contest) contenders(b *testing.B, workers []int) []contender {
	all := []contender{
		{"trackstore", func(context.Context, string) error { return nil }},
		{"memory", func(ctx context.Context, endpoint string) error {
			atOnce := 32
			if endpoint != c.Bucket.DirectEndpoint {
				atOnce = 256
			}
			return sendFromMemory(ctx, c.openS3(endpoint), c.one, c.files, atOnce)
		}},
	}
	all[0].copy = func(ctx context.Context, endpoint string) error {
		bucket := c.Bucket
		defer func() { c.Bucket = bucket }()
		c.Bucket.Endpoint = endpoint
		return run(exec.CommandContext(ctx, c.program, "migrate-storage", "run"), append(c.command().Env, "MIGRATE_LEASE=2m"))
	}
	for _, tool := range []string{"s5cmd", "rclone", "mc", "aws"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			b.Logf("%s is not installed", tool)
			continue
		}
		if tool != "s5cmd" {
			workers = []int{0}
		}
		for _, n := range workers {
			name := tool
			if n > 0 {
				name += " " + strconv.Itoa(n)
			}
			all = append(all, contender{name, func(ctx context.Context, endpoint string) error {
				args, env := peer(tool, c.Root, c.Bucket, endpoint, n)
				return run(exec.CommandContext(ctx, path, args...), append(env, "PATH="+os.Getenv("PATH"), "HOME="+b.TempDir()))
			}})
		}
	}
	return all
}

func run(cmd *exec.Cmd, env []string) error {
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %.500s", err, out)
	}
	return nil
}

// run measures all in turns, and returns the cells of the table.
func (c *contest) run(b *testing.B, by time.Duration, all []contender) []string {
	endpoint := c.Bucket.DirectEndpoint
	if by > 0 {
		distance, err := delay.New(endpoint, by)
		if err != nil {
			b.Fatal(err)
		}
		defer distance.Close()
		endpoint = distance.URL
	}
	took := make([][]float64, len(all)) // seconds
	ratios := make([][]float64, len(all))
	for b.Loop() {
		for i, one := range all {
			c.again()
			started := time.Now()
			if err := one.copy(b.Context(), endpoint); err != nil {
				b.Fatalf("%s: %v", one.name, err)
			}
			took[i] = append(took[i], time.Since(started).Seconds())
			ratios[i] = append(ratios[i], took[i][len(took[i])-1]/took[0][len(took[0])-1])
		}
	}
	b.ReportMetric(0, "ns/op")
	cells := make([]string, len(all))
	for i, one := range all {
		seconds := medianOf(took[i])
		b.ReportMetric(seconds, strings.ReplaceAll(one.name, " ", "-")+"-s")
		cells[i] = fmt.Sprintf("%.2f", medianOf(ratios[i]))
	}
	cells[0] = fmt.Sprintf("1 (%.2f s, %.0f files/s)", medianOf(took[0]), float64(c.files)/medianOf(took[0]))
	return cells
}

// again makes all tracks local, and the bucket empty.
func (c *contest) again() {
	for _, folder := range []string{"tracks", "peer"} {
		c.Bucket.Clear(c, folder)
	}
	c.Exec(`UPDATE tracks SET storage_backend = 'local', storage_key = NULL, storage_version_id = NULL, file_version = file_version + 1
		WHERE set_config('trackstore.writer', 'on', true) = 'on'`)
	c.Exec(`TRUNCATE track_migrations`)
	c.Exec(`VACUUM ANALYZE`)
}

func medianOf(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// sendFromMemory is as fast as it gets: PUTs to keys like ours, or parts of one object.
func sendFromMemory(ctx context.Context, store *s3store.Store, file []byte, files, atOnce int) error {
	const part = 16 << 20
	sum := crcOf(file)
	key := func() string { return track.MigratedKey(track.NewID(), 1, 0, "limit.wav") }
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	if len(file) <= part {
		for range files {
			group.Go(func() error {
				_, err := store.Create(ctx, track.ObjectSpec{Key: key(), ContentType: "audio/wav", Digest: track.Digest{Size: int64(len(file)), CRC64NVME: sum}}, bytes.NewReader(file))
				return err
			})
		}
		return group.Wait()
	}
	group.SetLimit(8)
	large := key()
	id, err := store.CreateLarge(ctx, large, "audio/wav")
	if err != nil {
		return err
	}
	parts := make([]track.Part, len(file)/part)
	for i := range parts {
		group.Go(func() (err error) {
			piece := file[i*part : (i+1)*part]
			parts[i], err = store.PutPart(ctx, track.NewPart{Key: large, MultipartID: id, Number: int32(i + 1), Digest: track.Digest{Size: part, CRC64NVME: crcOf(piece)}}, bytes.NewReader(piece))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // the group's ended with it
	_, err = store.CompleteLarge(ctx, track.ObjectSpec{Key: large, Digest: track.Digest{Size: int64(len(file)), CRC64NVME: sum}}, id, parts)
	return err
}

// peer is the command line of a copy tool, and its environment.
func peer(name, dir string, bucket testenv.Bucket, endpoint string, workers int) (args, env []string) {
	target := bucket.Name + "/peer"
	switch name {
	case "rclone":
		return []string{"copy", "--transfers", "32", dir, "l:" + target}, []string{
			"RCLONE_CONFIG_L_TYPE=s3", "RCLONE_CONFIG_L_PROVIDER=Other", "RCLONE_CONFIG_L_ENDPOINT=" + endpoint,
			"RCLONE_CONFIG_L_REGION=" + bucket.Region, "RCLONE_CONFIG_L_ACCESS_KEY_ID=" + bucket.AccessKey,
			"RCLONE_CONFIG_L_SECRET_ACCESS_KEY=" + bucket.SecretKey,
		}
	case "mc":
		return []string{"mirror", "--quiet", dir, "l/" + target}, []string{fmt.Sprintf("MC_HOST_l=http://%s:%s@%s",
			bucket.AccessKey, bucket.SecretKey, strings.TrimPrefix(endpoint, "http://"))}
	}
	env = []string{
		"AWS_REGION=" + bucket.Region, "AWS_ENDPOINT_URL_S3=" + endpoint,
		"AWS_ACCESS_KEY_ID=" + bucket.AccessKey, "AWS_SECRET_ACCESS_KEY=" + bucket.SecretKey,
	}
	if name == "s5cmd" {
		return []string{"--endpoint-url", endpoint, "--numworkers", strconv.Itoa(workers), "cp", dir + "/", "s3://" + target + "/"}, env
	}
	return []string{"s3", "cp", "--recursive", "--only-show-errors", dir, "s3://" + target}, env
}

// useRoot makes another folder the disk.
func (r *rig) useRoot(dir string) {
	r.Helper()
	var err error
	r.Root = dir
	if r.Disk, err = diskstore.New(diskstore.Config{Root: dir, Logger: quiet}); err != nil {
		r.Fatal(err)
	}
}
