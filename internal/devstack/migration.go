package devstack

import (
	"context"
	"encoding/json"
	"sync"

	"trackstore/internal/devstack/console"
	"trackstore/shared/audio"
	"trackstore/shared/migrate"
	"trackstore/shared/places"
	"trackstore/statemachines"
)

// migration runs the state machine migrate-storage when the console asks for it. The zero value of stores.Bucket leaves it
// unavailable.
type migration struct {
	stores stores
	batch  *migrate.Batch

	mu      sync.Mutex
	cancel  context.CancelFunc // nil: nothing runs
	running sync.WaitGroup
	err     error // of the last run
}

func (s *stack) newMigration(st stores) *migration {
	m := &migration{stores: st}
	if st.Bucket != nil {
		elsewhere := places.Elsewhere[migrate.Bucket](st.Bucket)
		m.batch = &migrate.Batch{
			Ledger: st.Database,
			Upload: migrate.NewUpload(migrate.Upload{
				Files: st.Disk, Bucket: st.Bucket, Large: st.Bucket, Elsewhere: elsewhere, Sniff: audio.Detect,
			}),
			Restore: migrate.NewRestore(migrate.Restore{Disk: st.Disk, Bucket: st.Bucket, Elsewhere: elsewhere}),
			Lease:   s.settings.command.Migration.Lease,
			Log:     s.logger,
		}
	}
	return m
}

// Status is what the console shows.
func (m *migration) Status(ctx context.Context) (console.MigrationStatus, error) {
	progress, err := m.stores.Database.Progress(ctx)
	if err != nil {
		return console.MigrationStatus{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	status := console.MigrationStatus{
		Available: m.batch != nil,
		Running:   m.cancel != nil,
		Local:     progress.Local,
		S3:        progress.S3,
		States:    make(map[string]int64, len(progress.States)),
	}
	for state, n := range progress.States {
		status.States[string(state)] = n
	}
	if m.err != nil {
		status.Error = m.err.Error()
	}
	return status, nil
}

// Start starts an execution to S3, unless one runs.
func (m *migration) Start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.batch == nil || m.cancel != nil {
		return nil
	}
	ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	m.err = nil
	machine := statemachines.Local{
		Workers: 2,
		Batch:   m.invoke,
		Stopped: func() bool { return ctx.Err() != nil },
	}
	m.running.Go(func() {
		_, err := machine.MigrateStorage(ctx, json.RawMessage(`{"direction":"to_s3"}`))
		m.mu.Lock()
		defer m.mu.Unlock()
		if ctx.Err() == nil { // else it was told to end
			m.err = err
		}
		m.cancel()
		m.cancel = nil
	})
	return nil
}

func (m *migration) invoke(ctx context.Context, request json.RawMessage) (json.RawMessage, error) {
	var in migrate.Input
	if err := json.Unmarshal(request, &in); err != nil {
		return nil, err
	}
	summary, err := m.batch.Handle(ctx, in)
	if err != nil {
		return nil, err
	}
	return json.Marshal(summary)
}

// Stop ends the execution; what is in flight gives its leases back.
func (m *migration) Stop(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cancel != nil {
		m.cancel()
	}
	return nil
}

// Retry frees what failed, and starts.
func (m *migration) Retry(ctx context.Context) error {
	if _, err := m.stores.Database.Retry(ctx); err != nil {
		return err
	}
	return m.Start(ctx)
}

// close ends the execution and waits for its end.
func (m *migration) close(ctx context.Context) error {
	if err := m.Stop(ctx); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		m.running.Wait()
		close(done)
	}()
	return wait(ctx, done) // what is cut off has leases that run out by themselves
}
