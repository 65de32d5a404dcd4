package upload

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"strings"

	"trackstore/shared/track"
)

// openRequest is the body of POST /v1/uploads. nil: not given.
type openRequest struct {
	TrackID     *track.ID
	Title       *string
	Filename    *string
	ContentType *string
	Size        *int64
	Checksum    *track.Checksum
	Method      *string
}

func (q *openRequest) decode(body []byte) error {
	return fields{
		"track_id":     uuid(&q.TrackID),
		"title":        text(&q.Title),
		"filename":     text(&q.Filename),
		"content_type": text(&q.ContentType),
		"size":         whole(&q.Size),
		"method":       text(&q.Method),
		"checksum":     checksum(&q.Checksum),
	}.decode(body)
}

// hash tells requests apart that bear the same idempotency key: by what they say, not by
// their spelling.
func (q *openRequest) hash() []byte {
	b, _ := json.Marshal(q) // strings, numbers and ids always marshal
	sum := sha256.Sum256(b)
	return sum[:]
}

// ticket checks a request field by field, and makes of it what to ask of the database.
func (a *api) ticket(q *openRequest) (track.Ticket, error) {
	var t track.Ticket
	switch {
	case q.TrackID != nil && q.Title != nil:
		return t, refuse(InvalidRequest, "title: the track has one; only a new track takes a title")
	case q.TrackID == nil:
		if err := checkText("title", q.Title); err != nil {
			return t, err
		}
		t.Title = *q.Title
		t.TrackID = track.NewTrackID()
	default:
		t.TrackID = *q.TrackID
	}
	if err := errors.Join(checkText("filename", q.Filename), checkType(q.ContentType)); err != nil {
		return t, err
	}
	format, err := fileFormat(*q.Filename, orEmpty(q.ContentType))
	if err != nil {
		return t, err
	}
	switch {
	case q.Size == nil:
		return t, refuse(InvalidRequest, "size: is required")
	case *q.Size < 1:
		return t, refuse(InvalidRequest, "size: must be at least 1 byte")
	case *q.Size > a.Limits.MaxBytes:
		return t, refuse(FileTooLarge, "size: a file may have up to %d bytes", a.Limits.MaxBytes)
	}
	t.Size, t.MaxSize, t.Checksum = *q.Size, a.Limits.MaxBytes, q.Checksum
	if t.Method, err = a.method(q.Method, t.Size); err != nil {
		return t, err
	}
	a.place(&t, *q.Filename, format)
	return t, nil
}

// place fills in what follows from the rest: where the bytes go, and for how long.
func (a *api) place(t *track.Ticket, filename string, format track.Format) {
	t.ID = track.NewID()
	t.Backend = a.NewFiles
	t.Key = track.UploadKey(t.TrackID, t.ID, filename)
	t.Format, t.ContentType = format, format.ContentType()
	t.MaxPending = a.Limits.MaxPending
	t.Life = a.Limits.ticketLife()
	if t.Method == track.MethodMultipart {
		t.Life = a.Limits.TTL
		t.PartSize = partSize(t.Size)
	}
}

// fileFormat tells a file's format from its name, until its bytes do. What the client says
// of the type ("": nothing) is a hint that need not agree with the name.
func fileFormat(filename, contentType string) (track.Format, error) {
	format, known := track.FormatOfName(filename)
	if !known {
		return "", refuse(UnsupportedMediaType, "filename: must end in the extension of an audio format that is taken, not in %q: %s",
			path.Ext(filename), strings.Join(track.Extensions(), ", "))
	}
	if !track.MayBeAudio(contentType) {
		return "", refuse(UnsupportedMediaType, "content_type: is not that of audio")
	}
	return format, nil
}

// checkType refuses a content type that is none. It may be left out.
func checkType(contentType *string) error {
	if contentType == nil || *contentType == "" {
		return nil
	}
	return checkText("content_type", contentType)
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (a *api) method(asked *string, size int64) (track.Method, error) {
	if asked == nil {
		if size <= a.Limits.SingleMaxBytes {
			return track.MethodPut, nil
		}
		return track.MethodMultipart, nil
	}
	m := track.Method(*asked)
	switch m {
	case track.MethodMultipart:
	case track.MethodPut, track.MethodPost:
		if size > track.MaxPutSize {
			return "", refuse(InvalidRequest, "method: %s takes up to %d bytes; use multipart", m, int64(track.MaxPutSize))
		}
	default:
		return "", refuse(InvalidRequest, "method: is none of put, post, multipart")
	}
	return m, nil
}

// idempotencyKey returns the header of this name, "" where there is none.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	invisible := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(values) > 1 || key == "" || len(key) > 255 || strings.ContainsFunc(key, invisible) {
		return "", refuse(InvalidRequest, "Idempotency-Key: must be one value of 1 to 255 visible ASCII characters")
	}
	return key, nil
}
