package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// moveReport tells what a run or a rollback does: JSON lines, a bar on a terminal, or plain
// lines with now and then one of progress.
type moveReport struct {
	m    *migration
	json bool

	mu    sync.Mutex
	bar   *moveBar
	named map[track.ID]bool // failures that were reported already
	done  int64
	total int64
	sent  int64 // bytes that went by the network, also of tracks on their way
	moved int64 // bytes of tracks that are moved: those of some were there already
	fails int64
	since time.Time
	last  time.Time // of the last line of progress
}

func newMoveReport(m *migration, json bool) *moveReport {
	return &moveReport{m: m, json: json, named: map[track.ID]bool{}}
}

// trackEvent is a line of --json.
type trackEvent struct {
	Event      string   `json:"event"`
	TrackID    track.ID `json:"track_id"`
	State      string   `json:"state"`
	StorageKey string   `json:"storage_key"`
	Bytes      int64    `json:"bytes"`
	Error      string   `json:"error"`
}

func (r *moveReport) event(e trackEvent) {
	e.Event = "track"
	writeJSON(r.m.stdout, e)
}

func writeJSON(w io.Writer, line any) {
	b, err := json.Marshal(line)
	if err != nil {
		panic(err) // a struct of plain fields
	}
	_, _ = w.Write(append(b, '\n'))
}

// begin starts the progress.
func (r *moveReport) begin(total int64) {
	r.total, r.since, r.last = total, time.Now(), time.Now()
	if !r.json {
		r.bar = newMoveBar(r.m.stderr, total)
	}
}

func (r *moveReport) end() { r.bar.stop() }

// count counts bytes on their way, from several goroutines at once.
func (r *moveReport) count(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += bytes
	r.show()
}

func (r *moveReport) show() {
	v := r.volume()
	r.bar.moved(v.bytes, v.total)
}

// volume tells what was done. The total is as if the tracks that are left were as large as those that are done.
func (r *moveReport) volume() volume {
	v := volume{bytes: max(r.sent, r.moved), failures: r.fails}
	if r.done > 0 && r.done < r.total {
		v.total = int64(float64(r.moved) / float64(r.done) * float64(r.total))
	}
	return v
}

// Claimed is that of migrate.Observer.
func (r *moveReport) Claimed(int) {}

// Waiting is that of migrate.Observer.
func (r *moveReport) Waiting(leased int64) {
	if r.json {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bar.println(r.m.stdout, fmt.Sprintf("waiting for %s that another run holds; the leases of one that died run out within %s",
		english.Plural(int(leased), "track", ""), r.m.cfg.Migration.Lease))
}

// Settled is that of migrate.Observer.
func (r *moveReport) Settled(s migrate.Settlement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	event := trackEvent{TrackID: s.TrackID, State: string(s.Result.State()), StorageKey: s.StorageKey(), Bytes: s.Size(), Error: errorText(s.Err())}
	if s.Verdict != track.Settled {
		event.State, event.Bytes = string(s.Verdict), 0
	}
	failed := s.Verdict == track.Settled && s.Result.State().IsFailure()
	if failed {
		r.fails++
		r.bar.failed()
		r.named[s.TrackID] = true
	}
	r.done++
	r.moved += event.Bytes
	r.show()
	r.bar.track()
	switch {
	case r.json:
		r.event(event)
	case r.bar == nil && failed:
		r.m.say("%s  %s  %s: %s", s.TrackID, event.State, printable(s.FilePath), printable(event.Error))
	case r.bar == nil && time.Since(r.last) >= 5*time.Second:
		r.last = time.Now()
		r.m.say("%s", r.progress())
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// progress is a line such as: 1,200 of 10,000 tracks  2 failed  3.1 GiB of about 12 GiB  82 MiB/s  4m10s left.
func (r *moveReport) progress() string {
	elapsed := time.Since(r.since)
	left := "unknown time"
	if r.done > 0 {
		left = (elapsed * time.Duration(max(r.total-r.done, 0)) / time.Duration(r.done)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s of %s tracks  %s  %s left", humanize.Comma(r.done), humanize.Comma(r.total), volumeText(r.volume(), elapsed), left)
}

// skipped reports a track that is already where it was to go.
func (r *moveReport) skipped(id track.ID, backend string) {
	if r.json {
		r.event(trackEvent{TrackID: id, State: "skipped"})
		return
	}
	r.m.say("%s  is on %s already", id, backend)
}

// kept reports a track whose local copy stays.
func (r *moveReport) kept(id track.ID, why string) {
	if r.json {
		r.event(trackEvent{TrackID: id, State: "skipped", Error: why})
		return
	}
	r.m.say("%s  is left: %s", id, why)
}

// candidate reports what a run would find.
func (r *moveReport) candidate(c migrate.Inspection) {
	state, detail := "candidate", ""
	if c.Failure != nil {
		state, detail = string(c.Failure.Kind), c.Failure.Err.Error()
	}
	if r.json {
		r.event(trackEvent{TrackID: c.TrackID, State: state, StorageKey: c.Key(), Bytes: c.Size, Error: detail})
		return
	}
	r.m.say("%s  %s  %s  %s", c.TrackID, state, bytesText(c.Size), strings.TrimSpace(printable(c.FilePath)+"  "+printable(c.Key())))
}

// candidates sums up what a run would find.
func (r *moveReport) candidates(s migrate.Summary) {
	if r.json {
		r.summary(s)
		return
	}
	r.m.say("%s: %s with %s would be claimed; %s missing, %s would fail otherwise; nothing was changed", s.Direction,
		english.Plural(int(s.Remaining), "track", ""), bytesText(s.Bytes), humanize.Comma(int64(s.Missing)), humanize.Comma(int64(s.Failed)))
}

// failures names all failures that remain.
func (r *moveReport) failures(all []track.MigrationFailure) {
	if r.json {
		for _, f := range all {
			if !r.named[f.TrackID] {
				r.event(trackEvent{TrackID: f.TrackID, State: string(f.State), Error: f.Error})
			}
		}
		return
	}
	printFailures(r.m.stdout, all, len(all))
}

func (r *moveReport) summary(s migrate.Summary) {
	if r.json {
		writeJSON(r.m.stdout, struct {
			Event string `json:"event"`
			migrate.Summary
		}{"summary", s})
		return
	}
	rate := ""
	if s.Seconds > 0 && s.Bytes > 0 {
		rate = fmt.Sprintf(" (%s/s)", bytesText(int64(float64(s.Bytes)/s.Seconds)))
	}
	r.m.say("%s: %s claimed, %s migrated, %s missing, %s failed; %s in %s%s; %s remain", s.Direction,
		humanize.Comma(int64(s.Claimed)), humanize.Comma(int64(s.Migrated)), humanize.Comma(int64(s.Missing)),
		humanize.Comma(int64(s.Failed)), bytesText(s.Bytes),
		time.Duration(s.Seconds*float64(time.Second)).Round(time.Millisecond), rate, humanize.Comma(s.Remaining))
}

// printFailures writes a table of as many failures as most: a line each, and a second one where the error says more than the
// state, so that 80 columns hold it.
func printFailures(w io.Writer, all []track.MigrationFailure, most int) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s could not be moved:\n", english.Plural(len(all), "track", ""))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TRACK\tSTATE\tFILE")
	for _, f := range all[:most] {
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.TrackID, f.State, printable(f.FilePath))
		if f.State != track.Missing && f.State != track.Empty {
			fmt.Fprintf(table, "    %s\n", printable(f.Error)) // no cell: it widens no column
		}
	}
	_ = table.Flush()
	if more := len(all) - most; more > 0 {
		fmt.Fprintf(w, "… and %s more; status --json names all\n", humanize.Comma(int64(more)))
	}
	fmt.Fprintln(w)
}

// printable quotes what would upset a terminal or a table.
func printable(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return strconv.Quote(s)
	}
	return s
}

func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
