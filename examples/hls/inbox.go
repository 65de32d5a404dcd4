package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"trackstore/shared/track"
)

// event is what the service reads of a CloudEvent.
type event struct {
	Type     string   `json:"type"`
	Track    track.ID `json:"subject"`
	Sequence string   `json:"sequence"` // digits; greater in the later event of a track

	file string // of the inbox
}

// inbox keeps events on disk from the answer to the webhook until they are acted upon: what
// is answered with 204 does not come again.
type inbox struct {
	dir      string
	verifier *standardwebhooks.Webhook
	come     chan struct{} // has room for one: something came
}

// ServeHTTP is the webhook.
func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		err = in.verifier.Verify(body, r.Header)
	}
	if err != nil {
		http.Error(w, "not an event of ours", http.StatusUnauthorized)
		return
	}
	e, err := parse(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := in.keep(e, body); err != nil {
		http.Error(w, "try again", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	select {
	case in.come <- struct{}{}:
	default:
	}
}

func parse(body []byte) (e event, err error) {
	if err := json.Unmarshal(body, &e); err != nil {
		return e, err
	}
	if e.Sequence == "" || strings.Trim(e.Sequence, "0123456789") != "" {
		return e, errors.New("no sequence")
	}
	return e, nil
}

// keep writes an event down. The same event twice is one file.
func (in *inbox) keep(e event, body []byte) error {
	temp, err := os.CreateTemp(in.dir, ".event-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it has been renamed
	_, err = temp.Write(body)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), filepath.Join(in.dir, e.Track.String()+"-"+e.Sequence+".json"))
}

// waiting returns the events by track, and those of a track in their order.
func (in *inbox) waiting() ([]event, error) {
	files, err := filepath.Glob(filepath.Join(in.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var all []event
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		e, err := parse(body)
		if err != nil {
			return nil, err
		}
		e.file = file
		all = append(all, e)
	}
	return all, nil
}
