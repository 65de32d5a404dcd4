package devstack

import (
	"context"
	"encoding/json"
	"net"
	"time"

	lambda "github.com/aws/aws-lambda-go/events"

	"trackstore/internal/awsdefault"
	"trackstore/internal/devstack/console"
	"trackstore/shared/auth"
	"trackstore/shared/events"
	"trackstore/shared/ingest"
	"trackstore/shared/places"
	"trackstore/shared/sweep"
	"trackstore/shared/upload"
)

// serve starts the handlers of the functions, and what invokes them.
func (s *stack) serve(l net.Listener, st stores, port int) error {
	api, command := s.settings.api, s.settings.command

	ingester := ingest.New(ingest.Config{Uploads: st.Database, Backends: places.Backends[ingest.Backend](st.Places), Log: s.logger})
	deliverer := events.New(events.Config{
		Store: st.Database, Receivers: events.Receivers(s.settings.events.Events, awsdefault.Load), Log: s.logger,
	})
	settle := objectCreated(events.After(ingester.Handle, deliverer))
	s.goRun("object-created", func(ctx context.Context) { s.queue.run(ctx, settle, eventPatience) })
	s.goRun("deliver-events", func(ctx context.Context) { s.deliverOnSchedule(ctx, deliverer) })

	sweeper := sweep.New(sweep.Config{
		Store:     st.Database,
		Confirm:   ingester,
		Backends:  places.Backends[sweep.Backend](st.Places),
		Paths:     st.Disk,
		Elsewhere: places.Elsewhere[sweep.Backend](st.Bucket),
		Grace:     command.Retention.Grace,
		UploadTTL: command.Retention.UploadTTL,
		Log:       s.logger,
	})
	s.goRun("sweep-uploads", func(ctx context.Context) { s.sweepOnSchedule(ctx, sweeper) })

	handler := upload.New(upload.Config{
		Limits:   upload.Limits(api.Uploads),
		Auth:     auth.New(api.Auth),
		Store:    st.Database,
		Confirm:  ingester,
		NewFiles: api.Storage.Backend,
		Backends: places.Backends[upload.Backend](st.Places),
		CDN:      places.CDN[upload.GetSigner](api.CDN),
		Log:      s.logger,
	})
	migration := s.newMigration(st)
	s.handlers = append(s.handlers, part{"the migration", migration.close})
	page := console.Handler(console.Config{
		Session: func() (console.Session, error) {
			token, err := demoToken(api.Auth, time.Hour)
			return console.Session{Token: token, Backend: api.Storage.Backend}, err
		},
		Tracks:    st.Database,
		Events:    st.Database,
		Migration: migration,
		Logger:    s.logger,
	})
	s.serveCDN(st.Bucket)
	disk := st.Disk.Handler()
	diskPath, err := s.serveDisk(disk, port)
	if err != nil {
		return err
	}
	s.goServe("the API", l, site(handler, disk, page, diskPath))
	return nil
}

// eventPatience is how long a batch of events may go on when the stack stops.
const eventPatience = 3 * time.Second

// objectCreated invokes the function's handler with what Lambda would hand to it.
func objectCreated(handle func(context.Context, json.RawMessage) (lambda.SQSEventResponse, error)) consumer {
	return func(ctx context.Context, event lambda.SQSEvent) (lambda.SQSEventResponse, error) {
		payload, err := json.Marshal(event)
		if err != nil {
			return lambda.SQSEventResponse{}, err
		}
		return handle(ctx, payload)
	}
}

// deliverEvery is how often events are looked for that object-created did not take out at its end: those of the API, and
// those of the sweep.
const deliverEvery = 300 * time.Millisecond

func (s *stack) deliverOnSchedule(ctx context.Context, d *events.Deliverer) {
	schedule := time.NewTicker(deliverEvery)
	defer schedule.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-schedule.C:
		}
		if _, err := d.Deliver(ctx); err != nil && ctx.Err() == nil {
			s.logger.ErrorContext(ctx, "deliver events", "err", err)
			sleep(ctx, 5*time.Second) // the database is not there
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// sweepEvery is how often what events missed is looked for: first when the stack starts, for those that its last run lost.
const sweepEvery = 30 * time.Second

func (s *stack) sweepOnSchedule(ctx context.Context, sweeper *sweep.Sweeper) {
	schedule := time.NewTicker(sweepEvery)
	defer schedule.Stop()
	for {
		one, cancel := context.WithTimeout(ctx, 10*sweepEvery)
		if _, err := sweeper.Run(one, sweep.Options{}); err != nil && ctx.Err() == nil {
			s.logger.ErrorContext(ctx, "sweep", "err", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-schedule.C:
		}
	}
}
