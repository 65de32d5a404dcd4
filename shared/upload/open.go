package upload

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// openRequest is the body of POST /v1/uploads. nil: not given.
type openRequest struct {
	TrackID     *track.ID
	Title       *string
	Filename    *string
	ContentType *string
	Size        *int64
	Checksum    *checksumRequest
	Method      *string
}

type checksumRequest struct{ Algorithm, Value *string }

func (q *openRequest) decode(body []byte) error {
	return fields{
		"track_id":     uuid(&q.TrackID),
		"title":        text(&q.Title),
		"filename":     text(&q.Filename),
		"content_type": text(&q.ContentType),
		"size":         whole(&q.Size),
		"method":       text(&q.Method),
		"checksum": func(at string, value json.RawMessage) error {
			q.Checksum = &checksumRequest{}
			return fields{
				"algorithm": text(&q.Checksum.Algorithm),
				"value":     text(&q.Checksum.Value),
			}.object(at, value)
		},
	}.decode(body)
}

// hash tells requests apart that bear the same idempotency key: by what they say, not by
// their spelling.
func (q *openRequest) hash() []byte {
	b, _ := json.Marshal(q) // strings, numbers and ids always marshal
	sum := sha256.Sum256(b)
	return sum[:]
}

// openUpload is POST /v1/uploads.
func (a *api) openUpload(w http.ResponseWriter, r *http.Request, user track.ID) error {
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	if body == nil {
		return refuse(BadRequest, "the body is empty")
	}
	var q openRequest
	if err := q.decode(body); err != nil {
		return err
	}
	ticket, err := a.ticket(&q)
	if err != nil {
		return err
	}
	ticket.UserID = user
	if ticket.IdempotencyKey, err = idempotencyKey(r.Header); err != nil {
		return err
	}
	if ticket.IdempotencyKey != "" {
		ticket.RequestHash = q.hash()
	}
	u, err := a.open(r, ticket)
	if err != nil {
		return err
	}
	opened, err := a.opened(r.Context(), u)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/uploads/"+u.ID.String())
	return answer(w, http.StatusCreated, opened)
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
		t.TrackID = track.NewID()
	default:
		t.TrackID = *q.TrackID
	}
	if err := errors.Join(checkText("filename", q.Filename), checkText("content_type", q.ContentType)); err != nil {
		return t, err
	}
	format, err := fileFormat(*q.Filename, *q.ContentType)
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
	t.Size, t.MaxSize = *q.Size, a.Limits.MaxBytes
	if t.Checksum, err = q.Checksum.checksum(); err != nil {
		return t, err
	}
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
	t.Life = a.Limits.URLTTL + eventMargin
	if t.Method == track.MethodMultipart {
		t.Life = a.Limits.TTL
		t.PartSize = partSize(t.Size)
	}
}

// fileFormat tells a file's format from its name; the content type must fit it.
func fileFormat(filename, contentType string) (track.Format, error) {
	format, known := track.FormatOfName(filename)
	if !known {
		return "", refuse(UnsupportedMediaType, "filename: its extension is not that of a known audio format")
	}
	declared, known := track.FormatOfType(contentType)
	if !known {
		return "", refuse(UnsupportedMediaType, "content_type: is not that of a known audio format")
	}
	if !declared.Fits(format) {
		return "", refuse(InvalidRequest, "content_type: says %s, and the extension of filename says %s", declared, format)
	}
	return format, nil
}

func (q *checksumRequest) checksum() (*track.Checksum, error) {
	if q == nil {
		return nil, nil
	}
	if q.Algorithm == nil || q.Value == nil {
		return nil, refuse(InvalidRequest, "checksum: needs algorithm and value")
	}
	c := track.Checksum{Algorithm: track.Algorithm(*q.Algorithm), Value: *q.Value}
	if c.Algorithm.Size() == 0 {
		return nil, refuse(InvalidRequest, "checksum.algorithm: is none of CRC64NVME, SHA256, CRC32C")
	}
	if err := c.Validate(); err != nil {
		return nil, refuse(InvalidRequest, "checksum.value: %v", err)
	}
	return &c, nil
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

// open enters a ticket, and begins its upload on the backend where that is needed.
func (a *api) open(r *http.Request, t track.Ticket) (track.Upload, error) {
	ctx := r.Context()
	if _, err := a.backend(t.Backend); err != nil {
		return track.Upload{}, err
	}
	u, err := a.Store.OpenUpload(ctx, t)
	for try := 1; try < 3 && errors.Is(err, track.ErrTooManyPending) && a.settle(r, t.UserID); try++ {
		u, err = a.Store.OpenUpload(ctx, t)
	}
	if err != nil {
		return track.Upload{}, err
	}
	noteUpload(r, u)
	if u.ID == t.ID { // not that of an earlier request
		a.Metrics.Emit(metrics.Count("UploadsOpened", 1))
	}
	if u.State == track.UploadPending && u.Method == track.MethodMultipart && u.MultipartID == "" {
		return a.begin(ctx, u)
	}
	return u, nil
}

// settle confirms a user's uploads whose bytes came and whose events did not yet, and
// reports whether there may be room for another one now. Somebody who sends many small
// files one after the other is quicker than the events, and is not to be refused for that.
func (a *api) settle(r *http.Request, user track.ID) bool {
	ids, err := a.Store.PendingUploads(r.Context(), user)
	if err != nil || len(ids) < a.Limits.MaxPending {
		return err == nil
	}
	settled, err := a.Confirm.Confirm(r.Context(), ids...)
	if err != nil {
		note(r, slog.String("settle_err", err.Error()))
	}
	for _, u := range settled {
		if u.State != track.UploadPending {
			return true
		}
	}
	return false
}

// begin starts u's multipart upload on the backend: the row is there first, so that
// nothing is begun that no row could name. A crash after the backend's answer leaves an
// upload without parts, which the sweep aborts when it is old; a repeated request begins
// another, and the row takes the first that comes.
func (a *api) begin(ctx context.Context, u track.Upload) (track.Upload, error) {
	b, err := a.backend(u.Backend)
	if err != nil {
		return u, err
	}
	id, err := b.CreateMultipart(ctx, u.Key, u.ContentType)
	if err != nil {
		// Nobody has been told of this upload: free its place, unless a twin of this request
		// had more luck. Where this fails too, the ticket expires in its time.
		_ = a.Store.AbortUnbegun(context.WithoutCancel(ctx), u.UserID, u.ID)
		return u, err
	}
	held, err := a.Store.BeginMultipart(ctx, u.ID, id)
	if err == nil {
		u.MultipartID = held
	}
	// Not after any other error: the row may hold this id.
	if lost := err == nil && held != id || errors.Is(err, track.ErrNotFound); lost {
		_ = b.AbortMultipart(context.WithoutCancel(ctx), u.Key, id)
	}
	if errors.Is(err, track.ErrNotFound) {
		err = refuse(NotPending, "the upload was aborted meanwhile")
	}
	return u, err
}

// openedUpload is the answer to POST /v1/uploads. Of the last three one is set.
type openedUpload struct {
	UploadID  track.ID          `json:"upload_id"`
	TrackID   track.ID          `json:"track_id"`
	State     track.UploadState `json:"state"`
	ExpiresAt time.Time         `json:"expires_at"`

	Put       *track.SignedPut  `json:"put,omitempty"`
	Post      *track.SignedPost `json:"post,omitempty"`
	Multipart *multipart        `json:"multipart,omitempty"`
}

// opened signs what the client needs to send u's bytes.
func (a *api) opened(ctx context.Context, u track.Upload) (openedUpload, error) {
	o := openedUpload{UploadID: u.ID, TrackID: u.TrackID, State: u.State, ExpiresAt: u.ExpiresAt}
	b, err := a.backend(u.Backend)
	if err != nil {
		return o, err
	}
	switch u.Method {
	case track.MethodPut:
		put, err := b.SignPut(ctx, a.putSpec(u))
		o.Put = &put
		return o, err
	case track.MethodPost:
		post, err := b.SignPost(ctx, a.putSpec(u))
		o.Post = &post
		return o, err
	}
	o.Multipart, err = a.multipart(ctx, b, u)
	return o, err
}

func (a *api) putSpec(u track.Upload) track.PutSpec {
	return track.PutSpec{
		Key: u.Key, Size: u.Size, MaxSize: u.MaxSize, ContentType: u.ContentType, Checksum: u.Checksum, TTL: a.urlLife(u),
	}
}

// urlLife is how long a URL that is signed now lives: no longer than its ticket, which a
// repeated request does not prolong. Where that is over, a second: the ticket is stored,
// and the URL is part of the answer but not of use.
func (a *api) urlLife(u track.Upload) time.Duration {
	return max(time.Second, min(a.Limits.URLTTL, time.Until(u.ExpiresAt)))
}
