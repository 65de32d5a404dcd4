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

// Plans is what a plan reads from the database. It changes nothing, and may be repeated.
type Plans interface {
	// Candidates yields the tracks that could be claimed now or when their lease is over, in the
	// order of their ids. It ends after an error.
	Candidates(ctx context.Context, d track.Direction, which track.Selection) iter.Seq2[track.Candidate, error]
	// Rate returns what earlier moves achieved in a second; both are 0 where there were none.
	Rate(ctx context.Context) (tracks, bytes float64, err error)
}

// Estimate is what a migration to S3 would move, and how long that would take.
type Estimate struct {
	Tracks      int64   `json:"tracks"` // that can move
	Bytes       int64   `json:"bytes"`  // of their files
	Missing     int64   `json:"missing"`
	Empty       int64   `json:"empty"`
	OutsideRoot int64   `json:"outside_root"`
	Unreadable  int64   `json:"-"` // or failing in another way
	Seconds     float64 `json:"estimated_seconds"`
}

// Plan looks at the file of every track that can be claimed, and opens each once. It writes nothing. The
// estimate is by the rate of earlier moves, else by that of reading some of the files.
func Plan(ctx context.Context, plans Plans, files Files, bucket Bucket) (Estimate, error) {
	if err := prove(ctx, files, bucket); err != nil {
		return Estimate{}, err
	}
	var e Estimate
	tracks, bytes, err := plans.Rate(ctx)
	if err != nil {
		return e, err
	}
	probe := &readProbe{Files: files}
	if bytes == 0 {
		files = probe
	}
	err = Inspect(ctx, plans.Candidates(ctx, track.ToS3, track.Selection{}), files, func(i Inspection) {
		switch {
		case i.Failure == nil:
			e.Tracks++
			e.Bytes += i.Size
		case i.Failure.Kind == track.Missing:
			e.Missing++
		case i.Failure.Kind == track.Empty:
			e.Empty++
		case i.Failure.Kind == track.OutsideRoot:
			e.OutsideRoot++
		default:
			e.Unreadable++
		}
	})
	if err != nil || e.Bytes == 0 {
		return e, err
	}
	if bytes > 0 {
		e.Seconds = max(float64(e.Tracks)/tracks, float64(e.Bytes)/bytes)
		return e, nil
	}
	e.Seconds = float64(e.Bytes) / probe.rate()
	return e, nil
}

// Inspection is what moving a track would meet.
type Inspection struct {
	track.Copies
	Size    int64          // bytes
	Failure *track.Failure // nil: it could be moved
}

// inspectedAtOnce is how many files Inspect has open.
const inspectedAtOnce = 16

// Inspect opens the files of tracks, several at once, and reports them one at a time.
func Inspect(
	ctx context.Context, candidates iter.Seq2[track.Candidate, error], files Files, report func(Inspection),
) error {
	var mu sync.Mutex
	group, inspecting := errgroup.WithContext(ctx)
	group.SetLimit(inspectedAtOnce)
	for candidate, err := range candidates {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			size, result, err := inspect(files, candidate.FilePath)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			inspection := Inspection{Copies: candidate.Copies, Size: size}
			if failure, failed := result.(track.Failure); failed {
				inspection.Failure = &failure
			}
			report(inspection)
			return nil
		})
		if inspecting.Err() != nil {
			break
		}
	}
	return errors.Join(group.Wait(), ctx.Err())
}

// inspect returns a file's size, or the failure of a track with that file.
func inspect(files Files, filePath string) (size int64, failed track.Result, err error) {
	file, err := files.OpenFile(filePath)
	if err != nil {
		failed, err := lasting(cannotOpen(err))
		return 0, failed, err
	}
	defer file.Close()
	id, err := file.Identity()
	switch {
	case err != nil:
		return 0, track.Failure{Kind: track.Unreadable, Err: err}, nil
	case id.Size == 0:
		return 0, track.Failure{Kind: track.Empty, Err: errEmpty}, nil
	}
	return id.Size, nil, nil
}

// readProbe measures how fast files are read: the first that are opened, one at a time.
type readProbe struct {
	Files

	mu    sync.Mutex
	read  int // files
	bytes int64
	took  time.Duration
}

// The probe reads some files, up to so many bytes.
const (
	probeFiles = 64
	probeBytes = 64 << 20
)

// OpenFile opens a file, and reads it if few were read before.
func (p *readProbe) OpenFile(filePath string) (track.File, error) {
	file, err := p.Files.OpenFile(filePath)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.read < probeFiles && p.bytes < probeBytes {
		started := time.Now()
		n, _ := io.Copy(io.Discard, io.NewSectionReader(file, 0, probeBytes-p.bytes))
		p.read, p.bytes, p.took = p.read+1, p.bytes+n, p.took+time.Since(started)
	}
	return file, nil
}

// rate is in bytes a second, at least 1.
func (p *readProbe) rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(float64(p.bytes)/p.took.Seconds(), 1)
}
