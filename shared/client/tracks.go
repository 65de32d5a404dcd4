package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"trackstore/shared/track"
)

// Page is some of a user's uploads, newest first.
type Page struct {
	Uploads []Upload `json:"uploads"`
	Next    string   `json:"next"` // what List takes to go on after them; empty at the end
}

// List returns a page of the user's uploads: in one state, or, where that is empty, in any.
// after is empty, or the Next of the page before; limit is from 1 to 100, or 0 for as many
// as the server gives.
func (c *Client) List(ctx context.Context, state track.UploadState, after string, limit int) (Page, error) {
	query := url.Values{}
	for name, value := range map[string]string{"state": string(state), "after": after} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var p Page
	err := c.call(ctx, http.MethodGet, "/v1/uploads?"+query.Encode(), nil, &p)
	return p, err
}

// Abort gives an upload up. It may be repeated; an upload that is stored stays so, with a
// Problem of the code already_stored.
func (c *Client) Abort(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/uploads/"+url.PathEscape(id), nil, nil)
}

// SetTitle gives one of the user's tracks another title, and returns the track.
func (c *Client) SetTitle(ctx context.Context, trackID, title string) (track.Track, error) {
	var t track.Track
	err := c.call(ctx, http.MethodPatch, "/v1/tracks/"+url.PathEscape(trackID), map[string]string{"title": title}, &t)
	return t, err
}

// Playable is where a track's bytes are to be had.
type Playable struct {
	URL         string    `json:"url"` // takes GET with any Range
	ExpiresAt   time.Time `json:"expires_at"`
	ContentType string    `json:"content_type"`
	Size        int64     `json:"size"` // bytes
}

// Audio returns where a track's bytes are: the user's own, or, with a token that plays every
// track, anybody's. What plays longer than the URL lives asks again.
func (c *Client) Audio(ctx context.Context, trackID string) (Playable, error) {
	var p Playable
	err := c.call(ctx, http.MethodGet, "/v1/tracks/"+url.PathEscape(trackID)+"/audio?redirect=0", nil, &p)
	return p, err
}

// Played is a track of Playback: where it is, or, by its Code, why it cannot be played.
type Played struct {
	TrackID string `json:"track_id"`
	Playable
	Code string `json:"code"` // empty: it can be played; not_found, not_ready and others
}

// Playback is Audio for up to 100 tracks, in their order.
func (c *Client) Playback(ctx context.Context, trackIDs ...string) ([]Played, error) {
	var answer struct {
		Tracks []Played `json:"tracks"`
	}
	err := c.call(ctx, http.MethodPost, "/v1/playback", map[string][]string{"track_ids": trackIDs}, &answer)
	return answer.Tracks, err
}
