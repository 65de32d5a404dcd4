package upload_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"trackstore/shared/function/lambdahttp"
)

// The events of the function's folder, as API Gateway sends them.
func TestTheFunctionsEvents(t *testing.T) {
	t.Parallel()
	s := start(t)
	want := map[string]struct {
		status int
		word   string // in the answer
	}{
		"health":            {200, `"ok"`},
		"open-put":          {201, `"put":`},
		"open-multipart":    {201, `"part_count":32,`},
		"companion-session": {201, `"companion_url":"https://abc123.execute-api.eu-central-1.amazonaws.com/u/`},
		"unknown-track":     {404, `"not_found"`},
		"without-token":     {401, `"unauthorized"`},
		"rubbish":           {400, `"bad_request"`},
		"preflight":         {204, ""},
	}
	files, err := filepath.Glob("../../functions/presign-upload/events/*.json")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, want %d (%v)", len(files), len(want), err)
	}
	handle := lambdahttp.Handler(described(t, s.api))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var event events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), "${TRACKSTORE_TOKEN}", s.token)), &event); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		answer, err := handle(t.Context(), event)
		w := want[strings.TrimSuffix(filepath.Base(file), ".json")]
		if err != nil || answer.StatusCode != w.status || !strings.Contains(answer.Body, w.word) {
			t.Errorf("%s: %d %s %v", file, answer.StatusCode, answer.Body, err)
		}
		if id := answer.Headers["X-Request-Id"]; id != event.RequestContext.RequestID {
			t.Errorf("%s: request id %q", file, id)
		}
	}
}
