package config

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// Events says where events go. The zero value: they stay in the table.
type Events struct {
	Bus         string // an EventBridge bus, its name or ARN; empty: none
	Region      string // of the bus
	BusEndpoint *url.URL
	WebhookURL  *url.URL // nil: none
	WebhookKey  Secret   // signs what the webhook gets: raw bytes
}

// webhookSecretPrefix is what the Standard Webhooks specification begins secrets with.
const webhookSecretPrefix = "whsec_"

// events reads and checks by rule 12.
func (l *loader) events() Events {
	e := Events{Bus: get[string](l, "EVENTS_BUS"), WebhookURL: get[*url.URL](l, "EVENTS_WEBHOOK_URL")}
	if e.Bus != "" {
		e.Region = get[string](l, "AWS_REGION")
		if parts := strings.Split(e.Bus, ":"); len(parts) > 3 { // arn:aws:events:region:account:event-bus/name
			e.Region = parts[3]
		}
		if !isRegion(e.Region) {
			l.fail("AWS_REGION", unsetOr(e.Region, "is not a region's name"), "write it like eu-central-1; EVENTS_BUS asks for it")
		}
		// The SDK's own variable, for a bus that is not AWS's.
		if endpoint, err := url.Parse(l.getenv("AWS_ENDPOINT_URL_EVENTBRIDGE")); err == nil && endpoint.Host != "" {
			e.BusEndpoint = endpoint
		}
	}
	secret := get[Secret](l, "EVENTS_WEBHOOK_SECRET")
	switch {
	case e.WebhookURL == nil && secret.IsZero():
		return e
	case e.WebhookURL == nil:
		l.fail("EVENTS_WEBHOOK_URL", "is not set, but EVENTS_WEBHOOK_SECRET is", "they come together")
		return e
	}
	l.secure("EVENTS_WEBHOOK_URL", e.WebhookURL)
	encoded, prefixed := strings.CutPrefix(secret.Reveal(), webhookSecretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !prefixed || err != nil || len(key) < 24 || len(key) > 64 {
		l.fail("EVENTS_WEBHOOK_SECRET", unsetOr(secret.Reveal(), "is not of the form whsec_…, with 24 to 64 bytes in base64"),
			"make one: echo whsec_$(openssl rand -base64 32)")
	}
	e.WebhookKey = NewSecret(string(key))
	return e
}
