package s3store_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// silent is a server that begins an answer, after a while brings more of it, and then
// nothing, on a connection that lives.
type silent struct{ begin string }

func (s silent) Do(req *http.Request) (*http.Response, error) {
	body, answer := io.Pipe()
	go func() {
		for range 3 {
			time.Sleep(time.Minute)
			_, _ = io.WriteString(answer, s.begin)
		}
		<-req.Context().Done()
		_ = answer.CloseWithError(req.Context().Err())
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body, ContentLength: 1000, Request: req}, nil
}

func TestAnAnswerThatFallsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := func(begin string) *s3store.Store {
			s, err := s3store.New(s3store.Config{
				Bucket: "tracks", Region: "eu-central-1", MaxAttempts: 1, HTTPClient: silent{begin},
				Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		began := time.Now()
		body, err := store("half").Open(t.Context(), "k", "", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(body)
		if string(content) != "halfhalfhalf" || !errors.Is(err, track.ErrUnavailable) || time.Since(began) != 5*time.Minute {
			t.Errorf("an object: %q, %v after %s", content, err, time.Since(began))
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
		for _, err := range store("<ListBucketResult>").List(t.Context(), "") {
			if !errors.Is(err, track.ErrUnavailable) {
				t.Errorf("a list: %v", err)
			}
		}
	})
}
