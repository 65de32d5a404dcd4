package testenv

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Operations of a Faulty disk that can fail, or hang.
const (
	OpOpen   = "open"
	OpRead   = "read"
	OpCreate = "create"
	OpWrite  = "write"
	OpSync   = "fsync"
	OpLink   = "link"
	OpUnlink = "unlink"
)

// Faulty is a file system that shows a folder, and fails where it is told to. It stands for a network file system that has
// lost its server, and for a disk that is going bad.
type Faulty struct {
	Dir string // where it is mounted

	mu     sync.Mutex
	faults map[string]*fault // by operation
	closed chan struct{}
}

type fault struct {
	suffix     string
	errno      syscall.Errno
	left, hits int
}

// FaultyDisk mounts a file system over a folder at another one of the test's own.
func FaultyDisk(t testing.TB, dir string) *Faulty {
	t.Helper()
	needRoot(t)
	f := &Faulty{Dir: t.TempDir(), faults: map[string]*fault{}, closed: make(chan struct{})}
	data := &fs.LoopbackRoot{Path: dir}
	//nolint:staticcheck // what replaces it gives each node a loopback node of its own, which is then wrapped
	data.NewNode = func(data *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &faultyNode{LoopbackNode: fs.LoopbackNode{RootData: data}, disk: f}
	}
	top := &faultyNode{LoopbackNode: fs.LoopbackNode{RootData: data}, disk: f}
	data.RootNode = top
	server, err := fs.Mount(f.Dir, top, &fs.Options{MountOptions: fuse.MountOptions{
		FsName: "faulty", Name: "faulty", DirectMountStrict: true, DirectMountFlags: syscall.MS_NODEV, AllowOther: true,
	}})
	if err != nil {
		Skip(t, "no file system in user space can be mounted: "+err.Error())
	}
	t.Cleanup(func() {
		close(f.closed)
		unmount(t, f.Dir)
		unmounted := make(chan struct{})
		go func() {
			defer close(unmounted)
			server.Wait()
		}()
		select { // a mount lives on in the namespaces that others made meanwhile; at the latest it ends with this process
		case <-unmounted:
		case <-time.After(5 * time.Second):
		}
	})
	return f
}

// Fail lets the next calls of an operation fail that are done to files whose names end so. Without an errno they hang until
// their caller is interrupted, and hang again when it asks again, as on a mount that has lost its server.
func (f *Faulty) Fail(op, suffix string, errno syscall.Errno, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[op] = &fault{suffix, errno, times, 0}
}

// Hits returns how many calls of an operation have failed since Fail.
func (f *Faulty) Hits(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.faults[op].hits
}

// hit returns how a call fails, if it does.
func (f *Faulty) hit(ctx context.Context, op, name string) syscall.Errno {
	f.mu.Lock()
	fault := f.faults[op]
	if fault == nil || fault.left == 0 || !strings.HasSuffix(name, fault.suffix) {
		f.mu.Unlock()
		return 0
	}
	fault.left--
	fault.hits++
	f.mu.Unlock()
	if fault.errno != 0 {
		return fault.errno
	}
	select {
	case <-ctx.Done():
		f.mu.Lock()
		fault.left++
		f.mu.Unlock()
		return syscall.EINTR
	case <-f.closed:
		return syscall.EIO
	}
}

// faultyNode is a file or a folder of it.
type faultyNode struct {
	fs.LoopbackNode
	disk *Faulty
}

// Open is that of fs.NodeOpener.
func (n *faultyNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.hit(ctx, OpOpen, n.Path(nil)); errno != 0 {
		return nil, 0, errno
	}
	file, flags, errno := n.LoopbackNode.Open(ctx, flags)
	return file, flags | fuse.FOPEN_DIRECT_IO, errno // no cache, no reading ahead
}

// Create is that of fs.NodeCreater.
func (n *faultyNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.hit(ctx, OpCreate, name); errno != 0 {
		return nil, nil, 0, errno
	}
	inode, file, flags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return inode, file, flags | fuse.FOPEN_DIRECT_IO, errno
}

// Read is that of fs.NodeReader.
func (n *faultyNode) Read(ctx context.Context, file fs.FileHandle, dest []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	if errno := n.disk.hit(ctx, OpRead, n.Path(nil)); errno != 0 {
		return nil, errno
	}
	return file.(fs.FileReader).Read(ctx, dest, offset)
}

// Write is that of fs.NodeWriter.
func (n *faultyNode) Write(ctx context.Context, file fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if errno := n.disk.hit(ctx, OpWrite, n.Path(nil)); errno != 0 {
		return 0, errno
	}
	return file.(fs.FileWriter).Write(ctx, data, offset)
}

// Fsync is that of fs.NodeFsyncer.
func (n *faultyNode) Fsync(ctx context.Context, file fs.FileHandle, flags uint32) syscall.Errno {
	if errno := n.disk.hit(ctx, OpSync, n.Path(nil)); errno != 0 {
		return errno
	}
	if syncer, ok := file.(fs.FileFsyncer); ok {
		return syncer.Fsync(ctx, flags)
	}
	return 0 // a folder
}

// Link is that of fs.NodeLinker.
func (n *faultyNode) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.disk.hit(ctx, OpLink, name); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

// Unlink is that of fs.NodeUnlinker.
func (n *faultyNode) Unlink(ctx context.Context, name string) syscall.Errno {
	if errno := n.disk.hit(ctx, OpUnlink, name); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Unlink(ctx, name)
}
