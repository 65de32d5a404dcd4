package upload

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"trackstore/shared/track"
)

// mostListed is how many uploads a page has, at most and by default.
const mostListed = 100

// listUploads is GET /v1/uploads: the caller's own, newest first, a page at a time.
func (a *api) listUploads(w http.ResponseWriter, r *http.Request, by caller) error {
	page, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
	wanted := page.Limit
	page.Limit++ // one more tells whether there is another page
	uploads, err := a.Store.UserUploads(r.Context(), by.user, page)
	if err != nil {
		return err
	}
	if len(uploads) == 0 && !page.After.IsZero() {
		// Nothing follows it, or it never was.
		_, err := a.Store.Upload(r.Context(), by.user, page.After)
		switch {
		case errors.Is(err, track.ErrNotFound):
			return errAfter
		case err != nil:
			return err
		}
	}
	out := struct {
		Uploads []uploadStatus `json:"uploads"`
		Next    *track.ID      `json:"next"` // null at the end
	}{Uploads: []uploadStatus{}}
	for _, u := range uploads[:min(len(uploads), wanted)] {
		out.Uploads = append(out.Uploads, statusOf(u))
	}
	if len(uploads) > wanted {
		out.Next = &uploads[wanted-1].ID
	}
	return answer(w, http.StatusOK, out)
}

var errAfter = refuse(InvalidRequest, "after: is not what an earlier page gave as next")

var states = []track.UploadState{
	track.UploadPending, track.UploadStored, track.UploadFailed, track.UploadExpired, track.UploadAborted,
}

// pageOf reads which uploads are wanted.
func pageOf(query url.Values) (track.UploadPage, error) {
	page := track.UploadPage{State: track.UploadState(query.Get("state")), Limit: mostListed}
	if page.State != "" && !slices.Contains(states, page.State) {
		return page, refuse(InvalidRequest, "state: is none of %v", states)
	}
	if limit := query.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > mostListed {
			return page, refuse(InvalidRequest, "limit: is not a whole number from 1 to %d", mostListed)
		}
		page.Limit = n
	}
	if after := query.Get("after"); after != "" {
		id, err := track.ParseID(after)
		if err != nil {
			return page, errAfter
		}
		page.After = id
	}
	return page, nil
}
