package lambdahttp_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"trackstore/shared/function/lambdahttp"
)

// seen is what a handler saw of a request.
type seen struct {
	Method, Path, EscapedPath, RequestURI, Host, RemoteAddr, Body string
	Query                                                         url.Values
	Header                                                        http.Header
	Cookies                                                       []string
	ContentLength                                                 int64
}

func see(t *testing.T, e events.APIGatewayV2HTTPRequest) seen {
	t.Helper()
	var s seen
	_, err := lambdahttp.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s = seen{
			r.Method, r.URL.Path, r.URL.EscapedPath(), r.RequestURI, r.Host, r.RemoteAddr, string(body),
			r.URL.Query(), r.Header, nil, r.ContentLength,
		}
		for _, c := range r.Cookies() {
			s.Cookies = append(s.Cookies, c.String())
		}
	}))(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readEvent(t *testing.T, name string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(content, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRequest(t *testing.T) {
	t.Parallel()
	want := seen{
		Method:        "POST",
		Path:          "/v1/uploads/a/b/parts",
		EscapedPath:   "/v1/uploads/a%2Fb/parts",
		RequestURI:    "/v1/uploads/a%2Fb/parts?partNumbers=1&partNumbers=2&q=a%20b%26c",
		Host:          "abc123.execute-api.eu-central-1.amazonaws.com",
		RemoteAddr:    "203.0.113.7:0",
		Body:          `{"size":1024}`,
		Query:         url.Values{"partNumbers": {"1", "2"}, "q": {"a b&c"}},
		Cookies:       []string{"session=abc", "theme=dark"},
		ContentLength: 13,
		Header: http.Header{
			"Accept":            {"application/json,text/plain"},
			"Authorization":     {"Bearer token"},
			"Content-Length":    {"13"},
			"Content-Type":      {"application/json"},
			"Cookie":            {"session=abc; theme=dark"},
			"X-Forwarded-For":   {"203.0.113.7"},
			"X-Forwarded-Proto": {"https"},
			"X-Request-Id":      {"JKJaXmPLvHcESHA="},
		},
	}
	if diff := cmp.Diff(want, see(t, readEvent(t, "post.json"))); diff != "" {
		t.Error(diff)
	}
	got := see(t, readEvent(t, "get.json"))
	if got.Path != "/healthz" || got.RemoteAddr != "[2001:db8::1]:0" || got.Host != "127.0.0.1:3000" || got.ContentLength != 0 || got.Cookies != nil {
		t.Errorf("seen of a GET without body: %+v", got)
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, rawPath, stage, path, escaped string
	}{
		{"plain", "/v1/uploads", "$default", "/v1/uploads", "/v1/uploads"},
		{"no stage", "/v1/uploads", "", "/v1/uploads", "/v1/uploads"},
		{"stage", "/prod/v1", "prod", "/v1", "/v1"},
		{"stage alone", "/prod", "prod", "/", "/"},
		{"stage behind a custom domain", "/v1", "prod", "/v1", "/v1"},
		{"beginning like the stage", "/production/v1", "prod", "/production/v1", "/production/v1"},
		{"empty", "", "$default", "/", "/"},
		{"encoded", "/a%20b%2Fc", "$default", "/a b/c", "/a%20b%2Fc"},
		{"decoded by the gateway", "/a b?c#d", "$default", "/a b?c#d", "/a%20b%3Fc%23d"},
		{"a percent sign decoded by the gateway", "/100%", "$default", "/100%", "/100%25"},
		{"not ASCII", "/Größe", "$default", "/Größe", "/Gr%C3%B6%C3%9Fe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := readEvent(t, "get.json")
			e.RawPath, e.RequestContext.Stage = test.rawPath, test.stage
			if got := see(t, e); got.Path != test.path || got.EscapedPath != test.escaped {
				t.Errorf("path is %q, escaped %q", got.Path, got.EscapedPath)
			}
		})
	}
}

// TestRouting shows that an encoded slash does not make a path segment two.
func TestRouting(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/uploads/{id}/parts", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.PathValue("id"))
	})
	if out := serve(t, mux, readEvent(t, "post.json")); out.StatusCode != 200 || out.Body != "a/b" {
		t.Errorf("answered %+v", out)
	}
}

func serve(t *testing.T, h http.Handler, e events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	t.Helper()
	out, err := lambdahttp.Handler(h)(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestResponse(t *testing.T) {
	t.Parallel()
	binary := []byte{0xff, 0xfe, 0x00}
	for _, test := range []struct {
		name, method string
		handler      http.HandlerFunc
		want         events.APIGatewayV2HTTPResponse
	}{
		{"nothing", "GET", func(http.ResponseWriter, *http.Request) {}, events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{}}},
		{"text", "GET", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello ")
			_, _ = io.WriteString(w, "Größe")
		}, events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: "hello Größe", Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8"}}},
		{"binary", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "audio/flac")
			_, _ = w.Write(binary)
		}, events.APIGatewayV2HTTPResponse{
			StatusCode: 200, Body: base64.StdEncoding.EncodeToString(binary), IsBase64Encoded: true,
			Headers: map[string]string{"Content-Type": "audio/flac"},
		}},
		{"many values", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("Vary", "Origin")
			w.Header().Add("Vary", "Accept")
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
			w.WriteHeader(http.StatusNoContent)
		}, events.APIGatewayV2HTTPResponse{StatusCode: 204, Headers: map[string]string{"Vary": "Origin, Accept"}, Cookies: []string{"a=1; Path=/", "b=2"}}},
		{"too late", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusCreated)
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("Late", "yes")
		}, events.APIGatewayV2HTTPResponse{StatusCode: 201, Headers: map[string]string{}}},
		{"HEAD", "HEAD", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hello")
		}, events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"Content-Length": "5", "Content-Type": "text/plain; charset=utf-8"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := readEvent(t, "get.json")
			e.RequestContext.HTTP.Method = test.method
			if diff := cmp.Diff(test.want, serve(t, test.handler, e)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*events.APIGatewayV2HTTPRequest){
		"base64": func(e *events.APIGatewayV2HTTPRequest) { e.Body = "!!" },
		"method": func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "GE T" },
	} {
		e := readEvent(t, "post.json")
		damage(&e)
		out := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error(name, "reached the handler") }), e)
		var problem struct {
			Status       int
			Code, Detail string
		}
		if err := json.Unmarshal([]byte(out.Body), &problem); err != nil {
			t.Fatal(err)
		}
		if out.StatusCode != 400 || out.Headers["Content-Type"] != "application/problem+json" || problem.Code != "bad_request" ||
			problem.Status != 400 || !strings.Contains(problem.Detail, name) {
			t.Errorf("%s: answered %+v", name, out)
		}
	}
}

// TestContext shows that the handler's context is the invocation's, with its deadline.
func TestContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := lambdahttp.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Context().Err() == nil {
			t.Error("the context lives on")
		}
	}))(ctx, readEvent(t, "get.json"))
	if err != nil {
		t.Fatal(err)
	}
}

// FuzzLikeAServer sends the same request through a real server and through an event, and
// wants the handler to see the same, and the client to get the same bytes back.
func FuzzLikeAServer(f *testing.F) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Path", url.QueryEscape(r.URL.Path))
		w.Header().Set("Escaped", r.URL.EscapedPath())
		w.Header().Set("Query", url.QueryEscape(r.URL.Query().Encode()))
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(body)
	})
	server := httptest.NewServer(echo)
	f.Cleanup(server.Close)

	f.Add("a b/c", "x=1&x=2", []byte("hello"))
	f.Add("ä%", "q=%20&r", []byte{0xff})
	f.Add("a?b#c", "", []byte(nil))
	f.Fuzz(func(t *testing.T, segment, query string, body []byte) {
		path := "/v1/" + url.PathEscape(segment)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path+"?"+query, strings.NewReader(string(body)))
		if err != nil || strings.ContainsAny(query, "# \r\n") {
			return // no URL that a client sends
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return // the same
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != http.StatusOK {
			return // the server itself refuses it
		}
		want, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}

		var e events.APIGatewayV2HTTPRequest
		e.RawPath, e.RawQueryString = path, query
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
		e.RequestContext.HTTP.Method = http.MethodPost
		out := serve(t, echo, e)
		got := []byte(out.Body)
		if out.IsBase64Encoded {
			if got, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != string(want) {
			t.Errorf("body is %q, not %q", got, want)
		}
		for _, name := range []string{"Path", "Escaped", "Query"} {
			if out.Headers[name] != answer.Header.Get(name) {
				t.Errorf("%s is %q, not %q", name, out.Headers[name], answer.Header.Get(name))
			}
		}
	})
}
