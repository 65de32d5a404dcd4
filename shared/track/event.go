package track

import (
	"encoding/json"
	"time"
)

// EventType says what became of a track.
type EventType string

// The types of events.
const (
	EventReady    EventType = "ready"    // its first file is there
	EventReplaced EventType = "replaced" // it has another file
	EventFailed   EventType = "failed"   // a file was refused
	EventDeleted  EventType = "deleted"
	EventMoved    EventType = "moved" // the same file lies elsewhere
)

// Name is the type as receivers get it.
func (t EventType) Name() string { return "trackstore.track." + string(t) }

// Event is a row of track_events: what became of a track.
type Event struct {
	Seq       int64 // of two events of one track the later one has the greater
	ID        ID    // the same at every delivery
	TrackID   ID
	Type      EventType
	Data      json.RawMessage // the track as the API has it, and where it lies
	CreatedAt time.Time
}

// EventClaim is an event that was taken out for a receiver.
type EventClaim struct {
	Event
	Attempt int           // from 1
	Trying  time.Duration // since the first attempt
}

// EventState is where the delivery of an event to one receiver stands.
type EventState string

// The states. Waiting is the only one that changes by itself.
const (
	EventWaiting   EventState = "waiting"
	EventDelivered EventState = "delivered"
	EventDead      EventState = "dead" // given up
	EventNone      EventState = "none" // there was no such receiver
)

// EventOutcome is what became of an EventClaim.
type EventOutcome struct {
	Claim EventClaim
	State EventState
	Wait  time.Duration // Waiting: until the next attempt
	Err   error         // why it is not Delivered
}

// EventReceiver names a receiver of events.
type EventReceiver string

// The receivers.
const (
	EventBus     EventReceiver = "bus"     // an EventBridge bus
	EventWebhook EventReceiver = "webhook" // an HTTP endpoint
)

// EventCounts counts the events that are not at their end for one receiver.
type EventCounts struct {
	Waiting   int64         `json:"waiting"`
	Dead      int64         `json:"dead"`
	OldestAge time.Duration `json:"-"` // of the oldest that waits
}

// EventRow is an event and where its deliveries stand.
type EventRow struct {
	Event
	Bus, Webhook           EventState
	BusError, WebhookError string
}
