package locals3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// refusedAtOnce asks versitygw about a request without its body, and hands its refusal on, if it gives one. What it
// would not refuse is left to be asked with all of the body.
func (g *guard) refusedAtOnce(w http.ResponseWriter, r *http.Request) bool {
	ended := make(chan struct{})
	defer close(ended)
	ask := r.Clone(r.Context())
	// More than versitygw waits for, and not the digest of anything: nothing is taken for the body.
	ask.Body = io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, probeSize)), &pending{ended}))
	if ask.Header.Get("Content-Md5") == "" {
		ask.Header.Set("Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	ask.URL = &url.URL{Scheme: "http", Host: g.upstream, Opaque: path, RawQuery: query}
	ask.RequestURI = ""
	ask.Header.Del("Expect")
	answer, err := g.transport.RoundTrip(ask)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 4 {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return false
	}
	maps.Copy(w.Header(), answer.Header)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	sayAndLinger(w, r, answer.StatusCode, text)
	return true
}

// sayAndLinger answers before the body has come. A client that is sending it reads the answer when it is done, or
// notices it: until then the connection stays, for a while.
func sayAndLinger(w http.ResponseWriter, r *http.Request, status int, text []byte) {
	c := http.NewResponseController(w)
	_ = c.EnableFullDuplex() // without it, the server itself waits for some of the body
	w.Header().Set("Connection", "close")
	w.WriteHeader(status)
	_, _ = w.Write(text)
	_ = c.Flush()
	enough := time.AfterFunc(5*time.Second, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer enough.Stop()
	_, _ = io.CopyN(io.Discard, r.Body, 64<<20)
}

// refuse answers a request whose body did not arrive, as S3 would, and ends its connection.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, code := http.StatusBadRequest, "IncompleteBody"
	if errors.Is(err, errForm) {
		status, code = http.StatusForbidden, "AccessDenied"
	} else if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
		status, code = http.StatusInternalServerError, "InternalError" // ours: the spool cannot be written
	}
	w.Header().Set("Content-Type", "application/xml")
	text := new(bytes.Buffer)
	fmt.Fprintf(text, "%s<Error><Code>%s</Code><Message>", xml.Header, code)
	_ = xml.EscapeText(text, []byte(err.Error())) // a buffer takes everything
	text.WriteString("</Message></Error>")
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	sayAndLinger(w, r, status, text.Bytes())
}
