package upload

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// openUpload is POST /v1/uploads.
func (a *api) openUpload(w http.ResponseWriter, r *http.Request, by caller) error {
	body, err := readObject(w, r, maxBody)
	if err != nil {
		return err
	}
	var q openRequest
	if err := q.decode(body); err != nil {
		return err
	}
	ticket, err := a.ticket(&q)
	if err != nil {
		return err
	}
	ticket.UserID = by.user
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

// open enters a ticket, and begins its upload on the backend where that is needed.
func (a *api) open(r *http.Request, t track.Ticket) (track.Upload, error) {
	ctx := r.Context()
	if _, err := a.backend(t.Backend); err != nil {
		return track.Upload{}, err
	}
	u, err := a.Store.OpenUpload(ctx, t)
	for try := 0; try < 8 && errors.Is(err, track.ErrTooManyPending) && a.settle(r, t.UserID); try++ {
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

const (
	// lookRest is how long the storage is left alone about an open upload that it was asked
	// for, however often its user is refused meanwhile.
	lookRest = 10 * time.Second
	// looksAtOnce is how many open uploads are looked at before another one is tried to be
	// opened: the oldest are the likeliest to be there, and those that are still being sent
	// are not looked at too early.
	looksAtOnce = 8
)

// settle confirms some of a user's uploads whose bytes came and whose events did not yet,
// and reports whether there may be room for another one now. Somebody who sends many small
// files one after the other is quicker than the events, and is not to be refused for that.
func (a *api) settle(r *http.Request, user track.ID) bool {
	ctx := r.Context()
	for {
		ids, others, err := a.Store.UploadsToLookAt(ctx, user, lookRest, looksAtOnce)
		switch {
		case err != nil:
			note(r, slog.String("settle_err", err.Error()))
			return false
		case len(ids) == 0 && others: // who may settle some
			select {
			case <-ctx.Done():
				return false
			case <-time.After(100 * time.Millisecond):
				return true
			}
		case len(ids) == 0:
			return false
		}
		settled, err := a.Confirm.Confirm(ctx, ids...)
		if err != nil {
			note(r, slog.String("settle_err", err.Error()))
		}
		for _, u := range settled {
			if u.State != track.UploadPending {
				return true
			}
		}
	}
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
	id, err := b.CreateMultipart(ctx, u.Key, u.ContentType, u.Checksum)
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
