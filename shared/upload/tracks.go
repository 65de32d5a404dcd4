package upload

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"log/slog"

	"trackstore/shared/track"
)

func trackID(r *http.Request) (track.ID, error) {
	id, err := track.ParseID(r.PathValue("track_id"))
	if err != nil {
		return id, track.ErrNotFound
	}
	note(r, slog.String("track_id", id.String()))
	return id, nil
}

// getTrack is GET /v1/tracks/{track_id}.
func (a *api) getTrack(w http.ResponseWriter, r *http.Request, by caller) error {
	id, err := trackID(r)
	if err != nil {
		return err
	}
	t, err := a.Store.Track(r.Context(), by.user, id)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, t)
}

// deleteTrack is DELETE /v1/tracks/{track_id}.
func (a *api) deleteTrack(w http.ResponseWriter, r *http.Request, by caller) error {
	id, err := trackID(r)
	if err != nil {
		return err
	}
	if err := a.Store.DeleteTrack(r.Context(), by.user, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// changeTrack is PATCH /v1/tracks/{track_id}.
func (a *api) changeTrack(w http.ResponseWriter, r *http.Request, by caller) error {
	body, err := readObject(w, r, maxBody)
	if err != nil {
		return err
	}
	var title *string
	if err := (fields{"title": text(&title)}).decode(body); err != nil {
		return err
	}
	if err := checkText("title", title); err != nil {
		return err
	}
	id, err := trackID(r)
	if err != nil {
		return err
	}
	t, err := a.Store.SetTitle(r.Context(), by.user, id, *title)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, t)
}

// attachment is the Content-Disposition (RFC 6266) of a download: the title with the
// format's extension, unless it ends with one that fits, in ASCII for old clients and in
// full (RFC 8187) for all others.
func attachment(t track.Track) string {
	name := strings.Map(func(c rune) rune {
		if isControl(c) || strings.ContainsRune(`/\:*?"<>|`, c) { // no file system's friends
			return '_'
		}
		return c
	}, strings.ToValidUTF8(t.Title, "_"))
	if name = strings.Trim(name, ". "); name == "" {
		name = t.ID.String()
	}
	f := format(t)
	if named, _ := track.FormatOfName(name); f != "" && !f.Fits(named) {
		name += "." + f.Extension()
	}
	ascii := strings.Map(func(c rune) rune {
		if c > '~' || c == '%' {
			return '_'
		}
		return c
	}, name)
	extended := strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	return fmt.Sprintf(`attachment; filename="%s"; filename*=UTF-8''%s`, ascii, extended)
}
