// Package child runs a server program as a child that does not outlive its parent.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a running child.
type Process struct {
	cmd    *exec.Cmd
	tail   *tail
	exited chan struct{}
	err    error // valid once exited is closed
}

// Start starts cmd, which must not be started yet; its output goes to log (nil: nowhere).
//
// The child leads a process group of its own, so that a Ctrl-C at the terminal reaches the parent alone, which then
// stops its children in the right order. On Linux the kernel sends it onParentDeath when the parent is gone, however
// it died; elsewhere a child outlives a parent that is killed with SIGKILL.
func Start(cmd *exec.Cmd, onParentDeath syscall.Signal, log io.Writer) (*Process, error) {
	p := &Process{cmd: cmd, tail: &tail{log: log}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.tail, p.tail
	cmd.WaitDelay = 2 * time.Second // a grandchild may hold the output open
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr, onParentDeath)

	started := make(chan error)
	go func() {
		// The signal is bound to the thread that forks, not to the process: keep that thread until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the child is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Failure describes the end of a child that should have gone on: its exit status and the last lines it wrote.
// It must be called only after Exited.
func (p *Process) Failure() error {
	status := "exit status 0"
	if p.err != nil {
		status = p.err.Error()
	}
	return fmt.Errorf("%s ended: %s: %s", p.cmd.Args[0], status, p.tail)
}

// Stop sends sig and waits for the end of the child. When ctx is done first, the child is killed, and the error of
// ctx is returned. Stopping a child that is already gone does nothing.
func (p *Process) Stop(ctx context.Context, sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		<-p.exited // the only reason is that it was gone before
		return nil
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
	}
	// The group, for what the child started itself.
	killErr := syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.exited
	return errors.Join(fmt.Errorf("%s did not stop in time and was killed: %w", p.cmd.Args[0], ctx.Err()), killErr)
}

// tail passes everything on to log and keeps the last few hundred bytes for an error message.
type tail struct {
	log io.Writer

	mu   sync.Mutex
	last []byte
}

const tailSize = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.last = append(t.last, b...)
	if extra := len(t.last) - tailSize; extra > 0 {
		t.last = append(t.last[:0], t.last[extra:]...)
	}
	t.mu.Unlock()
	if t.log != nil {
		// A log that cannot be written must not stop the server.
		_, _ = t.log.Write(b)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(t.last, nil)))
}
