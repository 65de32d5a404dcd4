package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Problem is a refusal by the API or by the storage. Code is stable where the API answered.
type Problem struct {
	Status int
	Code   string
	Detail string
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return fmt.Sprintf("the server answered %d %s", p.Status, http.StatusText(p.Status))
	}
	return p.Detail
}

// s3Message finds what S3 says in its XML.
var s3Message = regexp.MustCompile(`<Message>([^<]+)</Message>`)

func newProblem(response *http.Response, text []byte) error {
	p := &Problem{Status: response.StatusCode}
	if strings.Contains(response.Header.Get("Content-Type"), "json") {
		_ = json.Unmarshal(text, p) // what is no JSON has no detail to give
	} else if m := s3Message.FindSubmatch(text); m != nil {
		p.Detail = fmt.Sprintf("the storage answered %d: %s", p.Status, m[1])
	}
	if p.Status = response.StatusCode; p.Status == http.StatusTooManyRequests && p.Code == "" || p.Status >= 500 {
		return temporary{p}
	}
	return p
}
