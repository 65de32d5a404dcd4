package upload

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"trackstore/shared/track"
)

// mostPlayed is how many tracks one call of POST /v1/playback takes.
const mostPlayed = 100

// playable is where a track's bytes are to be had, and what they are.
type playable struct {
	URL         string    `json:"url"`
	ExpiresAt   time.Time `json:"expires_at"`
	ContentType string    `json:"content_type"`
	Size        int64     `json:"size"` // bytes
}

// getAudio is GET /v1/tracks/{track_id}/audio: it sends the client to the bytes, or says
// where they are.
func (a *api) getAudio(w http.ResponseWriter, r *http.Request, by caller) error {
	id, err := trackID(r)
	if err != nil {
		return err
	}
	tracks, err := a.playableTracks(r.Context(), by, []track.ID{id})
	if err != nil {
		return err
	}
	t, found := tracks[id]
	if !found {
		return track.ErrNotFound
	}
	query := r.URL.Query()
	redirect := query.Get("redirect") != "0"
	var spec track.GetSpec
	spec.Head = redirect && r.Method == http.MethodHead
	if query.Get("download") == "1" {
		spec.Disposition = attachment(t)
	}
	p, err := a.play(r.Context(), t, spec)
	if err != nil {
		return err
	}
	if !redirect {
		return answer(w, http.StatusOK, p)
	}
	w.Header().Set("Location", p.URL)
	w.WriteHeader(http.StatusFound)
	return nil
}

// played is what POST /v1/playback says of one track: where it is, or why it is not.
type played struct {
	TrackID track.ID `json:"track_id"`
	*playable
	Code Code `json:"code,omitempty"`
}

// playback is POST /v1/playback: up to 100 tracks, for one SELECT and nothing asked of the
// storage. A track that cannot be played has a code, and does not keep others from it.
func (a *api) playback(w http.ResponseWriter, r *http.Request, by caller) error {
	body, err := readObject(w, r, maxBody)
	if err != nil {
		return err
	}
	var ids []track.ID
	list := array(mostPlayed, func(at string, value json.RawMessage) error {
		var id *track.ID
		if err := uuid(&id)(at, value); err != nil {
			return err
		}
		ids = append(ids, *id)
		return nil
	})
	if err := (fields{"track_ids": list}).decode(body); err != nil {
		return err
	}
	if ids == nil {
		return refuse(InvalidRequest, "track_ids: is required")
	}
	tracks, err := a.playableTracks(r.Context(), by, ids)
	if err != nil {
		return err
	}
	all := make([]played, len(ids))
	for i, id := range ids {
		all[i].TrackID = id
		t, found := tracks[id]
		if !found {
			all[i].Code = NotFound
			continue
		}
		p, err := a.play(r.Context(), t, track.GetSpec{})
		if err != nil {
			all[i].Code = problemOf(err).code
			noteFailure(r, "playback_err", err)
			continue
		}
		all[i].playable = &p
	}
	return answer(w, http.StatusOK, map[string][]played{"tracks": all})
}

// playableTracks returns those of the tracks that the caller may play, by their ids.
func (a *api) playableTracks(ctx context.Context, by caller, ids []track.ID) (map[track.ID]track.Track, error) {
	found, err := a.Store.TracksByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	tracks := make(map[track.ID]track.Track, len(found))
	for _, t := range found {
		if by.playsAll || t.CreatorID == by.user {
			tracks[t.ID] = t
		}
	}
	return tracks, nil
}

// play signs a URL of t's bytes, as spec says beyond which bytes they are.
func (a *api) play(ctx context.Context, t track.Track, spec track.GetSpec) (playable, error) {
	if !t.HasFile() {
		return playable{}, refuse(NotReady, "the track has no audio yet")
	}
	b, err := a.backend(t.StorageBackend)
	if err != nil {
		return playable{}, err
	}
	spec.Key, spec.ContentType, spec.TTL = t.FilePath, audioType(t), a.Limits.PlaybackURLTTL
	if t.StorageBackend == track.S3 {
		spec.Key, spec.VersionID, spec.Bucket = *t.StorageKey, t.StorageVersionID, t.StorageBucket
	}
	var signer GetSigner = b
	if a.CDN != nil && t.StorageBackend == track.S3 && spec.Disposition == "" && bearsItsType(t) { // only the bucket gives other headers
		signer = a.CDN
	}
	signed, err := signer.SignGet(ctx, spec)
	if err != nil {
		return playable{}, err
	}
	return playable{signed.URL, signed.ExpiresAt.UTC(), spec.ContentType, t.Size}, nil
}

// bearsItsType reports whether the object that a track is on says of itself what the track is. What was moved does. An
// upload bears the type of the name that its client gave it, and its bytes may have turned out to be something else.
func bearsItsType(t track.Track) bool {
	if !strings.HasPrefix(*t.StorageKey, track.UploadsPrefix) {
		return true
	}
	named, known := track.FormatOfName(*t.StorageKey)
	return known && named.ContentType() == audioType(t)
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
