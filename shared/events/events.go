// Package events takes what became of tracks out to whoever has to act on it: to an EventBridge bus, to a webhook, or to
// both. Events are rows that the database's own statements write; here they are delivered, at least once, in order for
// each track, and tried again for three days where a receiver fails.
package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// Store keeps events.
type Store interface {
	// ClaimEvents takes up to limit events out for a receiver, at most one of each track, and holds them for hold: until
	// then nobody else gets them. Those that are not settled are taken out again after that. It may be repeated.
	ClaimEvents(ctx context.Context, r track.EventReceiver, limit int, hold time.Duration) ([]track.EventClaim, error)
	// SettleEvents records what became of claims. alone says that there is no other receiver. It may be repeated; after
	// track.ErrUnavailable nothing may be recorded, and the events are delivered again.
	SettleEvents(ctx context.Context, r track.EventReceiver, outcomes []track.EventOutcome, alone bool) error
}

// Receiver is somebody who is told.
type Receiver interface {
	// Name says which column of track_events is this receiver's.
	Name() track.EventReceiver
	// Deliver sends messages and returns an error for each, nil for those that the receiver has. It may send a message
	// that the receiver has had before: the id tells. An error that wraps ErrGone means that no try will ever succeed.
	Deliver(ctx context.Context, messages []Message) []error
	// Batch is how many messages Deliver takes at most.
	Batch() int
}

// ErrGone says that the receiver wants no more of this.
var ErrGone = errors.New("the receiver is gone")

// Message is an event as receivers get it.
type Message struct {
	ID   string
	Type string // trackstore.track.ready and so on
	Time time.Time
	Body []byte // a CloudEvent 1.0 in JSON
}

// Config is what a Deliverer is made from.
type Config struct {
	Store     Store
	Receivers []Receiver // none: nothing is taken out
	Log       *slog.Logger
	Metrics   *metrics.Emitter // EventsDelivered, EventsDead, EventDeliveriesFailed; nil: none are written
}

// Deliverer delivers events. Its methods may be called concurrently, also by several processes.
type Deliverer struct{ Config }

// New returns a Deliverer.
func New(c Config) *Deliverer { return &Deliverer{c} }

// The rhythm of deliveries.
const (
	hold     = time.Minute    // how long an event may be under way
	giveUp   = 72 * time.Hour // since the first attempt
	patience = 30             // failures in a row after which a receiver is left alone until the next call
)

// Counts says what a call of Deliver did.
type Counts struct {
	Delivered int `json:"delivered"`
	Failed    int `json:"failed"` // and to be tried again
	Dead      int `json:"dead"`   // given up
}

// Handle is Deliver as the handler of the scheduled function; its input is ignored.
func (d *Deliverer) Handle(ctx context.Context, _ json.RawMessage) (Counts, error) {
	return d.Deliver(ctx)
}

// Deliver takes out what is due, until nothing is or ctx is about to end, for all receivers side by side: one that fails
// does not hold up another. The error is of the database; what a receiver does wrong is counted.
func (d *Deliverer) Deliver(ctx context.Context) (Counts, error) {
	var (
		all     Counts
		errs    = make([]error, len(d.Receivers))
		mu      sync.Mutex
		working sync.WaitGroup
	)
	for i, r := range d.Receivers {
		working.Go(func() {
			counts, err := d.deliverTo(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			errs[i] = err
			all.Delivered += counts.Delivered
			all.Failed += counts.Failed
			all.Dead += counts.Dead
		})
	}
	working.Wait()
	d.Metrics.Emit(
		metrics.Count("EventsDelivered", all.Delivered),
		metrics.Count("EventDeliveriesFailed", all.Failed),
		metrics.Count("EventsDead", all.Dead),
	)
	return all, errors.Join(errs...)
}

// promptly is how long Deliver may go on after something else is done.
const promptly = 5 * time.Second

// After returns handle with a delivery at its end, so that what it wrote leaves at once. Whatever comes of that, the
// answer is handle's: what stays is taken out on schedule.
func After[In, Out any](handle func(context.Context, In) (Out, error), d *Deliverer) func(context.Context, In) (Out, error) {
	if len(d.Receivers) == 0 {
		return handle
	}
	return func(ctx context.Context, in In) (Out, error) {
		out, err := handle(ctx, in)
		delivering, cancel := context.WithTimeout(ctx, promptly)
		defer cancel()
		if _, failure := d.Deliver(delivering); failure != nil {
			d.Log.WarnContext(ctx, "events are left to the schedule", "err", failure)
		}
		return out, err
	}
}

// deliverTo takes out what is due for one receiver.
func (d *Deliverer) deliverTo(ctx context.Context, r Receiver) (all Counts, err error) {
	inARow := 0
	for ctx.Err() == nil && inARow < patience {
		claims, err := d.Store.ClaimEvents(ctx, r.Name(), r.Batch(), hold)
		if err != nil || len(claims) == 0 {
			return all, err
		}
		outcomes := d.try(ctx, r, claims)
		// What is delivered is worth recording though ctx has ended: else it is sent again. A crash before this, or a
		// failure of it, leaves the events to be delivered once more when their time is over.
		settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		err = d.Store.SettleEvents(settling, r.Name(), outcomes, len(d.Receivers) == 1)
		cancel()
		if err != nil {
			return all, err
		}
		for _, o := range outcomes {
			inARow++
			switch o.State {
			case track.EventDelivered:
				all.Delivered++
				inARow = 0
			case track.EventDead:
				all.Dead++
			default:
				all.Failed++
			}
			d.report(ctx, r, o)
		}
	}
	return all, nil
}

// try sends claims and says what became of each.
func (d *Deliverer) try(ctx context.Context, r Receiver, claims []track.EventClaim) []track.EventOutcome {
	sending, cancel := context.WithTimeout(ctx, hold/2) // well before somebody else takes them out
	defer cancel()
	messages := make([]Message, len(claims))
	for i, c := range claims {
		messages[i] = message(c.Event)
	}
	errs := r.Deliver(sending, messages)
	outcomes := make([]track.EventOutcome, len(claims))
	for i, c := range claims {
		outcomes[i] = outcome(c, errs[i])
	}
	return outcomes
}

// outcome decides what becomes of a claim whose delivery ended with err.
func outcome(c track.EventClaim, err error) track.EventOutcome {
	o := track.EventOutcome{Claim: c, State: track.EventWaiting, Err: err}
	switch {
	case err == nil:
		o.State = track.EventDelivered
	case errors.Is(err, ErrGone), c.Trying >= giveUp:
		o.State = track.EventDead
	default:
		o.Wait = pause(c.Attempt)
		var asked *RetryAfterError
		if errors.As(err, &asked) {
			o.Wait = max(o.Wait, min(asked.After, time.Hour))
		}
	}
	return o
}

// pause is how long to wait after the attempt with this number: from a second to two hours, and at random, so that those
// that failed together do not come back together.
func pause(attempt int) time.Duration {
	const shortest, longest = time.Second, 2 * time.Hour
	d := longest
	if attempt < 14 { // 2^13 s are more than two hours
		d = min(shortest<<(attempt-1), longest)
	}
	return d/2 + rand.N(d)
}

// RetryAfterError says when the receiver wants to hear again.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

func (e *RetryAfterError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RetryAfterError) Unwrap() error { return e.Err }

func (d *Deliverer) report(ctx context.Context, r Receiver, o track.EventOutcome) {
	log := d.Log.With("event_id", o.Claim.ID, "track_id", o.Claim.TrackID, "type", o.Claim.Type.Name(), "receiver", r.Name(), "attempt", o.Claim.Attempt)
	switch o.State {
	case track.EventDelivered:
		log.DebugContext(ctx, "event delivered")
	case track.EventDead:
		log.ErrorContext(ctx, "an event is given up: trackstore events retry frees it", "err", o.Err)
	default:
		log.WarnContext(ctx, "an event could not be delivered, and is tried again", "err", o.Err, "wait_seconds", int(o.Wait.Seconds()))
	}
}

// message makes the CloudEvent. Its sequence (a documented extension of CloudEvents) grows from event to event of a track,
// and is compared as text.
func message(e track.Event) Message {
	body, err := json.Marshal(struct {
		SpecVersion     string          `json:"specversion"`
		ID              track.ID        `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		Subject         track.ID        `json:"subject"`
		Time            time.Time       `json:"time"`
		Sequence        string          `json:"sequence"`
		DataContentType string          `json:"datacontenttype"`
		Data            json.RawMessage `json:"data"`
	}{"1.0", e.ID, "trackstore", e.Type.Name(), e.TrackID, e.CreatedAt.UTC(), fmt.Sprintf("%019d", e.Seq), "application/json", e.Data})
	if err != nil { // Postgres kept data as JSON
		panic(fmt.Sprintf("events: event %s: %v", e.ID, err))
	}
	return Message{ID: e.ID.String(), Type: e.Type.Name(), Time: e.CreatedAt, Body: bytes.TrimSpace(body)}
}
