package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"trackstore/shared/track"
)

// Code names a kind of refusal. Codes are stable: clients may compare them, and nothing
// else in a problem.
type Code string

// The codes.
const (
	BadRequest           Code = "bad_request"            // 400: the body is not JSON of the right shape
	Unauthorized         Code = "unauthorized"           // 401: no token, or not a good one
	NotFound             Code = "not_found"              // 404: no such path, or nothing of the caller's by this id
	MethodNotAllowed     Code = "method_not_allowed"     // 405: see the Allow header
	IdempotencyConflict  Code = "idempotency_conflict"   // 409: the key was used for another request
	NotUploaded          Code = "not_uploaded"           // 409: the bytes are not there; the upload stays pending
	AlreadyStored        Code = "already_stored"         // 409: too late, the track has this file
	ChecksumMismatch     Code = "checksum_mismatch"      // 409: the upload is stored, and its bytes have another checksum
	NotPending           Code = "not_pending"            // 409: the upload failed, expired or was aborted
	Expired              Code = "expired"                // 409: the upload's time is over, and its bytes have not come
	PlatformRefused      Code = "platform_refused"       // 409: the platform's table does not take it
	NotReady             Code = "not_ready"              // 409: the track has no audio yet
	PayloadTooLarge      Code = "payload_too_large"      // 413: the body of the request
	FileTooLarge         Code = "file_too_large"         // 413: the file that was announced
	UnsupportedMediaType Code = "unsupported_media_type" // 415: the body is not JSON, or the file no known audio type
	InvalidRequest       Code = "invalid_request"        // 422: a field breaks a rule; detail begins with its name
	InvalidParts         Code = "invalid_parts"          // 422: the list of parts is not what was received
	TooManyPending       Code = "too_many_pending"       // 429: complete or abort some uploads first
	Internal             Code = "internal_error"         // 500: our fault
	Unavailable          Code = "unavailable"            // 503: database or storage out of reach; try again
)

var statuses = map[Code]int{
	BadRequest:           http.StatusBadRequest,
	Unauthorized:         http.StatusUnauthorized,
	NotFound:             http.StatusNotFound,
	MethodNotAllowed:     http.StatusMethodNotAllowed,
	IdempotencyConflict:  http.StatusConflict,
	NotUploaded:          http.StatusConflict,
	AlreadyStored:        http.StatusConflict,
	ChecksumMismatch:     http.StatusConflict,
	NotPending:           http.StatusConflict,
	Expired:              http.StatusConflict,
	PlatformRefused:      http.StatusConflict,
	NotReady:             http.StatusConflict,
	PayloadTooLarge:      http.StatusRequestEntityTooLarge,
	FileTooLarge:         http.StatusRequestEntityTooLarge,
	UnsupportedMediaType: http.StatusUnsupportedMediaType,
	InvalidRequest:       http.StatusUnprocessableEntity,
	InvalidParts:         http.StatusUnprocessableEntity,
	TooManyPending:       http.StatusTooManyRequests,
	Internal:             http.StatusInternalServerError,
	Unavailable:          http.StatusServiceUnavailable,
}

// problem is a refusal that the client may read in full.
type problem struct {
	code      Code
	detail    string
	challenge string // of Unauthorized
}

func (p *problem) Error() string { return string(p.code) + ": " + p.detail }

func (p *problem) status() int { return statuses[p.code] }

// retryAfter is after how many seconds the same call may succeed; "": that is not known.
func (p *problem) retryAfter() string {
	switch p.code {
	case Unavailable:
		return "2"
	case TooManyPending:
		return strconv.Itoa(int(lookRest.Seconds())) // then the open uploads are looked at again
	}
	return ""
}

func refuse(code Code, format string, args ...any) *problem {
	return &problem{code: code, detail: fmt.Sprintf(format, args...)}
}

// problemOf is the one table from errors to what clients are told. What an error says
// beyond its kind stays in the log.
func problemOf(err error) *problem {
	var p *problem
	var unauthorized interface {
		error
		Challenge() string
	}
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &unauthorized):
		return &problem{Unauthorized, unauthorized.Error(), unauthorized.Challenge()}
	case errors.Is(err, track.ErrNotFound):
		return refuse(NotFound, "there is nothing of yours by this id")
	case errors.Is(err, track.ErrTooManyPending):
		return refuse(TooManyPending, "complete or abort some of your open uploads first")
	case errors.Is(err, track.ErrIdempotencyConflict):
		return refuse(IdempotencyConflict, "this Idempotency-Key was used for a request with another body")
	case errors.Is(err, track.ErrRefused):
		return refuse(PlatformRefused, "the platform's table does not take it; the log says why")
	case errors.Is(err, track.ErrInvalidParts):
		return refuse(InvalidParts, "parts: the storage refuses the list; each part but the last has at least 5 MiB")
	case errors.Is(err, track.ErrOutsideRoot):
		return refuse(NotReady, "the track's file lies where it cannot be served from")
	case track.IsRetryable(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return refuse(Unavailable, "the database or the storage did not answer; try again")
	case errors.Is(err, track.ErrForbidden), errors.Is(err, track.ErrPlace):
		return refuse(Unavailable, "the database or the storage refuses this server; its log says why")
	case errors.Is(err, track.ErrNoSchema):
		return refuse(Unavailable, "the database is still without its tables; try again later")
	}
	return refuse(Internal, "this is a fault of the server; the log knows it by the X-Request-Id of this answer")
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.challenge != "" {
		w.Header().Set("WWW-Authenticate", p.challenge)
	}
	writeJSON(w, p.status(), "application/problem+json", map[string]any{
		"type":   "about:blank",
		"title":  http.StatusText(p.status()),
		"status": p.status(),
		"detail": p.detail,
		"code":   p.code,
	})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // signed URLs stay readable
	_ = e.Encode(body)     // the client is gone
}

func answer(w http.ResponseWriter, status int, body any) error {
	writeJSON(w, status, "application/json", body)
	return nil
}
