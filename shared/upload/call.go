package upload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"trackstore/shared/track"
)

// requestIDHeader names a request in the log and to the client. A proxy in front may
// have set it.
const requestIDHeader = "X-Request-Id"

// call is a request being answered: its ResponseWriter, which collects what the log is
// to say of it.
type call struct {
	http.ResponseWriter
	started time.Time
	status  int
	attrs   []slog.Attr
}

type callKey struct{}

func newCall(w http.ResponseWriter, r *http.Request) (*call, *http.Request) {
	id := r.Header.Get(requestIDHeader)
	if id == "" || len(id) > 100 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		id = track.NewID().String()
	}
	w.Header().Set(requestIDHeader, id)
	c := &call{ResponseWriter: w, started: time.Now(), attrs: []slog.Attr{slog.String("request_id", id)}}
	return c, r.WithContext(context.WithValue(r.Context(), callKey{}, c))
}

// note adds to what the log says of a request.
func note(r *http.Request, attrs ...slog.Attr) {
	r.Context().Value(callKey{}).(*call).note(attrs...)
}

// note keeps what was said first under a key, which is nearest to the cause: a line that has a key twice is no good JSON.
func (c *call) note(attrs ...slog.Attr) {
	for _, attr := range attrs {
		if !slices.ContainsFunc(c.attrs, func(said slog.Attr) bool { return said.Key == attr.Key }) {
			c.attrs = append(c.attrs, attr)
		}
	}
}

// noteUpload says which upload and track a request is about.
func noteUpload(r *http.Request, u track.Upload) {
	note(r, slog.String("upload_id", u.ID.String()), slog.String("track_id", u.TrackID.String()))
}

// noteFailure says what went wrong beside the answer; a refusal that the client reads in
// full is nothing of the kind.
func noteFailure(r *http.Request, name string, err error) {
	var p *problem
	if !errors.As(err, &p) {
		note(r, slog.String(name, err.Error()))
	}
}

// WriteHeader implements http.ResponseWriter.
func (c *call) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap serves http.ResponseController.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// finish answers where the handler panicked, and logs. The path itself stays out of the
// log: a companion session's token is in it.
func (c *call) finish(log *slog.Logger, r *http.Request) {
	if p := recover(); p != nil {
		c.note(slog.String("err", fmt.Sprint("panic: ", p)), slog.String("stack", string(debug.Stack())))
		if c.status == 0 {
			writeProblem(c, problemOf(errors.New("panic")))
		}
	}
	level := slog.LevelInfo
	if c.status >= 500 && !errors.Is(r.Context().Err(), context.Canceled) { // the client has gone: nobody's fault
		level = slog.LevelError
	}
	_, route, _ := strings.Cut(r.Pattern, " ")
	c.note(slog.String("method", r.Method), slog.String("route", route),
		slog.Int("status", c.status), slog.Int64("duration_ms", time.Since(c.started).Milliseconds()))
	log.LogAttrs(r.Context(), level, "request", c.attrs...)
}

// fail answers with what err amounts to, in the form that the route's clients read.
func (access Access) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	note(r, slog.String("code", string(p.code)))
	if p.status() >= 500 {
		note(r, slog.String("err", err.Error()))
	}
	if after := p.retryAfter(); after != "" {
		w.Header().Set("Retry-After", after)
	}
	if access == Session {
		writeCompanionError(w, p)
		return
	}
	writeProblem(w, p)
}
