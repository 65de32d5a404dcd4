package events_test

import (
	"context"
	"flag"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"trackstore/shared/events"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// faultsWanted is how many faults TestFaults makes: kills of processes, ends of their connections to the database, and
// deliveries that a receiver answers badly, late or not at all.
//
//	go test ./shared/events -run TestFaults -faults=10000 -timeout=1h -v
var faultsWanted = flag.Int("faults", 200, "how many faults TestFaults makes")

const (
	delivererVariable = "EVENTS_TEST_DELIVERER" // the database of a process of this test
	hookVariable      = "EVENTS_TEST_HOOK"
	busVariable       = "EVENTS_TEST_BUS"
)

// deliverUntilKilled is a process that delivers as deliver-events does. It kills itself at a step that it draws, or at any
// moment.
func deliverUntilKilled(getenv func(string) string) {
	store, err := pgstore.Open(context.Background(), getenv(delivererVariable), 3)
	if err != nil {
		os.Exit(1)
	}
	hook, err := url.Parse(getenv(hookVariable))
	if err != nil {
		os.Exit(1)
	}
	m := &mortal{Store: store}
	m.left.Store(1 + rand.Int64N(60))
	if rand.N(3) == 0 {
		time.AfterFunc(rand.N(200*time.Millisecond), func() { m.die("at any moment") })
	}
	d := events.New(events.Config{Store: m, Log: slog.New(slog.DiscardHandler),
		Receivers: []events.Receiver{mortalReceiver{events.NewWebhook(hook, key), m}, mortalReceiver{busAt(getenv(busVariable)), m}}})
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond+rand.N(500*time.Millisecond)) // the function's time
		_, _ = d.Deliver(ctx)                                                                                      // the table tells
		cancel()
		time.Sleep(5 * time.Millisecond)
	}
}

// mortal is a store in whose use the process dies.
type mortal struct {
	events.Store
	left atomic.Int64 // steps
}

func (m *mortal) step(name string) {
	if m.left.Add(-1) == 0 {
		m.die(name)
	}
}

func (m *mortal) die(where string) {
	_, _ = os.Stdout.WriteString(where)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (m *mortal) ClaimEvents(ctx context.Context, r track.EventReceiver, limit int, hold time.Duration) ([]track.EventClaim, error) {
	claims, err := m.Store.ClaimEvents(ctx, r, limit, hold)
	if len(claims) > 0 {
		m.step("after a claim")
	}
	return claims, err
}

func (m *mortal) SettleEvents(ctx context.Context, r track.EventReceiver, outcomes []track.EventOutcome, alone bool) error {
	m.step("before the record")
	err := m.Store.SettleEvents(ctx, r, outcomes, alone)
	m.step("after the record")
	return err
}

type mortalReceiver struct {
	events.Receiver
	m *mortal
}

func (r mortalReceiver) Deliver(ctx context.Context, messages []events.Message) []error {
	r.m.step("before sending")
	if len(messages) > 1 && rand.N(4) == 0 { // with a part of them sent
		_ = r.Receiver.Deliver(ctx, messages[:len(messages)/2])
		r.m.step("amid sending")
	}
	return r.Receiver.Deliver(ctx, messages)
}

// faults counts them by kind.
type faults struct {
	mu    sync.Mutex
	kinds map[string]int
	all   atomic.Int64
	over  atomic.Bool // there are enough
}

func (f *faults) count(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kinds[kind]++
	f.over.Store(f.all.Add(1) >= int64(*faultsWanted))
}

// hook answers as a webhook does that has a bad day. gone are the tracks of which it says now and then that it wants no more.
func (f *faults) hook(l **listener, gone map[string]bool) func(heard, http.ResponseWriter) {
	return func(e heard, w http.ResponseWriter) {
		code := http.StatusNoContent
		if !f.over.Load() {
			switch rand.N(14) {
			case 0, 1:
				f.count("500")
				code = http.StatusInternalServerError
			case 2:
				f.count("no answer, and the event is there")
				(*l).accept(e)
				panic(http.ErrAbortHandler)
			case 3:
				f.count("no answer")
				panic(http.ErrAbortHandler)
			case 4:
				if rand.N(10) == 0 { // the sender's time runs out
					f.count("hangs")
					time.Sleep(700 * time.Millisecond)
				}
			case 5:
				if gone[e.Subject] {
					f.count("410")
					code = http.StatusGone
				}
			}
		}
		w.WriteHeader(code)
	}
}

// TestFaults delivers beside writers by processes that are killed at each step, over connections that are ended, to receivers
// that fail: nothing is lost, each event comes under one id alone, and in order for each track.
func TestFaults(t *testing.T) {
	t.Parallel()
	r, f := newRig(t), &faults{kinds: map[string]int{}}
	tracks, gone := make([]track.ID, 24), map[string]bool{}
	for i := range tracks {
		tracks[i] = track.NewID()
		gone[tracks[i].String()] = i%6 == 5
	}
	var l *listener
	l = newListener(t, f.hook(&l, gone))
	b := newBus(t, func(int, int) bool {
		if f.over.Load() || rand.N(15) > 0 {
			return false
		}
		f.count("the bus refuses one of ten")
		return true
	})
	b.answer = func(int) {
		if !f.over.Load() && rand.N(12) == 0 {
			f.count("no answer of the bus")
			panic(http.ErrAbortHandler)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for range 3 {
		working.Go(func() {
			for ctx.Err() == nil {
				f.runDeliverer(ctx, t, r.url, l.url.String(), b.url)
			}
		})
	}
	written := f.writeUntilOver(r, tracks)
	cancel()
	working.Wait()
	t.Logf("%d events to each of two receivers, %d faults: %v", written*len(tracks), f.all.Load(), f.kinds)
	l.mu.Lock() // an answer that hangs may come still
	defer l.mu.Unlock()
	for name, all := range map[string][]heard{"webhook": l.all, "bus": b.taken} {
		for _, id := range tracks {
			arrived(t, name, all, id, written, name != "webhook" || !gone[id.String()])
		}
	}
}

// runDeliverer runs a process until it dies.
func (f *faults) runDeliverer(ctx context.Context, t *testing.T, database, hook, bus string) {
	var said strings.Builder
	command := exec.CommandContext(ctx, os.Args[0])
	command.Env = append(os.Environ(), delivererVariable+"="+database, hookVariable+"="+hook, busVariable+"="+bus)
	command.Stdout = &said
	_ = command.Run()
	switch {
	case ctx.Err() != nil: // the test is over
	case said.Len() == 0:
		t.Errorf("a deliverer ended by itself: %v", command.ProcessState)
	default:
		f.count("killed " + said.String())
	}
}

// writeUntilOver writes events of each track until there were enough faults, lets time pass for what waits, ends connections,
// and waits until all is delivered. It returns the number of events of a track.
func (f *faults) writeUntilOver(r *rig, tracks []track.ID) (written int) {
	r.t.Helper()
	for deadline := time.Now().Add(50 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var waiting, dead int
		r.scan(`SELECT count(*) FILTER (WHERE webhook_state = 'waiting' OR bus_state = 'waiting'), count(*) FILTER (WHERE webhook_state = 'dead')
			FROM track_events`, &waiting, &dead)
		switch {
		case waiting+dead == 0 && f.over.Load():
			return written
		case time.Now().After(deadline):
			r.t.Fatalf("still %d", waiting)
		case !f.over.Load() && waiting < 2000:
			for _, id := range tracks {
				r.write(id, written+1, 1)
			}
			written++
		}
		if f.over.Load() || rand.N(10) == 0 {
			_, _ = r.store.RetryEvents(r.t.Context(), track.EventWebhook) // its connection may be one that ends: the next round frees them
		}
		// Not of what is due already: a version of each row fifty times a second is more than a vacuum takes away, and soon a claim
		// takes longer than a deliverer has.
		r.exec(`UPDATE track_events SET webhook_next_at = webhook_next_at - interval '1 hour', bus_next_at = bus_next_at - interval '1 hour'
			WHERE seq = ANY (ARRAY(SELECT seq FROM track_events
				WHERE webhook_state = 'waiting' AND webhook_next_at > now() OR bus_state = 'waiting' AND bus_next_at > now() FOR UPDATE SKIP LOCKED))`)
		if !f.over.Load() && rand.N(4) == 0 {
			var cut int
			r.scan(`SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'trackstore' AND pid <> pg_backend_pid() AND random() < 0.3`, &cut)
			for range cut {
				f.count("the database ends a connection")
			}
		}
	}
}

func (r *rig) scan(sql string, to ...any) {
	r.t.Helper()
	if err := r.db.QueryRow(r.t.Context(), sql).Scan(to...); err != nil {
		r.t.Fatal(err)
	}
}

// arrived checks what a receiver got of a track: again and again maybe, but all of it, each under one id, and never a new one
// before an older one.
func arrived(t *testing.T, receiver string, all []heard, trackID track.ID, n int, inOrder bool) {
	t.Helper()
	ids, last := map[int]string{}, 0
	for _, e := range all {
		if e.Subject != trackID.String() {
			continue
		}
		if id, known := ids[e.Data.N]; known {
			if id != e.ID {
				t.Errorf("%s: event %d of track %s came as %s and as %s", receiver, e.Data.N, trackID, id, e.ID)
			}
			continue
		}
		if inOrder && e.Data.N != last+1 {
			t.Errorf("%s: of track %s came %d after %d", receiver, trackID, e.Data.N, last)
		}
		ids[e.Data.N], last = e.ID, e.Data.N
	}
	if len(ids) != n {
		t.Errorf("%s: of track %s came %d of %d", receiver, trackID, len(ids), n)
	}
}
