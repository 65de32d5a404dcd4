package migrate_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/internal/testenv"
	"trackstore/shared/audio"
	"trackstore/shared/diskstore"
	"trackstore/shared/migrate"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// BenchmarkMove moves files from memory-backed disk to the S3 server, with claims, checks
// and flips, and has other tools copy the same files to the same server in the same run.
// "limit" sends the same bytes from memory, with no disk, no database and no verification;
// "limit+HEAD" looks at each object besides, as whoever verifies must.
// Tools that are not installed are left out.
//
//	go test -run=^$ -bench=Move -benchtime=3x ./shared/migrate
func BenchmarkMove(b *testing.B) {
	for _, load := range []struct {
		files int
		size  int
	}{{5000, 64 << 10}, {80, 8 << 20}, {1, 1 << 30}} {
		b.Run(fmt.Sprintf("%dx%d", load.files, load.size), func(b *testing.B) { benchmarkMove(b, load.files, load.size) })
	}
}

func benchmarkMove(b *testing.B, files, size int) {
	dir, err := os.MkdirTemp("/dev/shm", "trackstore-bench-")
	if err != nil {
		b.Skip(err)
	}
	defer os.RemoveAll(dir)
	r := newRig(b)
	r.useRoot(dir)
	one := content(1, size)
	for i := range files {
		r.add(fmt.Sprintf("%02d/%d.wav", i%100, i), one)
	}
	r.Exec(`VACUUM ANALYZE`)

	var ours float64 // seconds
	measure := func(name string, run func(b *testing.B, bucket testenv.Bucket, round int) error) {
		b.Run(name, func(b *testing.B) {
			bucket := testenv.S3(b)
			b.ResetTimer()
			for round := range b.N {
				if err := run(b, bucket, round); err != nil {
					b.Fatal(err)
				}
			}
			seconds := b.Elapsed().Seconds() / float64(b.N)
			if name == "trackstore" {
				ours = seconds
			}
			b.ReportMetric(float64(files*size)/seconds/(1<<20), "MiB/s")
			b.ReportMetric(float64(files)/seconds, "files/s")
			b.ReportMetric(seconds/ours, "x-ours")
		})
	}
	measure("trackstore", func(b *testing.B, bucket testenv.Bucket, _ int) error {
		b.StopTimer()
		r.Exec(`UPDATE tracks SET storage_backend = 'local', storage_key = NULL, storage_version_id = NULL, file_version = file_version + 1 WHERE set_config('trackstore.writer', 'on', true) = 'on'`)
		r.Exec(`TRUNCATE track_migrations`)
		b.StartTimer()
		r.Bucket = bucket
		store := r.openS3(bucket.DirectEndpoint)
		upload := migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: store, Large: store, Sniff: audio.Detect})
		j := job()
		j.Lease = time.Minute
		s, err := runner(r.Store, upload).Run(b.Context(), j)
		if err == nil && s.Migrated != files {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	for _, limit := range []struct {
		name string
		head bool
	}{{"limit", false}, {"limit+HEAD", true}} {
		measure(limit.name, func(b *testing.B, bucket testenv.Bucket, _ int) error {
			r.Bucket = bucket
			return sendFromMemory(b.Context(), r.openS3(bucket.DirectEndpoint), one, files, limit.head)
		})
	}
	for _, name := range []string{"rclone", "aws", "mc", "s5cmd"} {
		path, err := exec.LookPath(name)
		if err != nil {
			b.Logf("%s is not installed", name)
			continue
		}
		measure(name, func(b *testing.B, bucket testenv.Bucket, round int) error {
			args, env := peer(name, dir, bucket, round)
			cmd := exec.CommandContext(b.Context(), path, args...)
			cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+b.TempDir())
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %.500s", err, out)
			}
			return nil
		})
	}
}

// sendFromMemory is as fast as it gets: PUTs to keys like ours, or parts of one object, and
// a HEAD of each object where that is asked for.
func sendFromMemory(ctx context.Context, store *s3store.Store, file []byte, files int, head bool) error {
	const part = 16 << 20
	sum := crcOf(file)
	key := func() string { return track.MigratedKey(track.NewID(), 1, 0, "limit.wav") }
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	if len(file) <= part {
		for range files {
			group.Go(func() error {
				key := key()
				_, err := store.Create(ctx, track.ObjectSpec{Key: key, ContentType: "audio/wav", Digest: track.Digest{Size: int64(len(file)), CRC64NVME: sum}}, bytes.NewReader(file))
				if err == nil && head {
					_, err = store.Head(ctx, key, "")
				}
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
	if err == nil && head {
		_, err = store.Head(ctx, large, "")
	}
	return err
}

// peer is the command line of a copy tool, and its environment.
func peer(name, dir string, bucket testenv.Bucket, round int) (args, env []string) {
	endpoint, target := bucket.DirectEndpoint, fmt.Sprintf("%s/%d", bucket.Name, round)
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
		return []string{"--endpoint-url", endpoint, "cp", dir + "/", "s3://" + target + "/"}, env
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
