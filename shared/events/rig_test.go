package events_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5/pgxpool"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"trackstore/internal/testenv"
	"trackstore/shared/events"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) {
	if os.Getenv(delivererVariable) != "" {
		deliverUntilKilled(os.Getenv)
	}
	testenv.Main(m)
}

var key = []byte("a key of thirty-two bytes, really")

// rig is a database with events in it.
type rig struct {
	t     *testing.T
	url   string
	db    *pgxpool.Pool
	store *pgstore.Store
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, url: testenv.Postgres(t)}
	var err error
	if r.store, err = pgstore.Open(t.Context(), r.url, 8); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.store.Close)
	if r.db, err = pgxpool.New(t.Context(), r.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.db.Close)
	return r
}

// write writes n events of one track, numbered in their data from first on.
func (r *rig) write(trackID track.ID, first, n int) {
	r.exec(`INSERT INTO track_events (track_id, type, data)
		SELECT $1, 'replaced', jsonb_build_object('n', n) FROM generate_series($2::int, $3::int) AS n ORDER BY n`, trackID, first, first+n-1)
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.db.Exec(context.WithoutCancel(r.t.Context()), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

// pass lets time go by for what waits.
func (r *rig) pass(interval string) {
	r.exec(`UPDATE track_events SET bus_next_at = bus_next_at - $1::interval, bus_since = bus_since - $1::interval,
		webhook_next_at = webhook_next_at - $1::interval, webhook_since = webhook_since - $1::interval`, interval)
}

func (r *rig) deliver(to ...events.Receiver) events.Counts {
	r.t.Helper()
	counts, err := events.New(events.Config{Store: r.store, Receivers: to, Log: slog.New(slog.DiscardHandler)}).Deliver(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return counts
}

// states counts the events in each state for a receiver.
func (r *rig) states(receiver track.EventReceiver) map[string]int {
	r.t.Helper()
	rows, err := r.db.Query(r.t.Context(), `SELECT `+string(receiver)+`_state, count(*) FROM track_events GROUP BY 1`)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	states := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			r.t.Fatal(err)
		}
		states[state] = n
	}
	return states
}

// heard is a CloudEvent that arrived.
type heard struct {
	SpecVersion, ID, Source, Type, Subject, Time, DataContentType string
	Data                                                          struct{ N int }
}

// listener is a webhook's receiver, which checks signatures with a library that is not ours.
type listener struct {
	t      *testing.T
	url    *url.URL
	answer func(heard, http.ResponseWriter) // nil: 204

	mu  sync.Mutex
	all []heard // accepted, in the order of arrival
}

func newListener(t *testing.T, answer func(heard, http.ResponseWriter)) *listener {
	t.Helper()
	l := &listener{t: t, answer: answer}
	verifier, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // its sender died
		}
		err = verifier.Verify(body, r.Header)
		var event heard
		if err == nil {
			err = json.Unmarshal(body, &event)
		}
		if err != nil || event.ID != r.Header.Get("webhook-id") || event.SpecVersion != "1.0" || event.Source != "trackstore" ||
			event.Type != "trackstore.track.replaced" || event.DataContentType != "application/json" || event.Time == "" {
			t.Errorf("got %+v, %s, %v", r.Header, body, err)
		}
		recorder := httptest.NewRecorder()
		if l.answer == nil {
			recorder.WriteHeader(http.StatusNoContent)
		} else {
			l.answer(event, recorder)
		}
		if recorder.Code < 300 {
			l.accept(event)
		}
		for name, values := range recorder.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(recorder.Code)
	}))
	t.Cleanup(server.Close)
	l.url, err = url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *listener) accept(event heard) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, event)
}

func (l *listener) receiver() events.Receiver { return events.NewWebhook(l.url, key) }

// sequence is what arrived of a track.
func (l *listener) sequence(trackID track.ID) (numbers []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.all {
		if e.Subject == trackID.String() {
			numbers = append(numbers, e.Data.N)
		}
	}
	return numbers
}

func (l *listener) wants(trackID track.ID, n int) {
	l.t.Helper()
	want := make([]int, n)
	for i := range want {
		want[i] = i + 1
	}
	if got := slices.Compact(l.sequence(trackID)); !slices.Equal(got, want) {
		l.t.Errorf("of track %s arrived %v, want 1 to %d", trackID, got, n)
	}
}

// bus stands in for EventBridge: it speaks PutEvents, and takes some entries and refuses others.
type bus struct {
	t      *testing.T
	url    string
	refuse func(call, entry int) bool
	answer func(call int) // nil: whatever it takes, it answers

	mu    sync.Mutex
	calls int
	taken []heard
}

func newBus(t *testing.T, refuse func(call, entry int) bool) *bus {
	t.Helper()
	b := &bus{t: t, refuse: refuse}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // its sender died
		}
		var in struct {
			Entries []struct {
				EventBusName, Source, DetailType, Detail string
				Time                                     float64
			}
		}
		if err := json.Unmarshal(body, &in); err != nil || r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" || r.Header.Get("Authorization") == "" {
			t.Errorf("a call of the bus: %v, %v", r.Header, err)
		}
		if len(in.Entries) > 10 {
			t.Errorf("%d entries in a call", len(in.Entries))
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.calls++
		type entry struct{ EventId, ErrorCode, ErrorMessage string } //nolint:revive // EventBridge's spelling
		var out struct {
			FailedEntryCount int
			Entries          []entry
		}
		for i, e := range in.Entries {
			if b.refuse != nil && b.refuse(b.calls, i) {
				out.FailedEntryCount++
				out.Entries = append(out.Entries, entry{ErrorCode: "ThrottlingException", ErrorMessage: "Rate exceeded"})
				continue
			}
			var event heard
			if err := json.Unmarshal([]byte(e.Detail), &event); err != nil || e.EventBusName != "platform" || e.Source != "trackstore" || e.DetailType != event.Type {
				t.Errorf("an entry: %+v, %v", e, err)
			}
			b.taken = append(b.taken, event)
			out.Entries = append(out.Entries, entry{EventId: strconv.Itoa(len(b.taken))})
		}
		if b.answer != nil {
			b.answer(b.calls)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *bus) receiver() events.Receiver { return busAt(b.url) }

func busAt(url string) events.Receiver {
	return events.NewBus(events.BusConfig{Name: "platform", Region: "eu-central-1", Endpoint: url, Access: func(context.Context) (aws.Config, error) {
		return aws.Config{Credentials: credentials.NewStaticCredentialsProvider("id", "key", "")}, nil
	}})
}
