package migrate_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trackstore/internal/testenv/proxy"
	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// inFlight counts the requests that are under way, and the most that were at once.
type inFlight struct {
	mu        sync.Mutex
	now, most int
}

func (f *inFlight) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now++
	f.most = max(f.most, f.now)
}

func (f *inFlight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
}

// isTrack tells whether a request is the PUT of a track's bytes, or of a part of them.
func isTrack(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/"+track.MigratedPrefix)
}

// far is an upload to the bucket by way of a server that does wrap.
func (r *rig) far(wrap func(next http.Handler, w http.ResponseWriter, req *http.Request)) *migrate.Upload {
	r.Helper()
	store := r.openS3(proxy.Around(r, r.Bucket.Endpoint, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { wrap(next, w, req) })
	}))
	return migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: store, Large: store, Sniff: noSniff})
}

// Where S3 is far away, many copies are under way at once.
func TestManyAreUnderWayWhereS3IsFarAway(t *testing.T) {
	t.Parallel()
	const tracks, many = 400, 129
	r := newRig(t)
	r.addMany(tracks)
	var flight inFlight
	upload := r.far(func(next http.Handler, w http.ResponseWriter, req *http.Request) {
		if isTrack(req) {
			flight.begin()
			defer flight.end()
			time.Sleep(time.Second)
		}
		next.ServeHTTP(w, req)
	})
	if summary, _ := r.run(upload, job()); summary.Migrated != tracks || flight.most < many {
		t.Errorf("%+v, with %d at once", summary, flight.most)
	}
}

// --workers is exactly how many copies run at once, and no more requests are, though a large file has several.
func TestWorkersAreAsManyAsAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(60)
	r.add("large.wav", content(1, 70<<20))
	c := &crashes{rig: r, program: buildProgram(t)}
	var copies, all inFlight
	c.Bucket.Endpoint = proxy.Around(t, r.Bucket.Endpoint, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			all.begin()
			defer all.end()
			if isTrack(req) {
				copies.begin()
				defer copies.end()
				time.Sleep(50 * time.Millisecond)
			}
			next.ServeHTTP(w, req)
		})
	})
	c.finish("migrate-storage", "run", "--workers", "3")
	if copies.most != 3 || all.most != 3 {
		t.Errorf("%d PUTs, and %d requests at once", copies.most, all.most)
	}
}

// A file that S3 asks to wait for costs no track.
func TestSlowDownByWire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(60)
	var refused atomic.Int32
	upload := r.far(func(next http.Handler, w http.ResponseWriter, req *http.Request) {
		if isTrack(req) && refused.Add(1) <= 40 {
			_, _ = io.Copy(io.Discard, req.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, req)
	})
	if summary, _ := r.run(upload, job()); summary.Migrated != 60 || !summary.Done {
		t.Errorf("%+v", summary)
	}
}

// A small PUT that stands still is sent once more: one that S3 never got, and one whose answer does not come.
func TestWhatStandsStillIsSentAgain(t *testing.T) {
	t.Parallel()
	for name, arrives := range map[string]bool{"the request": false, "the answer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			bytes := []byte("the bytes of a small file")
			id := r.add("small.wav", bytes)
			var puts, heads atomic.Int32
			upload := r.far(func(next http.Handler, w http.ResponseWriter, req *http.Request) {
				switch {
				case isTrack(req) && puts.Add(1) == 1:
					if arrives {
						next.ServeHTTP(httptest.NewRecorder(), req)
					}
					_, _ = io.Copy(io.Discard, req.Body)
					<-req.Context().Done() // the client has given it up
					return
				case req.Method == http.MethodHead:
					heads.Add(1)
				}
				next.ServeHTTP(w, req)
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // the client would wait for two
			defer cancel()
			summary, err := runner(r.Store, upload).Run(ctx, job())
			if err != nil || summary.Migrated != 1 || puts.Load() != 2 || heads.Load() > 0 != arrives {
				t.Errorf("%+v, %v, with %d PUTs and %d HEADs", summary, err, puts.Load(), heads.Load())
			}
			r.pinsWhatIsThere(id, bytes)
		})
	}
}

// pinsWhatIsThere checks that a track's row names the version that its key has now.
func (r *rig) pinsWhatIsThere(id track.ID, content []byte) {
	r.Helper()
	r.holds(id, track.S3, content)
	key, version := r.one(`SELECT storage_key FROM tracks WHERE id = $1`, id), r.one(`SELECT storage_version_id FROM tracks WHERE id = $1`, id)
	if o, err := r.S3.Head(r.Context(), key, ""); err != nil || o.VersionID != version {
		r.Errorf("the row pins %q, S3 has %q, %v", version, o.VersionID, err)
	}
}

// The answer to a PUT verifies it where it has the checksum of what S3 received, and the version; whatever else it is, S3
// is asked what it has. Either way the row pins the object that is there.
func TestTheAnswerToAPutVerifiesIt(t *testing.T) {
	t.Parallel()
	sum := track.CRC64NVME.Header()
	for name, c := range map[string]struct {
		change func(http.Header)
		again  bool // the request comes to S3 twice, and the second answer is the one that counts
		cut    bool // no answer comes back
		asked  bool
	}{
		"as S3 gives it":      {change: func(http.Header) {}},
		"without a checksum":  {change: func(h http.Header) { h.Del(sum) }, asked: true},
		"of another checksum": {change: func(h http.Header) { h.Set(sum, track.NewCRC64NVME(1).Value) }, asked: true},
		"of no checksum":      {change: func(h http.Header) { h.Set(sum, "lies") }, asked: true},
		"of another size":     {change: func(h http.Header) { h.Set("x-amz-object-size", "1") }, asked: true},
		"without a version":   {change: func(h http.Header) { h.Del("x-amz-version-id") }, asked: true},
		"of what is no S3":    {change: func(h http.Header) { h.Del("ETag") }, asked: true},
		"to a PUT come twice": {change: func(http.Header) {}, again: true, asked: true},
		"cut off":             {cut: true, asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			bytes := []byte("the bytes of a small file")
			id := r.add("small.wav", bytes)
			var puts, heads atomic.Int32
			upload := r.far(func(next http.Handler, w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodHead {
					heads.Add(1)
				}
				if !isTrack(req) || puts.Add(1) > 1 {
					next.ServeHTTP(w, req)
					return
				}
				body, err := io.ReadAll(req.Body)
				if err != nil {
					t.Error(err)
				}
				answer := httptest.NewRecorder()
				for range map[bool]int{false: 1, true: 2}[c.again] {
					req.Body = io.NopCloser(strings.NewReader(string(body)))
					answer = httptest.NewRecorder()
					next.ServeHTTP(answer, req)
				}
				if c.cut {
					panic(http.ErrAbortHandler)
				}
				for name, values := range answer.Header() {
					w.Header()[name] = values
				}
				c.change(w.Header())
				w.WriteHeader(answer.Code)
				fmt.Fprint(w, answer.Body)
			})
			summary, _ := r.run(upload, job())
			if summary.Migrated != 1 || (heads.Load() > 0) != c.asked {
				t.Errorf("%+v, with %d HEADs", summary, heads.Load())
			}
			r.pinsWhatIsThere(id, bytes)
		})
	}
}
