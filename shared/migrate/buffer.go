package migrate

import (
	"context"
	"io"
	"sync"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/semaphore"
)

const (
	chunkSize = 64 << 10
	// bufferBudget is what all copies of a process buffer at once, in bytes.
	bufferBudget = 96 << 20
)

// MemoryLimit is for debug.SetMemoryLimit, in bytes: the buffers and what the program itself
// needs fit in, and the garbage beside them is collected in time.
const MemoryLimit = 192 << 20

// buffers lends memory out, bufferBudget bytes at most. It comes in chunks of one size, so
// that what one file gave back fits any other.
type buffers struct {
	left *semaphore.Weighted // in chunks

	mu   sync.Mutex
	free [][]byte
}

func newBuffers() *buffers {
	return &buffers{left: semaphore.NewWeighted(bufferBudget / chunkSize)}
}

// buffer holds the bytes of one file, or of a piece of it.
type buffer struct {
	from   *buffers
	chunks [][]byte
	size   int64 // bytes
}

// get waits until size bytes are to be had.
func (b *buffers) get(ctx context.Context, size int64) (*buffer, error) {
	n := (size + chunkSize - 1) / chunkSize
	if err := b.left.Acquire(ctx, n); err != nil {
		return nil, err
	}
	buf := &buffer{from: b, size: size}
	b.mu.Lock()
	defer b.mu.Unlock()
	for range n {
		if last := len(b.free) - 1; last >= 0 {
			buf.chunks = append(buf.chunks, b.free[last])
			b.free = b.free[:last]
		} else {
			buf.chunks = append(buf.chunks, make([]byte, chunkSize))
		}
	}
	return buf, nil
}

// put gives the memory back.
func (b *buffer) put() {
	b.from.mu.Lock()
	b.from.free = append(b.from.free, b.chunks...)
	b.from.mu.Unlock()
	b.from.left.Release(int64(len(b.chunks)))
	b.chunks = nil
}

// fill reads the buffer's size from offset on, and returns crc updated with these bytes.
// Fewer bytes are io.ErrUnexpectedEOF.
func (b *buffer) fill(src io.ReaderAt, offset int64, crc uint64) (uint64, error) {
	for i := range b.chunks {
		piece := b.chunk(i)
		n, err := src.ReadAt(piece, offset)
		if n < len(piece) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		crc = crc64nvme.Update(crc, piece)
		offset += int64(n)
	}
	return crc, nil
}

// chunk returns the bytes of one chunk that belong to the buffer's content.
func (b *buffer) chunk(i int) []byte {
	return b.chunks[i][:max(0, min(chunkSize, b.size-int64(i)*chunkSize))]
}

// ReadAt is that of io.ReaderAt.
func (b *buffer) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		if offset >= b.size {
			return n, io.EOF
		}
		copied := copy(p[n:], b.chunk(int(offset / chunkSize))[offset%chunkSize:])
		n, offset = n+copied, offset+int64(copied)
	}
	return n, nil
}
