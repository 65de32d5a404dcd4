package events_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trackstore/shared/events"
	"trackstore/shared/track"
)

func TestEventsArriveInOrder(t *testing.T) {
	t.Parallel()
	r, l := newRig(t), newListener(t, nil)
	tracks := []track.ID{track.NewID(), track.NewID(), track.NewID()}
	for _, id := range tracks {
		r.write(id, 1, 20)
	}
	if got := r.deliver(l.receiver()); got.Delivered != 60 {
		t.Errorf("%+v", got)
	}
	for _, id := range tracks {
		l.wants(id, 20)
	}
	// There is no bus: nothing waits for one.
	if got := r.states(track.EventBus); got["none"] != 60 {
		t.Errorf("for the bus: %v", got)
	}
}

// A receiver that fails for one track holds up neither the other tracks nor the other receiver, and that track's later
// events wait for the first.
func TestAFailureHoldsUpItsTrackAlone(t *testing.T) {
	t.Parallel()
	bad, good := track.NewID(), track.NewID()
	var failing atomic.Bool
	failing.Store(true)
	l := newListener(t, func(e heard, w http.ResponseWriter) {
		if e.Subject == bad.String() && e.Data.N == 2 && failing.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	b, r := newBus(t, nil), newRig(t)
	r.write(bad, 1, 5)
	r.write(good, 1, 5)
	if got := r.deliver(l.receiver(), b.receiver()); got.Delivered != 10+5+1 || got.Failed == 0 {
		t.Errorf("%+v", got)
	}
	l.wants(good, 5)
	l.wants(bad, 1)
	failing.Store(false)
	r.pass("1 hour")
	r.deliver(l.receiver(), b.receiver())
	l.wants(bad, 5)
	if got := r.states(track.EventBus); got["delivered"] != 10 {
		t.Errorf("for the bus: %v", got)
	}
}

func TestAReceiverThatIsDown(t *testing.T) {
	t.Parallel()
	r, id := newRig(t), track.NewID()
	r.write(id, 1, 3)
	nobody, err := url.Parse("http://127.0.0.1:1/hook?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	// For an hour, and at any moment of it a function comes by.
	for range 60 {
		if got := r.deliver(events.NewWebhook(nobody, key)); got.Delivered+got.Dead != 0 {
			t.Fatalf("%+v", got)
		}
		r.pass("1 minute")
	}
	var attempts int
	var problem string
	if err := r.db.QueryRow(t.Context(), `SELECT webhook_attempts, webhook_error FROM track_events ORDER BY seq LIMIT 1`).Scan(&attempts, &problem); err != nil {
		t.Fatal(err)
	}
	if attempts < 5 || attempts > 20 {
		t.Errorf("it was tried %d times in an hour", attempts)
	}
	if want := "the webhook does not answer: "; len(problem) < len(want) || problem[:len(want)] != want || strings.Contains(problem, "secret") {
		t.Errorf("the error is %q", problem)
	}
	l := newListener(t, nil)
	r.pass("2 hours")
	r.deliver(l.receiver())
	l.wants(id, 3)
}

func TestGivenUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code  int
		after string // the first attempt
		want  string
	}{
		"410":                   {http.StatusGone, "0", "dead"},
		"500 on the first day":  {http.StatusInternalServerError, "1 day", "waiting"},
		"500 after three days":  {http.StatusInternalServerError, "73 hours", "dead"},
		"a redirect elsewhere":  {http.StatusFound, "1 day", "waiting"},
		"not found":             {http.StatusNotFound, "1 hour", "waiting"},
		"any success is enough": {http.StatusAccepted, "1 hour", "delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, id := newRig(t), track.NewID()
			l := newListener(t, func(_ heard, w http.ResponseWriter) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(test.code)
			})
			r.write(id, 1, 1)
			r.deliver(l.receiver())
			r.pass(test.after)
			r.deliver(l.receiver())
			if got := r.states(track.EventWebhook); got[test.want] != 1 {
				t.Errorf("%v, want %s", got, test.want)
			}
			if test.want != "dead" {
				return
			}
			// The dead do not hold up what comes after them, and can be freed.
			r.write(id, 2, 1)
			l.answer = nil
			if got := r.deliver(l.receiver()); got.Delivered != 1 {
				t.Errorf("after the dead one: %+v", got)
			}
			if freed, err := r.store.RetryEvents(t.Context(), track.EventWebhook); err != nil || freed != 1 {
				t.Errorf("freed %d, %v", freed, err)
			}
			if got := r.deliver(l.receiver()); got.Delivered != 1 {
				t.Errorf("freed: %+v", got)
			}
		})
	}
}

func TestRetryAfterIsHeeded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := newListener(t, func(_ heard, w http.ResponseWriter) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	r.write(track.NewID(), 1, 1)
	r.deliver(l.receiver())
	var seconds float64
	if err := r.db.QueryRow(t.Context(), `SELECT extract(epoch FROM webhook_next_at - now()) FROM track_events`).Scan(&seconds); err != nil {
		t.Fatal(err)
	}
	if seconds < 500 || seconds > 700 {
		t.Errorf("the next attempt is in %.0f s", seconds)
	}
}

func TestABusThatTakesSome(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := newBus(t, func(call, entry int) bool { return call <= 3 && entry%3 == 1 })
	for range 40 {
		r.write(track.NewID(), 1, 1)
	}
	first := r.deliver(b.receiver())
	if first.Failed == 0 || first.Delivered+first.Failed < 40 {
		t.Errorf("%+v", first)
	}
	r.pass("1 hour")
	r.deliver(b.receiver())
	ids := map[string]bool{}
	for _, e := range b.taken {
		if ids[e.ID] {
			t.Errorf("event %s was taken twice", e.ID)
		}
		ids[e.ID] = true
	}
	if len(ids) != 40 {
		t.Errorf("%d events were taken", len(ids))
	}
}

func TestListenersOfTheDatabaseAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn, err := r.db.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "LISTEN trackstore_events"); err != nil {
		t.Fatal(err)
	}
	id := track.NewID()
	r.write(id, 1, 1)
	told, err := conn.Conn().WaitForNotification(t.Context())
	if err != nil || !strings.Contains(told.Payload, `"track_id" : "`+id.String()+`"`) {
		t.Fatalf("%v, %v", told, err)
	}
}

func TestOldEventsAreForgotten(t *testing.T) {
	t.Parallel()
	r, l := newRig(t), newListener(t, nil)
	r.write(track.NewID(), 1, 4)
	r.deliver(l.receiver())
	r.write(track.NewID(), 1, 1)
	r.exec(`UPDATE track_events SET created_at = now() - interval '8 days' WHERE seq <> 2`)
	// The fifth is old and waits, the second is delivered and young.
	if got, err := r.store.ForgetEvents(t.Context(), 7*24*time.Hour, 30*24*time.Hour, 100); err != nil || got != 3 {
		t.Errorf("forgot %d, %v, want 3", got, err)
	}
	r.exec(`UPDATE track_events SET created_at = now() - interval '31 days' WHERE webhook_state = 'waiting'`)
	if got, err := r.store.ForgetEvents(t.Context(), 7*24*time.Hour, 30*24*time.Hour, 100); err != nil || got != 1 {
		t.Errorf("forgot %d, %v, want the one that nobody took", got, err)
	}
}

func TestEventsAreListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(track.NewID(), 1, 5)
	last, err := r.store.LastEvents(t.Context(), 2)
	if err != nil || len(last) != 2 || last[0].Seq != 4 || last[1].Seq != 5 || last[1].Webhook != track.EventWaiting {
		t.Errorf("the last: %+v, %v", last, err)
	}
	after, err := r.store.EventsAfter(t.Context(), 1, 2)
	if err != nil || len(after) != 2 || after[0].Seq != 2 || after[1].Seq != 3 {
		t.Errorf("those after the first: %+v, %v", after, err)
	}
}
