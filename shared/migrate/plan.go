package migrate

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

// Candidates lists what could be claimed.
type Candidates interface {
	Candidates(ctx context.Context, d track.Direction, ids []track.ID, uploaded bool) iter.Seq2[track.Lease, error]
}

// Plans is what a plan reads from the database.
type Plans interface {
	Candidates
	Rate(ctx context.Context) (tracks, bytes float64, err error)
}

// Estimate is what a migration to S3 would move, and how long that would take.
type Estimate struct {
	Tracks      int64   `json:"tracks"` // that can be claimed
	Bytes       int64   `json:"bytes"`  // of their files
	Missing     int64   `json:"missing"`
	Empty       int64   `json:"empty"`
	OutsideRoot int64   `json:"outside_root"`
	Seconds     float64 `json:"estimated_seconds"`
}

// Plan looks at the file of every track that can be claimed. It writes nothing. The
// estimate is by the rate of earlier moves, else by that of reading some of the files.
func Plan(ctx context.Context, plans Plans, files Files) (Estimate, error) {
	if _, err := files.OpenFile("."); errors.Is(err, track.ErrUnavailable) {
		return Estimate{}, err
	}
	var e Estimate
	probe := &readProbe{files: files}
	err := Inspect(ctx, plans.Candidates(ctx, track.ToS3, nil, false), files, func(l track.Lease, size int64, failed track.MigrationState, _ error) {
		e.Tracks++
		e.Bytes += size
		switch failed {
		case "":
			probe.offer(l.FilePath)
		case track.Missing:
			e.Missing++
		case track.Empty:
			e.Empty++
		case track.OutsideRoot:
			e.OutsideRoot++
		}
	})
	if err != nil || e.Bytes == 0 {
		return e, err
	}
	tracks, bytes, err := plans.Rate(ctx)
	if err != nil {
		return e, err
	}
	if bytes > 0 {
		e.Seconds = max(float64(e.Tracks)/tracks, float64(e.Bytes)/bytes)
		return e, nil
	}
	e.Seconds = float64(e.Bytes) / probe.rate()
	return e, nil
}

// Inspect opens the files of tracks, several at once, and reports, one at a time, what
// moving each would meet: its size in bytes, or the failure.
func Inspect(
	ctx context.Context, leases iter.Seq2[track.Lease, error], files Files,
	report func(l track.Lease, size int64, failed track.MigrationState, err error),
) error {
	var mu sync.Mutex
	group, inspecting := errgroup.WithContext(ctx)
	group.SetLimit(firstSlots)
	for lease, err := range leases {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			size, failed, err := inspect(files, lease)
			if failed == "" && err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			report(lease, size, failed, err)
			return nil
		})
		if inspecting.Err() != nil {
			break
		}
	}
	return errors.Join(group.Wait(), ctx.Err())
}

func inspect(files Files, lease track.Lease) (size int64, failed track.MigrationState, err error) {
	file, err := files.OpenFile(lease.FilePath)
	if err != nil {
		outcome, err := cannotOpen(lease, err)
		if err == nil {
			err = errors.New(outcome.Error)
		}
		return 0, outcome.State, err
	}
	defer file.Close()
	id, err := file.Identity()
	switch {
	case err != nil:
		return 0, track.Unreadable, err
	case id.Size == 0:
		return 0, track.Empty, errEmpty
	}
	return id.Size, "", nil
}

// readProbe measures how fast files are read.
type readProbe struct {
	files Files
	paths []string
}

// The probe reads some files, up to so many bytes.
const (
	probeFiles = 64
	probeBytes = 64 << 20
)

func (p *readProbe) offer(path string) {
	if len(p.paths) < probeFiles {
		p.paths = append(p.paths, path)
	}
}

// rate is in bytes a second, at least 1.
func (p *readProbe) rate() float64 {
	started, total := time.Now(), int64(0)
	for _, path := range p.paths {
		file, err := p.files.OpenFile(path)
		if err != nil {
			continue
		}
		n, _ := io.Copy(io.Discard, io.NewSectionReader(file, 0, probeBytes-total))
		file.Close()
		if total += n; total >= probeBytes {
			break
		}
	}
	return max(float64(total)/time.Since(started).Seconds(), 1)
}
