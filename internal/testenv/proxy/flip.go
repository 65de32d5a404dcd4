package proxy

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Flipper is a way to a server on which one bit of each PUT flips: of its body, or, of one in
// four, of what goes before.
type Flipper struct {
	URL   string       // of the way, in place of the server's
	Flips atomic.Int64 // bits of bodies that were flipped
	Taken atomic.Int64 // those that the server answered with success

	target *url.URL
}

// NewFlipper returns a way to the server that target names, until the test ends.
func NewFlipper(t testing.TB, target string) *Flipper {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	f := &Flipper{URL: "http://" + listener.Addr().String(), target: u}
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go func() {
				defer from.Close()
				f.pass(from)
			}()
		}
	}()
	return f
}

// Rewrite makes what answers say of the server lead by this way.
func (f *Flipper) Rewrite(text string) string {
	return strings.ReplaceAll(text, f.target.Scheme+"://"+f.target.Host, f.URL)
}

// silence is how long the server may say nothing: it waits for more where a bit of the length flipped.
const silence = 2 * time.Second

// pass hands on one request and its answer; where there is none, the connection just ends.
func (f *Flipper) pass(from net.Conn) {
	request, err := http.ReadRequest(bufio.NewReader(from))
	if err != nil {
		return
	}
	request.Host, request.Close = f.target.Host, true // what is signed has the server's own name
	request.Header.Del("Expect")
	var sent bytes.Buffer
	if err := request.Write(&sent); err != nil {
		return
	}
	inBody := request.Method == http.MethodPut && flip(sent.Bytes())
	to, err := net.Dial("tcp", f.target.Host)
	if err != nil {
		return
	}
	defer to.Close()
	_ = to.SetDeadline(time.Now().Add(silence))
	go func() { _, _ = to.Write(sent.Bytes()) }()
	answer, err := http.ReadResponse(bufio.NewReader(to), request)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if inBody {
		f.Flips.Add(1)
		if answer.StatusCode < http.StatusMultipleChoices {
			f.Taken.Add(1)
		}
	}
	answer.Body, answer.ContentLength, answer.Close = io.NopCloser(bytes.NewReader(body)), int64(len(body)), true
	_ = answer.Write(from)
}

// flip flips one bit of a request, and reports whether that is one of its body.
func flip(request []byte) (inBody bool) {
	body := bytes.Index(request, []byte("\r\n\r\n")) + 4
	from, to := body, len(request)
	if from == to || rand.IntN(4) == 0 {
		from, to = 0, body
	}
	at := from + rand.IntN(to-from)
	request[at] ^= 1 << rand.IntN(8)
	return at >= body
}
