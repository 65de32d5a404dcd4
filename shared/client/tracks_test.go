package client_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"trackstore/shared/client"
	"trackstore/shared/track"
)

// One bit that flips on the way costs one part's sending, and no more.
func TestADamagedPartIsSentAgain(t *testing.T) {
	t.Parallel()
	s, flipped := start(t, time.Hour), false
	s.meddle = func(r *http.Request) (*http.Response, error) {
		if !flipped {
			flipped = true
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			body[len(body)/2] ^= 4
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		return nil, nil
	}
	u, err := s.send(t.Context(), bytes.NewReader(large), int64(len(large)))
	s.isStored(u, err, large)
}

func TestTracksAndUploadsOfAUser(t *testing.T) {
	t.Parallel()
	s := start(t, time.Hour)
	u, err := s.send(t.Context(), bytes.NewReader(small), int64(len(small)))
	s.isStored(u, err, small)
	open, err := s.Open(t.Context(), "another", client.Request{Title: "x", Filename: "x.wav", Size: 7})
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.List(t.Context(), track.UploadPending, "", 0)
	if err != nil || len(page.Uploads) != 1 || page.Uploads[0].ID != open.ID || page.Next != "" || page.Uploads[0].Method != track.MethodPut {
		t.Errorf("open: %+v, %v", page, err)
	}
	page, err = s.List(t.Context(), "", "", 1)
	if err != nil || len(page.Uploads) != 1 || page.Next == "" {
		t.Fatalf("all: %+v, %v", page, err)
	}
	if page, err = s.List(t.Context(), "", page.Next, 1); err != nil || len(page.Uploads) != 1 || page.Uploads[0].ID != u.ID || page.Next != "" {
		t.Errorf("all: %+v, %v", page, err)
	}
	for range 2 {
		if err := s.Abort(t.Context(), open.ID); err != nil {
			t.Error(err)
		}
	}
	if named, err := s.SetTitle(t.Context(), u.TrackID, "Étude"); err != nil || named.Title != "Étude" || named.ID.String() != u.TrackID {
		t.Errorf("named %+v, %v", named, err)
	}
	if p, err := s.Audio(t.Context(), u.TrackID); err != nil || p.Size != int64(len(small)) || time.Until(p.ExpiresAt) < time.Minute || p.URL == "" {
		t.Errorf("audio: %+v, %v", p, err)
	}
	all, err := s.Playback(t.Context(), track.NewID().String(), u.TrackID)
	if err != nil || len(all) != 2 || all[0].Code != "not_found" || all[1].Code != "" || all[1].URL == "" {
		t.Errorf("playback: %+v, %v", all, err)
	}
}
