package functions_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trackstore/internal/testenv"
)

// testDelivery has functions settle an upload that nothing else tells of: its event is at the webhook when they have
// answered, and is not left to the schedule.
func testDelivery(t *testing.T, p *programs) {
	for _, event := range []string{"object-created/events/sqs.json", "sweep-uploads/events/schedule.json"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, testenv.Postgres(t))
			w.upload()
			heard := make(chan string, 10)
			hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				heard <- string(body)
			}))
			defer hook.Close()
			function, _, _ := strings.Cut(event, "/")
			f := p.serve(t, function, append(w.env(), "EVENTS_WEBHOOK_URL="+hook.URL, "EVENTS_WEBHOOK_SECRET=whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")...)
			if got := f.invoke(w.event(event), time.Minute); got.failed {
				t.Fatalf("%s\n%s", got.body, f.logged())
			}
			select {
			case body := <-heard:
				if !strings.Contains(body, `"type":"trackstore.track.ready"`) || !strings.Contains(body, eventTrack) {
					t.Errorf("the webhook heard %s", body)
				}
			default:
				t.Errorf("the webhook heard nothing\n%s", f.logged())
			}
		})
	}
}
