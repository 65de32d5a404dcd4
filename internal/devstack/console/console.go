// Package console serves the page of the local stack and the little JSON that only this
// page needs: a token of the demo user, the list of tracks with where they lie, and the
// migration. It is for a laptop: everybody who reaches it acts as the demo user.
package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"trackstore/shared/pgstore"
	"trackstore/shared/track"
	"trackstore/web"
)

// listed is one row of the page's list: what the API shows of a track, and where it lies.
type listed struct {
	track.Track
	Backend        string `json:"storage_backend"`
	MigrationState string `json:"migration_state,omitempty"`
	Error          string `json:"error,omitempty"` // of the migration
}

// Tracks lists the newest tracks.
type Tracks interface {
	RecentTracks(ctx context.Context, limit int) ([]pgstore.RecentTrack, error)
}

// Events lists the last events.
type Events interface {
	LastEvents(ctx context.Context, limit int) ([]track.EventRow, error)
}

// MigrationStatus is what the page shows of the migration.
type MigrationStatus struct {
	Available bool             `json:"available"` // false: the stack has no S3
	Running   bool             `json:"running"`
	Error     string           `json:"error,omitempty"` // why the last run ended early
	Local     int64            `json:"local"`
	S3        int64            `json:"s3"`
	States    map[string]int64 `json:"states"`
}

// Migration is the stack's own driver of the migration. Start, Stop and Retry return at
// once; starting what runs and stopping what does not are no errors.
type Migration interface {
	Status(ctx context.Context) (MigrationStatus, error)
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Retry(ctx context.Context) error
}

// Session is the demo user's.
type Session struct {
	Token   string `json:"token"`
	Backend string `json:"backend"` // where new uploads go
}

// Config is what the console stands on.
type Config struct {
	Session   func() (Session, error) // a fresh token at each call
	Tracks    Tracks
	Events    Events
	Migration Migration
	Logger    *slog.Logger
}

// recent is how many tracks the page lists.
const recent = 200

// Handler serves `/` and `/console/`.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.FileServerFS(web.FS))
	mux.Handle("GET /console/", http.StripPrefix("/console/", http.FileServerFS(web.FS)))
	mux.HandleFunc("GET /console/session", c.answer(func(*http.Request) (any, error) { return c.Session() }))
	mux.HandleFunc("GET /console/tracks", c.answer(c.list))
	mux.HandleFunc("GET /console/migration", c.answer(func(r *http.Request) (any, error) {
		return c.Migration.Status(r.Context())
	}))
	mux.HandleFunc("POST /console/migration", c.migrate)
	mux.HandleFunc("GET /console/events", c.answer(c.lastEvents))
	// The stack's own webhook: the page reads the events where they are kept.
	mux.HandleFunc("POST /console/events", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return guard(mux)
}

// guard keeps other web pages out. A page elsewhere that resolves its own name to
// 127.0.0.1 would count as the same origin, and its Host gives it away; a form on
// another page is a cross-origin request.
func guard(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && ip == nil {
			http.Error(w, "the console answers to an IP address or localhost only", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Security-Policy",
			"default-src 'self'; connect-src 'self' http: https:; media-src 'self' http: https:; worker-src blob:; img-src data:; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		sameOrigin.ServeHTTP(w, r)
	})
}

func (c Config) answer(get func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := get(r)
		if err != nil {
			c.Logger.ErrorContext(r.Context(), "console", "path", r.URL.Path, "err", err)
			writeJSON(w, http.StatusInternalServerError, map[string]string{"detail": "The local stack could not do that; its log says why."})
			return
		}
		writeJSON(w, http.StatusOK, value)
	}
}

func (c Config) list(r *http.Request) (any, error) {
	tracks, err := c.Tracks.RecentTracks(r.Context(), recent)
	rows := make([]listed, len(tracks))
	for i, t := range tracks {
		rows[i] = listed{t.Track, t.StorageBackend, t.MigrationState, t.MigrationError}
	}
	return map[string]any{"tracks": rows}, err
}

// lastEvents answers with the last events, the newest first.
func (c Config) lastEvents(r *http.Request) (any, error) {
	type event struct {
		ID      track.ID         `json:"id"`
		Type    string           `json:"type"`
		TrackID track.ID         `json:"track_id"`
		Time    time.Time        `json:"time"`
		Webhook track.EventState `json:"webhook"`
		Data    json.RawMessage  `json:"data"`
	}
	const recent = 20
	rows, err := c.Events.LastEvents(r.Context(), recent)
	all := []event{}
	for _, e := range slices.Backward(rows) {
		all = append(all, event{e.ID, e.Type.Name(), e.TrackID, e.CreatedAt, e.Webhook, e.Data})
	}
	return map[string]any{"events": all}, err
}

func (c Config) migrate(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Action string `json:"action"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&order); err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"detail": "the body is not JSON"})
		return
	}
	act := map[string]func(context.Context) error{
		"start": c.Migration.Start,
		"stop":  c.Migration.Stop,
		"retry": c.Migration.Retry,
	}[order.Action]
	if act == nil {
		writeJSON(w, http.StatusUnprocessableEntity, map[string]string{"detail": "action is none of start, stop, retry"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	c.answer(func(*http.Request) (any, error) {
		if err := act(ctx); err != nil {
			return nil, err
		}
		return c.Migration.Status(ctx)
	})(w, r)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client is gone: nobody to tell
}
