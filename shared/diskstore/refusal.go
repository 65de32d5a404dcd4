package diskstore

import (
	"encoding/json"
	"errors"
	"net/http"

	"trackstore/shared/track"
)

// refusal is an answer that is no success.
type refusal struct {
	status int
	code   string // stable, for programs
	detail string // for people
}

func (r *refusal) Error() string { return r.detail }

// answer writes an error as RFC 9457 has it. What it does not know stays in the log.
func (s *Store) answer(w http.ResponseWriter, r *http.Request, err error) {
	refused := (*refusal)(nil)
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, track.ErrNotFound), errors.Is(err, track.ErrOutsideRoot), errors.Is(err, track.ErrNotRegular):
		refused = &refusal{http.StatusNotFound, "not_found", "there is no such file, or upload"}
	case errors.Is(err, track.ErrExists):
		refused = &refusal{http.StatusPreconditionFailed, "already_exists", "the key is taken: it is written once"}
	case errors.Is(err, track.ErrMismatch):
		refused = &refusal{http.StatusBadRequest, "mismatch", err.Error()}
	case errors.Is(err, track.ErrUnavailable), errors.Is(err, track.ErrPlace):
		s.cfg.Logger.ErrorContext(r.Context(), "the disk is out of reach", "err", err)
		refused = &refusal{http.StatusServiceUnavailable, "unavailable", "the disk is out of reach"}
	default:
		s.cfg.Logger.ErrorContext(r.Context(), "a request to the disk server failed", "method", r.Method, "path", r.URL.Path, "err", err)
		refused = &refusal{http.StatusInternalServerError, "internal", "the server failed; its log says more"}
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(refused.status)
	_ = json.NewEncoder(w).Encode(struct { // nobody is left to tell of an error
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}{"about:blank", http.StatusText(refused.status), refused.status, refused.detail, refused.code})
}
