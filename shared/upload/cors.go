package upload

import (
	"net/http"
	"slices"
)

// cors lets pages of some origins call the API. The API takes no cookies, so no answer
// allows credentials, and any origin may be let in.
type cors struct {
	any     bool
	origins []string
}

// allowedHeaders are what pages send: what the API reads, and what their libraries add by
// themselves, for tracing above all, which the API passes over.
const allowedHeaders = "authorization, content-type, idempotency-key, x-request-id, " +
	"range, cache-control, x-requested-with, traceparent, tracestate, baggage, sentry-trace"

func newCORS(origins []string) cors {
	return cors{slices.Contains(origins, "*"), origins}
}

// handle sets the headers that a browser looks for, on refusals too, and answers a
// preflight, which it reports.
func (c cors) handle(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	allowed := origin != "" && (c.any || slices.Contains(c.origins, origin))
	if allowed {
		if c.any {
			origin = "*"
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "Location, Retry-After, "+requestIDHeader)
	}
	if r.Method != http.MethodOptions {
		return false
	}
	if allowed && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", allowedHeaders)
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
