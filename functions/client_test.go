package functions_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// apiClient calls the API's function, and gathers the signatures that it hands out.
type apiClient struct {
	t       *testing.T
	api     *service
	secrets []string
}

// call sends a request by way of API Gateway's event. Status 0 is any.
func (s *apiClient) call(status int, method, target string, headers map[string]string, body string) map[string]any {
	s.t.Helper()
	path, query, _ := strings.Cut(target, "?")
	request := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: path, RawQueryString: query, Headers: map[string]string{"host": "api.example.com", "x-forwarded-proto": "https"}, Body: body}
	for name, value := range headers {
		request.Headers[name] = value
	}
	request.RequestContext.HTTP.Method, request.RequestContext.HTTP.Path = method, path
	event, err := json.Marshal(request)
	if err != nil {
		s.t.Fatal(err)
	}
	var response events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal([]byte(s.invokeAPI(event)), &response); err != nil {
		s.t.Fatal(err)
	}
	if status != 0 && response.StatusCode != status {
		s.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, response.Body)
	}
	s.gather(response.Headers["Location"])
	var answer map[string]any
	if json.Unmarshal([]byte(response.Body), &answer) == nil {
		s.gather(answer)
	}
	return answer
}

func (s *apiClient) invokeAPI(event []byte) string {
	s.t.Helper()
	got := s.api.invoke(event, 25*time.Second)
	if got.failed {
		s.t.Fatalf("presign-upload: %s", got.body)
	}
	return got.body
}

func (s *apiClient) invoke(function *service, event string) {
	s.t.Helper()
	if got := function.invoke([]byte(event), 30*time.Second); got.failed {
		s.t.Fatal(got.body)
	}
}

// gather keeps every signature in an answer: those in URLs, and those in the fields of forms.
func (s *apiClient) gather(v any) {
	switch v := v.(type) {
	case string:
		if u, err := url.Parse(v); err == nil && u.Query().Get("X-Amz-Signature") != "" {
			s.secrets = append(s.secrets, u.Query().Get("X-Amz-Signature"))
		}
	case []any:
		for _, item := range v {
			s.gather(item)
		}
	case map[string]any:
		for name, item := range v {
			if strings.EqualFold(name, "x-amz-signature") || strings.EqualFold(name, "policy") {
				s.secrets = append(s.secrets, item.(string))
			}
			s.gather(item)
		}
	}
}

func (s *apiClient) put(target string, headers map[string]any, content []byte) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, target, bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value.(string))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.t.Fatal(response.Status)
	}
}
