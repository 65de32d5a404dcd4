package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"trackstore/shared/track"
)

// uploadResult is a line of --json.
type uploadResult struct {
	Event    string            `json:"event"`
	File     string            `json:"file"`
	UploadID string            `json:"upload_id,omitempty"`
	TrackID  string            `json:"track_id,omitempty"`
	State    track.UploadState `json:"state,omitempty"`
	Reason   track.Reason      `json:"reason,omitempty"`
	Bytes    int64             `json:"bytes"`
	Error    string            `json:"error,omitempty"`

	unreachable bool
}

// uploadOutput writes results as they come, from several goroutines.
type uploadOutput struct {
	console *console
	json    bool
	bars    *bars
	start   time.Time

	mu                          sync.Mutex
	stored, failed, unreachable int
	bytes                       int64
	waited                      time.Time // when it was last said that something does not answer
}

func newUploadOutput(c *console, asJSON bool) *uploadOutput {
	o := &uploadOutput{console: c, json: asJSON, start: time.Now()}
	if !asJSON {
		o.bars = newBars(c.stderr)
	}
	return o
}

// progress shows a bar for a file until done is called.
func (o *uploadOutput) progress(name string, size int64) (add func(int64), done func()) {
	return o.bars.add(printable(name), size)
}

// waiting says, once a minute, why nothing goes on.
func (o *uploadOutput) waiting(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.waited) < time.Minute {
		return
	}
	o.waited = time.Now()
	o.bars.println(o.console.stderr, "trying again: "+printable(err.Error()))
}

func (o *uploadOutput) result(r uploadResult) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.Error == "" {
		o.stored++
		o.bytes += r.Bytes
	} else {
		o.failed++
	}
	if r.unreachable {
		o.unreachable++
	}
	switch {
	case o.json:
		_ = json.NewEncoder(o.console.stdout).Encode(r)
	case r.Error == "":
		o.bars.println(o.console.stdout, fmt.Sprintf("stored  %s → track %s", printable(r.File), r.TrackID))
	default:
		o.bars.println(o.console.stderr, fmt.Sprintf("failed  %s: %s", printable(r.File), printable(r.Error)))
	}
}

// close writes the summary and gives the exit code.
func (o *uploadOutput) close(ctx context.Context) error {
	o.bars.wait()
	seconds := time.Since(o.start).Seconds()
	if o.json {
		_ = json.NewEncoder(o.console.stdout).Encode(map[string]any{
			"event": "summary", "stored": o.stored, "failed": o.failed, "bytes": o.bytes, "seconds": seconds,
		})
	} else {
		fmt.Fprintf(o.console.stderr, "%d stored, %d failed, %s in %.1f s\n", o.stored, o.failed, bytesText(o.bytes), seconds)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(o.console.stderr, "interrupted; the same command goes on where it stopped")
		return exitCode(3)
	case o.unreachable > 0 && o.stored == 0:
		return exitCode(1)
	case o.failed > 0:
		return exitCode(2)
	}
	return nil
}
