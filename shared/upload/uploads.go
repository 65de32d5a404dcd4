package upload

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"trackstore/shared/track"
)

// uploadStatus is an upload as clients see it.
type uploadStatus struct {
	UploadID    track.ID          `json:"upload_id"`
	TrackID     track.ID          `json:"track_id"`
	State       track.UploadState `json:"state"`
	Reason      *track.Reason     `json:"reason"` // null unless it failed
	Detail      string            `json:"detail,omitempty"`
	ExpiresAt   time.Time         `json:"expires_at"`
	Size        *int64            `json:"size"` // null: not declared
	ContentType string            `json:"content_type"`
	Method      track.Method      `json:"method"`

	// Of a multipart.
	PartSize  int64        `json:"part_size,omitempty"`  // bytes
	PartCount int32        `json:"part_count,omitempty"` // absent where the size was not declared
	Parts     []track.Part `json:"parts,omitzero"`       // while it is pending, and asked for alone: all that the storage has; absent where it takes none any more
}

func statusOf(u track.Upload) uploadStatus {
	s := uploadStatus{
		UploadID: u.ID, TrackID: u.TrackID, State: u.State, Detail: u.Detail, ExpiresAt: u.ExpiresAt, ContentType: u.ContentType,
		Method: u.Method, PartSize: u.PartSize,
	}
	if u.Reason != "" {
		s.Reason = &u.Reason
	}
	if u.Size > 0 {
		s.Size = &u.Size
		if u.Method == track.MethodMultipart {
			s.PartCount = partCount(u)
		}
	}
	return s
}

// upload returns the user's upload that the path names.
func (a *api) upload(r *http.Request, user track.ID) (track.Upload, error) {
	id, err := track.ParseID(r.PathValue("upload_id"))
	if err != nil {
		return track.Upload{}, track.ErrNotFound
	}
	u, err := a.Store.Upload(r.Context(), user, id)
	if err == nil {
		noteUpload(r, u)
	}
	return u, err
}

// getUpload is GET /v1/uploads/{upload_id}.
func (a *api) getUpload(w http.ResponseWriter, r *http.Request, by caller) error {
	u, err := a.upload(r, by.user)
	if err != nil {
		return err
	}
	if u.State != track.UploadPending || u.Method != track.MethodMultipart {
		return answer(w, http.StatusOK, statusOf(u))
	}
	parts, err := a.receivedParts(r.Context(), u)
	if err != nil {
		return err
	}
	if parts == nil {
		// Whoever put them together may have died before the row said so.
		if u, err = a.confirm(r.Context(), u); err != nil {
			noteFailure(r, "settle_err", err) // complete tells the client
		}
	}
	s := statusOf(u)
	s.Parts = parts
	return answer(w, http.StatusOK, s)
}

// completeUpload is POST /v1/uploads/{upload_id}/complete.
func (a *api) completeUpload(w http.ResponseWriter, r *http.Request, by caller) error {
	body, err := readBody(w, r, maxCompleteBody)
	if err != nil {
		return err
	}
	var named []track.Part
	var sum *track.Checksum
	if body != nil {
		list := array(track.MaxParts, func(at string, value json.RawMessage) error {
			p, err := decodePart(at, value)
			named = append(named, p)
			return err
		})
		if err := (fields{"parts": list, "checksum": checksum(&sum)}).decode(body); err != nil {
			return err
		}
	}
	u, err := a.upload(r, by.user)
	if err != nil {
		return err
	}
	if sum != nil {
		// Before anybody looks at the bytes, unless the event was quicker.
		if err := a.Store.NameChecksum(r.Context(), by.user, u.ID, *sum); err != nil {
			return err
		}
	}
	if u, err = a.complete(r, u, named); err != nil {
		return err
	}
	if sum != nil && u.State == track.UploadStored {
		if err := a.compare(r.Context(), u, *sum); err != nil {
			return err
		}
	}
	return answer(w, http.StatusOK, statusOf(u))
}

// compare refuses a checksum that the bytes of a stored upload have not: whoever stored it
// may have looked before the client named it. Bytes that have made way for newer ones are
// not there to be compared.
func (a *api) compare(ctx context.Context, u track.Upload, sum track.Checksum) error {
	same, err := a.Confirm.Has(ctx, u, sum)
	switch {
	case errors.Is(err, track.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !same:
		return refuse(ChecksumMismatch, "the upload is stored, and its bytes have another %s", sum.Algorithm)
	}
	return nil
}

func decodePart(at string, value json.RawMessage) (track.Part, error) {
	var number, size *int64
	var etag *string
	// size stands in the list that a client resumes from; a list of its own needs none.
	err := fields{"part_number": whole(&number), "etag": text(&etag), "size": whole(&size)}.object(at, value)
	switch {
	case err != nil:
		return track.Part{}, err
	case number == nil || etag == nil:
		return track.Part{}, refuse(InvalidRequest, "%s: needs part_number and etag", at)
	case *number < 1 || *number > track.MaxParts:
		return track.Part{}, refuse(InvalidRequest, "%s.part_number: is not between 1 and %d", at, track.MaxParts)
	}
	p := track.Part{Number: int32(*number), ETag: trimETag(*etag)}
	if size != nil {
		p.Size = *size
	}
	return p, nil
}

// complete puts u's parts together, if it has any, and settles it. Called again, it
// answers what the first call did.
func (a *api) complete(r *http.Request, u track.Upload, named []track.Part) (track.Upload, error) {
	ctx := r.Context()
	switch {
	case u.State == track.UploadAborted:
		return u, refuse(NotPending, "the upload is %s", u.State)
	case !u.IsOpen():
		return u, nil
	case u.Method != track.MethodMultipart && named != nil:
		return u, refuse(InvalidRequest, "parts: the upload's method is %s, which has no parts", u.Method)
	}
	// Whatever hinders this, the object may be there all the same, and then it does not matter
	// which parts are named: an earlier call put it together, and its answer was lost, or its
	// server died.
	hindered := a.assemble(ctx, u, named)
	u, err := a.confirm(ctx, u)
	if err != nil {
		return u, err
	}
	// A twin of this call may be putting the parts together: until it is done, the storage
	// has neither the parts nor the file.
	for wait := 50 * time.Millisecond; u.IsOpen() && u.MultipartID != "" && hindered == nil && wait < 5*time.Second; wait *= 2 {
		select {
		case <-ctx.Done():
			return u, ctx.Err()
		case <-time.After(wait):
		}
		if u, err = a.confirm(ctx, u); err != nil {
			return u, err
		}
	}
	switch {
	case u.State == track.UploadStored, u.State == track.UploadFailed:
		return u, nil
	case u.IsOpen() && hindered != nil:
		return u, hindered
	case u.State == track.UploadPending:
		return u, refuse(NotUploaded, "the bytes are not there yet; the upload stays pending")
	case u.State == track.UploadExpired:
		return u, refuse(Expired, "the upload's time is over, and its bytes are not there")
	}
	return u, refuse(NotPending, "the upload is %s", u.State)
}

// confirm settles u, if its bytes are there, and returns it as it then is.
func (a *api) confirm(ctx context.Context, u track.Upload) (track.Upload, error) {
	settled, err := a.Confirm.Confirm(ctx, u.ID)
	for _, s := range settled {
		if s.ID == u.ID {
			u = s
		}
	}
	return u, err
}

// abortUpload is DELETE /v1/uploads/{upload_id}. The row goes first: from then on no
// event and no twin of this call can store what is about to be given up. A crash before
// the backend knows leaves parts that the sweep aborts.
func (a *api) abortUpload(w http.ResponseWriter, r *http.Request, by caller) error {
	id, err := track.ParseID(r.PathValue("upload_id"))
	if err != nil {
		return track.ErrNotFound
	}
	if err := a.abort(r, by.user, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) abort(r *http.Request, user, id track.ID) error {
	u, err := a.Store.AbortUpload(r.Context(), user, id)
	if err != nil {
		return err
	}
	noteUpload(r, u)
	if u.State == track.UploadStored {
		return refuse(AlreadyStored, "the upload is stored; delete its track instead")
	}
	if b := a.Backends[u.Backend]; b != nil && u.State == track.UploadAborted && u.MultipartID != "" {
		if err := b.AbortMultipart(r.Context(), u.Key, u.MultipartID); err != nil {
			note(r, slog.String("abort_err", err.Error())) // the sweep does it
		}
	}
	return nil
}
