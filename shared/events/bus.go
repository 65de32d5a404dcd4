package events

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"trackstore/shared/config/awsaccess"
	"trackstore/shared/track"
)

// Bus puts events onto an EventBridge bus. It makes the one call that it needs by itself, with the SDK's signer: the SDK's
// client for EventBridge would be paid for at every cold start.
type Bus struct {
	name     string
	region   string
	endpoint string
	access   awsaccess.Loader
	client   *http.Client
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
	if c.Endpoint == "" {
		c.Endpoint = "https://events." + c.Region + "." + domain(c.Region)
	}
	return &Bus{name: c.Name, region: c.Region, endpoint: c.Endpoint, access: c.Access, client: &http.Client{}}
}

// domain is that of a region's partition.
func domain(region string) string {
	if len(region) > 3 && region[:3] == "cn-" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
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
	body, err := json.Marshal(map[string]any{"Entries": entries})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	if err := b.sign(ctx, r, body); err != nil {
		return nil, fmt.Errorf("sign a call of the bus: %w", err)
	}
	answer, err := b.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the bus does not answer: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("the bus does not answer: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the bus answers %s: %.300s", answer.Status, text)
	}
	var result struct {
		Entries []struct{ EventID, ErrorCode, ErrorMessage string } `json:"Entries"`
	}
	if err := json.Unmarshal(text, &result); err != nil {
		return nil, fmt.Errorf("the bus answers what is no answer to PutEvents: %w", err)
	}
	refused := make([]error, len(result.Entries))
	for i, e := range result.Entries {
		if e.ErrorCode != "" || e.EventID == "" {
			refused[i] = fmt.Errorf("the bus refuses the event: %s %s", e.ErrorCode, e.ErrorMessage)
		}
	}
	return refused, nil
}

func (b *Bus) sign(ctx context.Context, r *http.Request, body []byte) error {
	cfg, err := b.access(ctx)
	if err != nil {
		return err
	}
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	return v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), "events", b.region, time.Now())
}
