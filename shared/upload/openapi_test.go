package upload_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"trackstore/shared/upload"
)

// description is docs/openapi.yaml, and router finds its operations.
var (
	description = sync.OnceValues(func() (*openapi3.T, error) {
		doc, err := openapi3.NewLoader().LoadFromFile("../../docs/openapi.yaml")
		if err != nil {
			return nil, err
		}
		return doc, doc.Validate(context.Background())
	})
	router = sync.OnceValues(func() (routers.Router, error) {
		doc, err := description()
		if err != nil {
			return nil, err
		}
		return gorillamux.NewRouter(doc)
	})
)

var described = func(t testing.TB, api http.Handler) http.Handler {
	t.Helper()
	found, err := router()
	if err != nil {
		t.Fatal("docs/openapi.yaml: ", err)
	}
	return &checker{t, api, found}
}

// checker fails the test where an answer is not as described, or where a request that
// the API took is not one that the description allows.
type checker struct {
	t      testing.TB
	api    http.Handler
	router routers.Router
}

func (c *checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	c.api.ServeHTTP(answer, r)

	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := c.check(r, answer); err != nil && r.Context().Err() == nil {
		c.t.Errorf("docs/openapi.yaml disagrees with %s %s %.500s -> %d %.500s: %v",
			r.Method, r.URL.RequestURI(), body, answer.Code, answer.Body, err)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = answer.Body.WriteTo(w)
}

func (c *checker) check(r *http.Request, answer *httptest.ResponseRecorder) error {
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		// Of a companion session, "complete" may also stand where a part's number does.
		if answer.Code >= 400 && answer.Code < 500 || r.Method == http.MethodOptions || r.Method == http.MethodHead {
			return nil
		}
		return err
	}
	if answer.Code == http.StatusNotFound && strings.Contains(answer.Body.String(), "no such path") {
		return nil // a path with an empty segment
	}
	request := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
	}}
	if answer.Code < 300 {
		if err := openapi3filter.ValidateRequest(r.Context(), request); err != nil {
			return err
		}
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: answer.Code, Header: answer.Header(),
		Body: io.NopCloser(bytes.NewReader(answer.Body.Bytes())), Options: request.Options,
	})
}

func TestTheDescriptionHasEveryRouteAndNoOther(t *testing.T) {
	t.Parallel()
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	var have, want []string
	public := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			call := method + " " + path
			have = append(have, call)
			public[call] = operation.Security != nil && len(*operation.Security) == 0
		}
	}
	for _, route := range upload.Routes() {
		call := route.Method + " " + route.Path
		want = append(want, call)
		if public[call] != (route.Access == upload.Public || route.Access == upload.Session) {
			t.Errorf("%s: the description says that a JWT is needed: %t", call, !public[call])
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("described:\n%s\nserved:\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheDescriptionHasEveryCodeAndNoOther(t *testing.T) {
	t.Parallel()
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	code := doc.Components.Schemas["Problem"].Value.Properties["code"].Value
	var have []string
	for _, c := range code.Enum {
		have = append(have, c.(string))
		if !strings.Contains(code.Description, "| `"+c.(string)+"` |") {
			t.Errorf("code %s is not in the table", c)
		}
	}
	var want []string
	for _, c := range upload.Codes() {
		want = append(want, string(c))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("described: %v\nknown: %v", have, want)
	}
}
