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
func (a *api) getTrack(w http.ResponseWriter, r *http.Request, user track.ID) error {
	id, err := trackID(r)
	if err != nil {
		return err
	}
	t, err := a.Store.Track(r.Context(), user, id)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, t)
}

// deleteTrack is DELETE /v1/tracks/{track_id}.
func (a *api) deleteTrack(w http.ResponseWriter, r *http.Request, user track.ID) error {
	id, err := trackID(r)
	if err != nil {
		return err
	}
	if err := a.Store.DeleteTrack(r.Context(), user, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// getAudio is GET /v1/tracks/{track_id}/audio: it sends the client to the bytes.
func (a *api) getAudio(w http.ResponseWriter, r *http.Request, user track.ID) error {
	id, err := trackID(r)
	if err != nil {
		return err
	}
	t, err := a.Store.Track(r.Context(), user, id)
	if err != nil {
		return err
	}
	if !t.HasFile() {
		return refuse(NotReady, "the track has no audio yet")
	}
	b, err := a.backend(t.StorageBackend)
	if err != nil {
		return err
	}
	spec := track.GetSpec{Key: t.FilePath, ContentType: audioType(t), Head: r.Method == http.MethodHead, TTL: a.Limits.URLTTL}
	if t.StorageBackend == track.S3 {
		spec.Key, spec.VersionID = *t.StorageKey, t.StorageVersionID
	}
	if r.URL.Query().Get("download") == "1" {
		spec.Disposition = attachment(t)
	}
	location, err := b.SignGet(r.Context(), spec)
	if err != nil {
		return err
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusFound)
	return nil
}

// audioType is a track's content type in its canonical form. A platform's old rows may
// have another name for it, or none; of a format that is not known the name stays.
func audioType(t track.Track) string {
	f := format(t)
	if f == "" && strings.HasPrefix(strings.ToLower(t.ContentType), "audio/") {
		return t.ContentType
	}
	return f.ContentType()
}

// format is what a track says of its format, by any of its columns.
func format(t track.Track) track.Format {
	if t.Format.ContentType() != track.OctetStream {
		return t.Format
	}
	if f, known := track.FormatOfType(t.ContentType); known {
		return f
	}
	f, _ := track.FormatOfName(t.FilePath)
	return f
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
