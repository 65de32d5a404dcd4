package devstack

import (
	"context"
	"encoding/json"
	"net"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"trackstore/shared/auth"
	"trackstore/shared/devstack/console"
	"trackstore/shared/ingest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// eventPatience is how long a batch of events may go on when the stack stops.
const eventPatience = 3 * time.Second

// serve starts the handlers of the functions, and what invokes them.
func (s *stack) serve(l net.Listener, st stores, port int) error {
	cfg := s.settings.api
	backends := map[string]upload.Backend{track.Local: st.disk}
	if st.s3 != nil {
		backends[track.S3] = st.s3
	}
	ingester := ingest.New(ingest.Config{Uploads: st.db, Backends: st.ingestible(), Log: s.logger})
	s.goRun("object-created", func(ctx context.Context) {
		s.queue.run(ctx, func(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
			payload, err := json.Marshal(event)
			if err != nil {
				return events.SQSEventResponse{}, err
			}
			return ingester.Handle(ctx, payload)
		}, eventPatience)
	})
	if st.s3 != nil {
		s.goRun("uploads by forms", func(ctx context.Context) { s.findForms(ctx, st.pendingForms, st.s3) })
	}
	api := upload.New(upload.Config{
		Limits: upload.Limits{
			MaxBytes:       cfg.Uploads.MaxBytes,
			SingleMaxBytes: cfg.Uploads.SingleMaxBytes,
			URLTTL:         cfg.Uploads.URLTTL,
			TTL:            cfg.Uploads.TTL,
			MaxPending:     cfg.Uploads.MaxPending,
			AllowedOrigins: cfg.Uploads.AllowedOrigins,
		},
		Auth:     auth.New(cfg.Auth),
		Store:    st.db,
		Confirm:  ingester,
		NewFiles: cfg.Storage.Backend,
		Backends: backends,
		Log:      s.logger,
	})
	migration := s.newMigration(st)
	s.onStop("the migration", migration.close)
	page := console.Handler(console.Config{
		Session: func() (console.Session, error) {
			token, err := demoToken(cfg.Auth, time.Hour)
			return console.Session{Token: token, Backend: cfg.Storage.Backend}, err
		},
		API:       api,
		Tracks:    st.db,
		Migration: migration,
		Logger:    s.logger,
	})
	disk := st.disk.Handler()
	diskPath, err := s.serveDisk(disk, port)
	if err != nil {
		return err
	}
	s.goServe("the API", l, site(api, disk, page, diskPath))
	return nil
}
