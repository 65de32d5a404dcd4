package devstack

import (
	"context"
	"net"
	"time"

	"trackstore/shared/auth"
	"trackstore/shared/devstack/console"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// serve starts the handlers of the functions, and what invokes them.
func (s *stack) serve(ctx context.Context, l net.Listener, st stores, port int) error {
	cfg := s.settings.api
	backends := map[string]upload.Backend{track.Local: st.disk}
	if st.s3 != nil {
		backends[track.S3] = st.s3
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
		NewFiles: cfg.Storage.Backend,
		Backends: backends,
		Log:      s.logger,
	})
	page := console.Handler(console.Config{
		Session: func() (console.Session, error) {
			token, err := demoToken(cfg.Auth, time.Hour)
			return console.Session{Token: token, Backend: cfg.Storage.Backend}, err
		},
		API:    api,
		Tracks: st.db,
		Logger: s.logger,
	})
	disk := st.disk.Handler()
	diskPath, err := s.serveDisk(disk, port)
	if err != nil {
		return err
	}
	s.goServe("the API", l, site(api, disk, page, diskPath))
	return nil
}
