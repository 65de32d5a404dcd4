package client

import (
	"encoding/json"
	"fmt"
	"net/http"
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

func newProblem(response *http.Response, text []byte) error {
	p := &Problem{Status: response.StatusCode}
	if strings.Contains(response.Header.Get("Content-Type"), "json") {
		_ = json.Unmarshal(text, p) // what is no JSON has no detail to give
	}
	if p.Status = response.StatusCode; p.Status == http.StatusTooManyRequests && p.Code == "" || p.Status >= 500 {
		return temporary{p}
	}
	return p
}
