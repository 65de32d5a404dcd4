package migrate

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// bandwidth limits the bytes that a process sends or fetches. The nil one does not.
type bandwidth struct{ limiter *rate.Limiter }

// newBandwidth limits to so many bytes a second; 0 is no limit.
func newBandwidth(bytesPerSecond int64) *bandwidth {
	if bytesPerSecond <= 0 {
		return nil
	}
	// A tenth of a second at once, and at least what one read asks for.
	burst := max(int(bytesPerSecond/10), 64<<10)
	return &bandwidth{rate.NewLimiter(rate.Limit(bytesPerSecond), burst)}
}

func (b *bandwidth) wait(ctx context.Context, n int) error {
	for n > 0 {
		step := min(n, b.limiter.Burst())
		if err := b.limiter.WaitN(ctx, step); err != nil {
			return err
		}
		n -= step
	}
	return nil
}

// readerAt returns r, slowed down.
func (b *bandwidth) readerAt(ctx context.Context, r io.ReaderAt) io.ReaderAt {
	if b == nil {
		return r
	}
	return slowReaderAt{ctx, b, r}
}

// reader returns r, slowed down.
func (b *bandwidth) reader(ctx context.Context, r io.Reader) io.Reader {
	if b == nil {
		return r
	}
	return slowReader{ctx, b, r}
}

type slowReaderAt struct {
	ctx context.Context
	*bandwidth
	r io.ReaderAt
}

func (s slowReaderAt) ReadAt(p []byte, offset int64) (int, error) {
	if err := s.wait(s.ctx, len(p)); err != nil {
		return 0, err
	}
	return s.r.ReadAt(p, offset)
}

type slowReader struct {
	ctx context.Context
	*bandwidth
	r io.Reader
}

func (s slowReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if waitErr := s.wait(s.ctx, n); waitErr != nil {
		return n, waitErr
	}
	return n, err
}
