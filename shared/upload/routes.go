package upload

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"trackstore/shared/track"
)

// Route is one call of the API.
type Route struct {
	Method string
	Path   string // with {names} as in OpenAPI and http.ServeMux
	Access Access
	limit  time.Duration // how long the call may take; 0: as long as its caller waits
	serve  func(a *api, w http.ResponseWriter, r *http.Request, by caller) error
}

// caller is whoever makes a call.
type caller struct {
	user     track.ID // zero where Access is Public, or where a listener's token names no user
	playsAll bool     // may play every track, not only its own
}

// Access says who may make a call.
type Access int

// The ways in.
const (
	Public   Access = iota // anybody
	Bearer                 // whoever has a JWT of a user
	Listener               // whoever has a JWT of a user, or one that plays every track
	Session                // whoever has a companion session's token, in the path
)

// Routes lists the calls of the API. HEAD goes wherever GET does, but for what GET opens,
// and OPTIONS everywhere.
func Routes() []Route {
	return []Route{
		{"POST", "/v1/uploads", Bearer, patience, (*api).openUpload},
		{"GET", "/v1/uploads", Bearer, patience, (*api).listUploads},
		{"GET", "/v1/uploads/{upload_id}", Bearer, patience, (*api).getUpload},
		{"DELETE", "/v1/uploads/{upload_id}", Bearer, patience, (*api).abortUpload},
		{"POST", "/v1/uploads/{upload_id}/parts", Bearer, patience, (*api).signParts},
		{"POST", "/v1/uploads/{upload_id}/complete", Bearer, noLimit, (*api).completeUpload},

		{"GET", "/v1/tracks/{track_id}", Bearer, patience, (*api).getTrack},
		{"PATCH", "/v1/tracks/{track_id}", Bearer, patience, (*api).changeTrack},
		{"DELETE", "/v1/tracks/{track_id}", Bearer, patience, (*api).deleteTrack},

		{"GET", "/v1/tracks/{track_id}/audio", Listener, patience, (*api).getAudio},
		{"POST", "/v1/playback", Listener, patience, (*api).playback},

		{"POST", "/v1/companion-sessions", Bearer, patience, (*api).openSession},
		{"GET", "/u/{token}/s3/params", Session, patience, (*api).companionParams},
		{"POST", "/u/{token}/s3/multipart", Session, patience, (*api).companionCreate},
		{"GET", "/u/{token}/s3/multipart/{upload_id}", Session, patience, (*api).companionListParts},
		{"DELETE", "/u/{token}/s3/multipart/{upload_id}", Session, patience, (*api).companionAbort},
		{"GET", "/u/{token}/s3/multipart/{upload_id}/batch", Session, patience, (*api).companionSignParts},
		{"GET", "/u/{token}/s3/multipart/{upload_id}/{part_number}", Session, patience, (*api).companionSignPart},
		{"POST", "/u/{token}/s3/multipart/{upload_id}/complete", Session, noLimit, (*api).companionComplete},

		{"GET", "/healthz", Public, patience, (*api).health},
	}
}

// newMux routes every request to one of Routes, or to a refusal.
func (a *api) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	routed := make(map[string]bool) // by pattern
	for _, route := range Routes() {
		pattern := route.Method + " " + route.Path
		routed[pattern] = true
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := a.serve(route, w, r); err != nil {
				route.Access.fail(w, r, err)
			}
		})
	}
	elsewhere := func(w http.ResponseWriter, r *http.Request) {
		var allow []string
		for _, method := range []string{"DELETE", "GET", "HEAD", "PATCH", "POST"} {
			other := *r
			other.Method = method
			if _, pattern := mux.Handler(&other); routed[pattern] {
				allow = append(allow, method)
			}
		}
		if allow == nil {
			notFound(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(append(allow, "OPTIONS"), ", "))
		Public.fail(w, r, refuse(MethodNotAllowed, "this path takes %s", strings.Join(allow, ", ")))
	}
	mux.HandleFunc("/", elsewhere)
	mux.HandleFunc("HEAD /u/{token}/s3/params", elsewhere)                        // GET opens an upload
	mux.HandleFunc("GET /u/{token}/s3/multipart/{upload_id}/complete", elsewhere) // no part's number
	return mux
}

func notFound(w http.ResponseWriter, r *http.Request) {
	Public.fail(w, r, refuse(NotFound, "there is no such path"))
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, r := newCall(w, r)
	defer c.finish(a.Log, r)
	c.Header().Set("Cache-Control", "no-store") // answers hold signed URLs
	switch escaped := r.URL.EscapedPath(); {
	case a.cors.handle(c, r):
	case path.Clean(escaped) != escaped:
		notFound(c, r) // the mux would redirect
	default:
		a.mux.ServeHTTP(c, r)
	}
}

// How long a call may take.
const (
	// patience is how long database and storage have for a call in all: one that has gone
	// silent is out of reach, and the client is told so.
	patience = 10 * time.Second
	// noLimit is for a call that may have parts to put together and a file to read.
	noLimit = 0
)

// serve lets the caller in and makes the call.
func (a *api) serve(route Route, w http.ResponseWriter, r *http.Request) error {
	if route.limit > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), route.limit)
		defer cancel()
		r = r.WithContext(ctx)
	}
	var by caller
	var err error
	switch route.Access {
	case Bearer:
		by.user, err = a.Auth.UserID(r)
	case Listener:
		by.user, by.playsAll, err = a.Auth.Listener(r)
	case Session:
		by.user, err = a.session(r)
	}
	if err != nil {
		return err
	}
	return route.serve(a, w, r, by)
}

// health tells a load balancer whether the API can work.
func (a *api) health(w http.ResponseWriter, r *http.Request, _ caller) error {
	// Long enough to find that a connection broke while the function was frozen, and to
	// begin another; the gateway waits for five seconds.
	ctx, cancel := context.WithTimeout(r.Context(), 4*time.Second)
	defer cancel()
	if err := a.Store.Ping(ctx); err != nil {
		note(r, slog.String("err", err.Error()))
		return refuse(Unavailable, "the database does not answer")
	}
	return answer(w, http.StatusOK, map[string]string{"status": "ok"})
}
