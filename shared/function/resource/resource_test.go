package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"trackstore/shared/config"
	"trackstore/shared/function/boot"
	"trackstore/shared/function/resource"
)

type made struct{ To int }

// Whatever happens, CloudFormation hears of it, and before the function's time is over.
func TestCloudFormationIsAnswered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		load error
		up   func(context.Context) (made, error)
		want string // part of the reason; empty: it is made
	}{
		"it is made":               {up: func(context.Context) (made, error) { return made{To: 7}, nil }},
		"it fails":                 {up: func(context.Context) (made, error) { return made{}, errors.New("no such database") }, want: "no such database"},
		"the configuration is bad": {load: errors.New("rule 1: DATABASE_URL"), want: "rule 1: DATABASE_URL"},
		"it panics":                {up: func(context.Context) (made, error) { panic("out of range") }, want: "out of range"},
		"it waits, and heeds its context": {up: func(ctx context.Context) (made, error) {
			<-ctx.Done()
			return made{}, errors.New("the lock is held")
		}, want: ""},
		"it waits for ever": {up: func(context.Context) (made, error) { select {} }, want: "the function's time was over"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := make(chan cfn.Response, 1)
			cloud := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				var answer cfn.Response
				if err := json.Unmarshal(body, &answer); err != nil {
					t.Error(err)
				}
				answers <- answer
			}))
			defer cloud.Close()
			r := resource.Resource[config.Base, made]{
				ID:   "thing",
				Load: func(func(string) string) (config.Base, error) { return config.Base{}, test.load },
				Up:   func(ctx context.Context, _ config.Base, _ boot.Runtime) (made, error) { return test.up(ctx) },
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, _ = r.Handler(func(string) string { return "" })(ctx, cfn.Event{RequestType: cfn.RequestCreate, RequestID: "1", ResponseURL: cloud.URL, LogicalResourceID: "Thing", StackID: "stack"})
			if ctx.Err() != nil {
				t.Error("it answered too late")
			}
			select {
			case answer := <-answers:
				failed := test.want != "" || name == "it waits, and heeds its context"
				if (answer.Status == cfn.StatusFailed) != failed || !strings.Contains(answer.Reason, test.want) || answer.PhysicalResourceID != "thing" {
					t.Errorf("it answered %s, %q, of %q", answer.Status, answer.Reason, answer.PhysicalResourceID)
				}
			default:
				t.Error("it did not answer")
			}
		})
	}
}
