package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trackstore/shared/config/awsaccess"
	"trackstore/shared/track"
)

// Bus puts events onto an EventBridge bus.
type Bus struct {
	name    string
	service awsaccess.Service
}

// BusConfig says which bus.
type BusConfig struct {
	Name     string // or its ARN
	Region   string
	Endpoint string // empty: AWS
	Access   awsaccess.Loader
}

// NewBus returns the bus that c describes. It sends nothing yet.
func NewBus(c BusConfig) *Bus {
	return &Bus{c.Name, awsaccess.Service{Name: "events", Region: c.Region, Endpoint: c.Endpoint, Access: c.Access}}
}

// Name returns track.EventBus.
func (*Bus) Name() track.EventReceiver { return track.EventBus }

// Batch is what PutEvents takes at once.
func (*Bus) Batch() int { return 10 }

const busPatience = 10 * time.Second

type putEventsEntry struct {
	EventBusName string   `json:"EventBusName"`
	Source       string   `json:"Source"`
	DetailType   string   `json:"DetailType"`
	Detail       string   `json:"Detail"`
	Resources    []string `json:"Resources"`
	Time         int64    `json:"Time"` // seconds since 1970
}

// Deliver puts all messages in one call, which may take some and refuse others.
func (b *Bus) Deliver(ctx context.Context, messages []Message) []error {
	errs := make([]error, len(messages))
	entries := make([]putEventsEntry, len(messages))
	for i, m := range messages {
		entries[i] = putEventsEntry{
			EventBusName: b.name, Source: "trackstore", DetailType: m.Type, Detail: string(m.Body), Resources: []string{}, Time: m.Time.Unix(),
		}
	}
	refused, err := b.put(ctx, entries)
	for i := range errs {
		switch {
		case err != nil:
			errs[i] = err
		case i >= len(refused):
			errs[i] = errors.New("the bus answers for fewer events than it got")
		default:
			errs[i] = refused[i]
		}
	}
	return errs
}

// put calls PutEvents and returns an error for each entry that was refused.
func (b *Bus) put(ctx context.Context, entries []putEventsEntry) ([]error, error) {
	ctx, cancel := context.WithTimeout(ctx, busPatience)
	defer cancel()
	var result struct {
		Entries []struct{ EventID, ErrorCode, ErrorMessage string } `json:"Entries"`
	}
	if err := b.service.Call(ctx, "AWSEvents.PutEvents", map[string]any{"Entries": entries}, &result); err != nil {
		return nil, fmt.Errorf("the bus: %w", err)
	}
	refused := make([]error, len(result.Entries))
	for i, e := range result.Entries {
		if e.ErrorCode != "" || e.EventID == "" {
			refused[i] = fmt.Errorf("the bus refuses the event: %s %s", e.ErrorCode, e.ErrorMessage)
		}
	}
	return refused, nil
}
