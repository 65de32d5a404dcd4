// Package lambdahttp serves an http.Handler as a Lambda function behind an API Gateway
// HTTP API (payload format 2.0), a Lambda function URL, or `sam local start-api`.
package lambdahttp

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// requestIDHeader carries the gateway's id of the request to the handler. A client's own
// value of it never arrives.
const requestIDHeader = "X-Request-Id"

// Handler adapts h for lambda.Start. An event that is no HTTP request is answered with 400;
// the error is always nil. A panic of h is left to the Lambda runtime.
func Handler(h http.Handler) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		w := &response{header: http.Header{}, head: e.RequestContext.HTTP.Method == http.MethodHead}
		if r, err := request(ctx, e); err != nil {
			refuse(w, err)
		} else {
			h.ServeHTTP(w, r)
		}
		return w.event(), nil
	}
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `{"type":"about:blank","title":"Bad Request","status":400,"detail":%q,"code":"bad_request"}`, err)
}

// request makes the http.Request that a server would have made.
func request(ctx context.Context, e events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("the body is not valid base64")
		}
	}
	r, err := http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the method is not valid")
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.Header.Del(requestIDHeader)
	if id := e.RequestContext.RequestID; id != "" {
		r.Header.Set(requestIDHeader, id)
	}
	if r.Host = r.Header.Get("Host"); r.Host == "" {
		r.Host = e.RequestContext.DomainName
	}
	r.Header.Del("Host") // as in net/http
	r.URL = target(e)
	r.RequestURI = r.URL.RequestURI()
	r.RemoteAddr = net.JoinHostPort(e.RequestContext.HTTP.SourceIP, "0")
	return r, nil
}

// target rebuilds the request's URL. Function URLs and SAM hand rawPath over as it was sent, and
// an encoded slash stays encoded; HTTP APIs have decoded it already, so that a lone % or
// a ? in it stands for itself.
func target(e events.APIGatewayV2HTTPRequest) *url.URL {
	raw := e.RawPath
	if stage := e.RequestContext.Stage; stage != "" && stage != "$default" {
		if rest, ok := strings.CutPrefix(raw, "/"+stage); ok && (rest == "" || rest[0] == '/') {
			raw = rest
		}
	}
	if !strings.HasPrefix(raw, "/") {
		raw = "/" + raw
	}
	u := &url.URL{Path: raw, RawQuery: e.RawQueryString}
	if path, err := url.PathUnescape(raw); err == nil {
		u.Path, u.RawPath = path, raw
	}
	return u
}

// response is the http.ResponseWriter; its zero status is that nothing was written yet.
type response struct {
	header http.Header
	status int
	sent   http.Header // header as it was when status was set
	body   bytes.Buffer
	head   bool // the request was a HEAD: no body goes out
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // 1xx cannot be sent
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.sent.Get("Content-Type") == "" && len(b) > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(b))
	}
	if w.head {
		return len(b), nil
	}
	return w.body.Write(b)
}

// event turns the response into the gateway's form, where a header has one value and
// cookies stand apart. A body that is not UTF-8 goes in base64.
func (w *response) event() events.APIGatewayV2HTTPResponse {
	w.WriteHeader(http.StatusOK)
	out := events.APIGatewayV2HTTPResponse{StatusCode: w.status, Headers: map[string]string{}, Cookies: w.sent.Values("Set-Cookie")}
	for name, values := range w.sent {
		if name != "Set-Cookie" {
			out.Headers[name] = strings.Join(values, ", ")
		}
	}
	if utf8.Valid(w.body.Bytes()) {
		out.Body = w.body.String()
	} else {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(w.body.Bytes()), true
	}
	return out
}
