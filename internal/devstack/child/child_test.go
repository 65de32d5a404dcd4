package child_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"trackstore/internal/devstack/child"
)

func TestStopSendsTheSignal(t *testing.T) {
	t.Parallel()
	ready := make(chan struct{})
	p, err := child.Start(exec.Command("sh", "-c", "trap 'exit 3' INT; echo ready; while :; do sleep 0.01; done"),
		syscall.SIGKILL, onFirstWrite(func() { close(ready) }))
	if err != nil {
		t.Fatal(err)
	}
	<-ready
	if err := p.Stop(t.Context(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := p.Failure(); !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("ended with %v", err)
	}
	if err := p.Stop(t.Context(), syscall.SIGINT); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

// onFirstWrite is called with the first write, the only one that there must be.
type onFirstWrite func()

func (f onFirstWrite) Write(b []byte) (int, error) {
	f()
	return len(b), nil
}

func TestWhatDoesNotStopIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	alive, held, err := os.Pipe() // open for reading until the last process that holds it is gone
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "trap '' TERM; echo ready >&3; sleep 60; sleep 60")
	cmd.ExtraFiles = []*os.File{held}
	p, err := child.Start(cmd, syscall.SIGKILL, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	held.Close()
	if _, err := io.ReadFull(alive, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx, syscall.SIGTERM); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := io.ReadAll(alive); err != nil {
		t.Error(err)
	}
}

func TestFailureTellsTheLastWords(t *testing.T) {
	t.Parallel()
	p, err := child.Start(exec.Command("sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo no space left >&2; exit 7"), syscall.SIGKILL, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	message := p.Failure().Error()
	if !strings.Contains(message, "exit status 7") || !strings.HasSuffix(message, "no space left") || len(message) > 5000 {
		t.Errorf("%d bytes: …%s", len(message), message[max(0, len(message)-100):])
	}
}

func TestAMissingProgramIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := child.Start(exec.Command("/none/such"), syscall.SIGKILL, nil); err == nil {
		t.Error("started nothing")
	}
}

func TestFreePortIsFree(t *testing.T) {
	t.Parallel()
	var err error
	for range 5 { // another process may be faster
		var port int
		if port, err = child.FreePort(); err != nil {
			t.Fatal(err)
		}
		var l net.Listener
		if l, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}); err == nil {
			l.Close()
			return
		}
	}
	t.Error(err)
}
