package events

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

// Webhook sends each event as a POST, signed by the Standard Webhooks specification (https://www.standardwebhooks.com).
type Webhook struct {
	url    *url.URL
	key    []byte
	client *http.Client
	now    func() time.Time
}

// NewWebhook returns the webhook at url, whose messages are signed with key.
func NewWebhook(url *url.URL, key []byte) *Webhook {
	return &Webhook{
		url: url, key: key, now: time.Now,
		client: &http.Client{
			// Who is told is decided here, and not by an answer.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Name returns track.EventWebhook.
func (*Webhook) Name() track.EventReceiver { return track.EventWebhook }

const (
	webhookBatch    = 64
	webhooksAtOnce  = 16
	webhookPatience = 10 * time.Second // of one request
)

// Batch is how many messages Deliver takes; they are sent side by side.
func (*Webhook) Batch() int { return webhookBatch }

// Deliver sends each message in a request of its own.
func (w *Webhook) Deliver(ctx context.Context, messages []Message) []error {
	errs := make([]error, len(messages))
	var sending errgroup.Group
	sending.SetLimit(webhooksAtOnce)
	for i, m := range messages {
		sending.Go(func() error {
			errs[i] = w.send(ctx, m)
			return nil
		})
	}
	_ = sending.Wait() // errs has the errors
	return errs
}

func (w *Webhook) send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, webhookPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(m.Body))
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(w.now().Unix(), 10)
	r.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	r.Header.Set("User-Agent", "trackstore")
	r.Header.Set("webhook-id", m.ID)
	r.Header.Set("webhook-timestamp", timestamp)
	r.Header.Set("webhook-signature", w.sign(m, timestamp))
	answer, err := w.client.Do(r)
	if err != nil {
		return plain(err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can serve again
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusGone:
		return fmt.Errorf("the webhook answers %s: %w", answer.Status, ErrGone)
	default:
		err := fmt.Errorf("the webhook answers %s", answer.Status)
		if seconds, e := strconv.Atoi(answer.Header.Get("Retry-After")); e == nil && seconds > 0 {
			return &RetryAfterError{time.Duration(seconds) * time.Second, err}
		}
		return err
	}
}

// plain takes the URL out of an error, which may hold a secret and ends up in the log.
func plain(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err
	}
	return fmt.Errorf("the webhook does not answer: %w", err)
}

// sign returns the header webhook-signature.
func (w *Webhook) sign(m Message, timestamp string) string {
	h := hmac.New(sha256.New, w.key)
	_, _ = fmt.Fprintf(h, "%s.%s.", m.ID, timestamp)
	h.Write(m.Body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
