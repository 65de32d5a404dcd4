package locals3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"trackstore/shared/s3event"
)

// guard is a reverse proxy that hands a request on only when its whole body has arrived.
//
// versitygw takes a body that is cut off for a whole one: a cut PUT becomes a short object, a cut part is listed with
// the size it should have had, filled up with zeros. S3 drops both. So the guard reads a body to its end before it
// starts the request upstream, and never breaks off a request that it has started, also when its client is gone.
// All that a signature may cover is handed on as it came.
type guard struct {
	proxy *httputil.ReverseProxy
	credentials
	spool string // folder for bodies that are too large for memory
	// hangUp closes connections to versitygw that have nothing to do. It waits for ten seconds, before it stops, for one
	// that was made and that no request has come to use.
	hangUp    func()
	upstream  string
	transport *http.Transport
}

// memoryLimit is the size up to which a body is held in memory, in bytes.
const memoryLimit = 1 << 20

// newGuard returns a guard of the server at upstream, which tells onCreate of each object that was created.
func newGuard(upstream, spool string, c credentials, onCreate func(s3event.Created), logTo io.Writer) *guard {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 256,
		DisableCompression:  true, // or it would ask for gzip on its own
	}
	return &guard{
		upstream:    upstream,
		transport:   transport,
		spool:       spool,
		credentials: c,
		hangUp:      transport.CloseIdleConnections,
		proxy: &httputil.ReverseProxy{
			Transport: refusals{transport},
			ErrorLog:  log.New(logTo, "s3 guard: ", 0),
			ModifyResponse: func(answer *http.Response) error {
				if event, ok := created(answer); ok {
					onCreate(event)
				}
				return nil
			},
			Rewrite: func(r *httputil.ProxyRequest) {
				path, query, _ := strings.Cut(r.In.RequestURI, "?")
				r.Out.URL = &url.URL{Scheme: "http", Host: upstream, Opaque: path, RawQuery: query}
				r.Out.Host = r.In.Host     // it is signed
				r.Out.Header.Del("Expect") // is answered by now, and signed by nobody
			},
		},
	}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		g.proxy.ServeHTTP(w, r)
		return
	}
	signed, isSigned := signatureOf(r)
	isGood := isSigned && signed.isInTime(time.Now()) && g.fits(signed, r)
	if isSigned && !isGood && (r.ContentLength < 0 || r.ContentLength > probeSize) && g.refusedAtOnce(w, r) {
		return
	}
	form, err := g.readForm(r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	body, err := g.receive(r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	defer body.Close() //nolint:errcheck // it was only read
	switch now := time.Now(); {
	case form != nil && !form.isInTime(now):
		err = g.renewBody(form, r, body, now)
	case isGood && !signed.isInTime(now):
		g.renewRequest(signed, r, now)
	}
	if err != nil {
		refuse(w, r, err)
		return
	}

	// A client that goes away from here on must not cut off the request upstream. (Without cancel, as the proxy asks
	// the connection itself where a context cannot end.)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	r = r.WithContext(context.WithValue(ctx, startOfBody{}, body.start))
	r.Body = body
	// Should this process be killed in the middle, the digest tells versitygw that something is missing. A chunked
	// encoding of AWS's own has a last chunk that does.
	if r.Method == http.MethodPut && r.Header.Get("Content-Md5") == "" &&
		!strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(body.md5))
	}
	g.proxy.ServeHTTP(w, r)
}

// renewBody puts a renewed form in the place of the one that came. The body may lie in a file: its beginning is in
// memory, too.
func (g *guard) renewBody(f *form, r *http.Request, body *spooled, now time.Time) error {
	added, start, err := g.renewForm(f, body.start, now)
	if err != nil {
		return err
	}
	rest := io.Reader(bytes.NewReader(nil))
	if body.file != nil {
		if _, err := body.file.Seek(int64(len(body.start)), io.SeekStart); err != nil {
			return err
		}
		rest = body.file
	}
	body.Reader, body.start = io.MultiReader(bytes.NewReader(start), rest), start
	if r.ContentLength > 0 {
		r.ContentLength += int64(added)
		r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	return nil
}

// refusals hands on also those answers that versitygw gives before it has read the body, as to a wrong signature.
// It closes the connection behind them, and what is still being sent to it then makes the kernel drop the answer. So a
// request that failed is asked once more, with no more of its body than fits on the way, to hear what was said.
type refusals struct{ *http.Transport }

// startOfBody is the context's key to the first bytes of a request's body.
type startOfBody struct{}

const (
	probeSize = 16 << 10 // bytes; versitygw waits for half of it before it looks at a request
	probeWait = 2 * time.Second
)

func (t refusals) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.Transport.RoundTrip(r)
	start, _ := r.Context().Value(startOfBody{}).([]byte)
	if err == nil || len(start) <= probeSize {
		return response, err
	}
	ended := make(chan struct{})
	defer close(ended)
	probe := r.Clone(r.Context())
	probe.Body = io.NopCloser(io.MultiReader(bytes.NewReader(start[:probeSize]), &pending{ended}))
	response, probeErr := t.Transport.RoundTrip(probe)
	if probeErr != nil {
		return nil, err
	}
	// Read here: the connection ends with the body that is not sent.
	defer response.Body.Close()
	answer, probeErr := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if probeErr != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	return response, nil
}

// pending is the rest of a body that is never sent: the digest keeps versitygw from taking what came for all of it.
type pending struct{ ended <-chan struct{} }

func (p *pending) Read([]byte) (int, error) {
	select {
	case <-p.ended:
	case <-time.After(probeWait):
	}
	return 0, io.ErrUnexpectedEOF
}

// spooled is a body that has arrived whole.
type spooled struct {
	io.Reader
	start []byte   // the first bytes, up to a little above memoryLimit
	file  *os.File // nil: in memory
	md5   []byte
}

// Close gives up the file, which has no name any more, and nothing that is needed.
func (s *spooled) Close() error {
	if s.file != nil {
		_ = s.file.Close()
	}
	return nil
}

// receive reads the body of r to its end.
func (g *guard) receive(r *http.Request) (*spooled, error) {
	digest := md5.New()
	body := io.TeeReader(r.Body, digest)
	start := new(bytes.Buffer)
	if n := r.ContentLength; n > 0 && n <= memoryLimit {
		start.Grow(int(n) + bytes.MinRead)
	}
	// One byte more than the limit tells a larger body from one that just fits.
	n, err := io.Copy(start, io.LimitReader(body, memoryLimit+1))
	if err != nil {
		return nil, err
	}
	if n <= memoryLimit {
		return &spooled{bytes.NewReader(start.Bytes()), start.Bytes(), nil, digest.Sum(nil)}, nil
	}

	file, err := os.CreateTemp(g.spool, "body-")
	if err != nil {
		return nil, err
	}
	// Without a name it is gone with its last use, also after a crash.
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := io.Copy(file, io.MultiReader(bytes.NewReader(start.Bytes()), body)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &spooled{file, start.Bytes(), file, digest.Sum(nil)}, nil
}
