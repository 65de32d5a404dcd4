package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"trackstore/internal/awsdefault"
	"trackstore/shared/config"
	"trackstore/shared/events"
	"trackstore/shared/places"
	"trackstore/shared/track"
)

type eventsCmd struct {
	Status  eventsStatusCmd  `cmd:"" help:"Show how many events wait, and how many are given up."`
	Tail    eventsTailCmd    `cmd:"" help:"Show the last events, and those that come."`
	Retry   eventsRetryCmd   `cmd:"" help:"Free the events that were given up, and try all that wait now."`
	Deliver eventsDeliverCmd `cmd:"" help:"Take out what is due, once, as the function deliver-events does."`
}

// Help is shown by --help.
func (eventsCmd) Help() string {
	return "What becomes of tracks is written into the table track_events by the statements that make it so, and delivered to " +
		"EVENTS_BUS and EVENTS_WEBHOOK_URL: at least once, in order for each track, for three days.\n\n" +
		"Exit codes: 0 done; 1 usage, configuration, or database out of reach; 2 events are given up, or could not be delivered."
}

// receivers are in the order of showing.
var receivers = []track.EventReceiver{track.EventBus, track.EventWebhook}

type (
	eventsStatusCmd struct {
		JSON bool `name:"json" help:"Write a JSON object."`
	}
	eventsTailCmd struct {
		Lines  int  `short:"n" default:"10" help:"How many of the last events are shown first."`
		Follow bool `short:"f" help:"Go on with those that come, until Ctrl-C."`
		JSON   bool `name:"json" help:"Write each as a JSON object a line."`
	}
	eventsRetryCmd   struct{}
	eventsDeliverCmd struct{}
)

// openEvents opens the database, and reads where events go.
func openEvents(ctx context.Context, c *console) (config.DeliverEvents, *places.Places, error) {
	cfg, err := config.Load[config.DeliverEvents](c.getenv)
	if err != nil {
		return cfg, nil, withHint(err, envHint)
	}
	p, err := c.openPlaces(ctx, places.Config{Places: cfg.Places, Connections: 4, Log: cfg.Logger(c.stderr)})
	return cfg, p, err
}

func (cmd *eventsStatusCmd) Run(ctx context.Context, c *console) error {
	cfg, p, err := openEvents(ctx, c)
	if err != nil {
		return err
	}
	defer p.Close()
	counts, err := p.Database.CountEvents(ctx)
	if err != nil {
		return err
	}
	configured := map[track.EventReceiver]bool{track.EventBus: cfg.Events.Bus != "", track.EventWebhook: cfg.Events.WebhookURL != nil}
	type line struct {
		track.EventCounts
		Configured       bool    `json:"configured"`
		OldestAgeSeconds float64 `json:"oldest_age_seconds"`
	}
	all := make(map[track.EventReceiver]line)
	dead := false
	for _, r := range receivers {
		all[r] = line{counts[r], configured[r], counts[r].OldestAge.Seconds()}
		dead = dead || counts[r].Dead > 0
	}
	if cmd.JSON {
		writeJSON(c.stdout, all)
	} else {
		for _, r := range receivers {
			n := all[r]
			state := "not configured here"
			if n.Configured {
				state = "configured"
			}
			fmt.Fprintf(c.stdout, "%-8s %s waiting, the oldest for %s; %s given up; %s\n", r,
				humanize.Comma(n.Waiting), n.OldestAge.Round(time.Second), humanize.Comma(n.Dead), state)
		}
	}
	if dead {
		return exitRemains
	}
	return nil
}

func (cmd *eventsTailCmd) Run(ctx context.Context, c *console) error {
	if cmd.Lines < 0 {
		return withHint(fmt.Errorf("--lines is %d", cmd.Lines), "0 shows only those that come")
	}
	_, p, err := openEvents(ctx, c)
	if err != nil {
		return err
	}
	defer p.Close()
	rows, err := p.Database.LastEvents(ctx, max(cmd.Lines, 1)) // also with 0 lines: where to go on
	if err != nil {
		return err
	}
	var last int64
	if len(rows) > 0 {
		last = rows[len(rows)-1].Seq
	}
	cmd.show(c, rows[len(rows)-min(len(rows), cmd.Lines):])
	for cmd.Follow {
		select {
		case <-ctx.Done():
			return nil // the way to end it
		case <-time.After(time.Second):
		}
		// One that commits later than another with a greater number is not shown: this is a view, and no delivery.
		rows, err := p.Database.EventsAfter(ctx, last, 1000)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		cmd.show(c, rows)
		if len(rows) > 0 {
			last = rows[len(rows)-1].Seq
		}
	}
	return nil
}

func (cmd *eventsTailCmd) show(c *console, rows []track.EventRow) {
	for _, e := range rows {
		if cmd.JSON {
			writeJSON(c.stdout, struct {
				ID      track.ID         `json:"id"`
				Type    string           `json:"type"`
				TrackID track.ID         `json:"track_id"`
				Time    time.Time        `json:"time"`
				Bus     track.EventState `json:"bus"`
				Webhook track.EventState `json:"webhook"`
				Data    json.RawMessage  `json:"data"`
			}{e.ID, e.Type.Name(), e.TrackID, e.CreatedAt, e.Bus, e.Webhook, e.Data})
			continue
		}
		fmt.Fprintf(c.stdout, "%s %-26s %s bus %s, webhook %s", e.CreatedAt.Local().Format(time.DateTime), e.Type.Name(), e.TrackID, e.Bus, e.Webhook)
		for _, problem := range []string{e.BusError, e.WebhookError} {
			if problem != "" {
				fmt.Fprintf(c.stdout, " (%s)", problem)
			}
		}
		fmt.Fprintln(c.stdout)
	}
}

func (*eventsRetryCmd) Run(ctx context.Context, c *console) error {
	_, p, err := openEvents(ctx, c)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, r := range receivers {
		freed, err := p.Database.RetryEvents(ctx, r)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "%-8s %s events are to be tried again\n", r, humanize.Comma(freed))
	}
	return nil
}

func (*eventsDeliverCmd) Run(ctx context.Context, c *console) error {
	cfg, p, err := openEvents(ctx, c)
	if err != nil {
		return err
	}
	defer p.Close()
	to := events.Receivers(cfg.Events, awsdefault.Load)
	if len(to) == 0 {
		return withHint(fmt.Errorf("neither EVENTS_BUS nor EVENTS_WEBHOOK_URL is set"), "events stay in the table track_events until one is")
	}
	counts, err := events.New(events.Config{Store: p.Database, Receivers: to, Log: cfg.Logger(c.stderr)}).Deliver(ctx)
	fmt.Fprintf(c.stdout, "%d delivered, %d failed and tried again later, %d given up\n", counts.Delivered, counts.Failed, counts.Dead)
	if err == nil && counts.Failed+counts.Dead > 0 {
		return exitRemains
	}
	return err
}
