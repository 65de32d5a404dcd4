package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

	"trackstore/shared/track"
)

const (
	// maxKeyAge bounds how long a key that was withdrawn is still taken.
	maxKeyAge = time.Hour
	// fetchTimeout bounds how long a request waits for keys.
	fetchTimeout = 3 * time.Second
	// maxJWKS is far above what a set of keys has, in bytes.
	maxJWKS = 1 << 20
	// maxRedirects is how often a JWKS server may send on.
	maxRedirects = 3
)

// keySet holds the public keys of a JWKS server. Nothing runs in the background, which a
// frozen function would not do anyway: keys are fetched by the request that needs them.
type keySet struct {
	url     string
	client  *http.Client
	fetches *rate.Limiter // strangers can make up key ids; each would cost a fetch
	fetch   sync.Mutex    // one at a time
	tries   atomic.Int64  // fetches that have ended
	current atomic.Pointer[fetchedKeys]
}

type fetchedKeys struct {
	keys []publicKey // at least one
	at   time.Time
}

func newKeySet(url string) *keySet {
	return &keySet{
		url:     url,
		client:  &http.Client{Timeout: fetchTimeout, CheckRedirect: checkRedirect},
		fetches: rate.NewLimiter(rate.Every(10*time.Second), 5),
	}
}

// checkRedirect lets a server send on, and never from https to what anybody on the way can read and change.
func checkRedirect(next *http.Request, before []*http.Request) error {
	if len(before) > maxRedirects {
		return errors.New("too many redirects")
	}
	if before[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("a redirect leads away from https")
	}
	return nil
}

// key finds the key that a token names. One that is not known may be new, so the server is asked again.
func (s *keySet) key(ctx context.Context, token *jwt.Token) (any, error) {
	keys := s.current.Load()
	if keys == nil || time.Since(keys.at) > maxKeyAge {
		newer, err := s.newer(ctx, keys)
		switch {
		case err == nil:
			keys = newer
		case keys == nil:
			return nil, err
		default: // the server is down; better old keys than none
		}
	}
	key, err := find(keys.keys, token)
	if !errors.Is(err, errUnknownKey) {
		return key, err
	}
	newer, fetchErr := s.newer(ctx, keys)
	switch {
	case fetchErr != nil:
		return nil, fetchErr
	case newer == keys:
		return nil, err
	}
	return find(newer.keys, token)
}

// newer fetches the keys, unless another request did so since old was loaded. It returns
// old itself where the rate limit forbids to ask.
func (s *keySet) newer(ctx context.Context, old *fetchedKeys) (*fetchedKeys, error) {
	tries := s.tries.Load()
	s.fetch.Lock()
	defer s.fetch.Unlock()
	if keys := s.current.Load(); keys != old {
		return keys, nil
	}
	if s.tries.Load() != tries { // somebody tried in vain while this request waited: one wait is enough
		return nil, fmt.Errorf("fetch the keys of tokens: %w: failed just now", track.ErrUnavailable)
	}
	if !s.fetches.Allow() {
		if old == nil {
			return nil, fmt.Errorf("fetch the keys of tokens: %w: failed just now", track.ErrUnavailable)
		}
		return old, nil
	}
	defer s.tries.Add(1)
	// Others wait for this fetch: it does not end with the request that began it.
	keys, err := s.get(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("fetch the keys of tokens: %w: %w", track.ErrUnavailable, err)
	}
	fetched := &fetchedKeys{keys, time.Now()}
	s.current.Store(fetched)
	return fetched, nil
}

// get asks the server. An answer without a key that is of use is an error: it is a mistake
// of the server's rather than the end of all tokens, and the last good keys stay.
func (s *keySet) get(ctx context.Context) ([]publicKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxJWKS+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxJWKS:
		return nil, fmt.Errorf("the answer has more than %d bytes", maxJWKS)
	}
	keys, err := parseKeys(body)
	if err == nil && len(keys) == 0 {
		err = errors.New("the answer has no key that verifies signatures of RS256 (from 2,048 bits on), ES256 or EdDSA")
	}
	return keys, err
}
