package events

import (
	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
)

// Receivers returns those that cfg names.
func Receivers(cfg config.Events, access awsaccess.Loader) []Receiver {
	var all []Receiver
	if cfg.Bus != "" {
		bus := BusConfig{Name: cfg.Bus, Region: cfg.Region, Access: access}
		if cfg.BusEndpoint != nil {
			bus.Endpoint = cfg.BusEndpoint.String()
		}
		all = append(all, NewBus(bus))
	}
	if cfg.WebhookURL != nil {
		all = append(all, NewWebhook(cfg.WebhookURL, []byte(cfg.WebhookKey.Reveal())))
	}
	return all
}
