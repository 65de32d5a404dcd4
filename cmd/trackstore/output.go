package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// output is standard output, or standard error. Where it cannot be written to, nobody hears what a command does, so the
// command is asked to end in good order: end is called with the error, once.
type output struct {
	io.Writer
	name string
	end  context.CancelCauseFunc

	mu  sync.Mutex
	err error
}

// Write is that of io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.err == nil {
			o.err = fmt.Errorf("cannot write to %s: %w", o.name, err)
			o.end(o.err)
		}
	}
	return n, err
}

// failure returns the first error of writing.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// settled is how a command ends that has returned err: what could not be written is said, for a success that nobody saw
// is none. A reader that had enough (| head) interrupts the command, and knows it.
func (o *output) settled(err error) error {
	failure := o.failure()
	switch {
	case failure == nil:
		return err
	case errors.Is(failure, syscall.EPIPE):
		return exitInterrupted
	}
	return failure
}
