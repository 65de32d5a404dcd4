package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"trackstore/shared/client"
)

// server answers by hand.
type server func(try int) (*http.Response, error)

// get asks s for an upload, and returns when it was asked, counted from the beginning.
func get(s server) (asked []time.Duration, err error) {
	began := time.Now()
	web := roundTripper(func(*http.Request) (*http.Response, error) {
		asked = append(asked, time.Since(began))
		return s(len(asked))
	})
	_, err = client.New("http://server", "token", client.Options{HTTP: &http.Client{Transport: web}, GiveUp: 5 * time.Minute}).Get(context.Background(), "id")
	return asked, err
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	const json = "application/problem+json"
	for name, c := range map[string]struct {
		server server
		again  bool
	}{
		"bad request":      {func(int) (*http.Response, error) { return answer(400, json, `{"code":"bad_request"}`), nil }, false},
		"bad token":        {func(int) (*http.Response, error) { return answer(401, json, `{"code":"unauthorized"}`), nil }, false},
		"forbidden":        {func(int) (*http.Response, error) { return answer(403, "text/html", "<p>no"), nil }, false},
		"not there":        {func(int) (*http.Response, error) { return answer(404, json, `{"code":"not_found"}`), nil }, false},
		"conflict":         {func(int) (*http.Response, error) { return answer(409, json, `{"code":"not_uploaded"}`), nil }, false},
		"too many open":    {func(int) (*http.Response, error) { return answer(429, json, `{"code":"too_many_pending"}`), nil }, false},
		"a proxy's limit":  {func(int) (*http.Response, error) { return answer(429, "text/html", "<p>slow down"), nil }, true},
		"a fault":          {func(int) (*http.Response, error) { return answer(500, json, `{"code":"internal_error"}`), nil }, true},
		"a proxy's fault":  {func(int) (*http.Response, error) { return answer(502, "text/html", "<p>oh"), nil }, true},
		"unavailable":      {func(int) (*http.Response, error) { return answer(503, json, `{"code":"unavailable"}`), nil }, true},
		"no connection":    {func(int) (*http.Response, error) { return nil, errors.New("connection refused") }, true},
		"not what it says": {func(int) (*http.Response, error) { return answer(200, json, `<p>a captive portal`), nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, err := get(func(try int) (*http.Response, error) {
					if try == 4 {
						return answer(200, json, `{"state":"stored"}`), nil
					}
					return c.server(try)
				})
				if c.again && (err != nil || len(asked) != 4) {
					t.Errorf("asked %d times: %v", len(asked), err)
				}
				if !c.again && (err == nil || len(asked) != 1) {
					t.Errorf("asked %d times: %v", len(asked), err)
				}
			})
		})
	}
}

func TestPausesGrowUntilItGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, err := get(func(int) (*http.Response, error) { return answer(503, "text/html", ""), nil })
		var p *client.Problem
		if !errors.As(err, &p) || p.Status != 503 {
			t.Errorf("gave up with %v", err)
		}
		if end := asked[len(asked)-1]; end < 5*time.Minute || end > 5*time.Minute+15*time.Second {
			t.Errorf("gave up after %v", end)
		}
		pause := 250 * time.Millisecond
		for i := 1; i < len(asked); i++ {
			if wait := asked[i] - asked[i-1]; wait < pause/2 || wait > pause {
				t.Errorf("pause %d took %v", i, wait)
			}
			pause = min(2*pause, 15*time.Second)
		}
	})
}

// A large file on a slow line takes longer than that, and may be cut off at its very end.
func TestWhatFailsLateIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, err := get(func(try int) (*http.Response, error) {
			if try == 1 {
				time.Sleep(10 * time.Minute)
				return nil, errors.New("connection reset")
			}
			return answer(200, "application/json", `{"state":"stored"}`), nil
		})
		if err != nil || len(asked) != 2 {
			t.Errorf("asked %d times: %v", len(asked), err)
		}
	})
}
