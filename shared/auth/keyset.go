package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"

	"trackstore/shared/track"
)

const (
	// maxKeyAge bounds how long a key that was withdrawn is still taken.
	maxKeyAge = time.Hour
	// fetchTimeout bounds how long a request waits for keys.
	fetchTimeout = 3 * time.Second
)

// keySet holds the public keys of a JWKS server. Nothing runs in the background, which a
// frozen function would not do anyway: keys are fetched by the request that needs them.
type keySet struct {
	url     string
	client  *http.Client
	fetches *rate.Limiter // strangers can make up key ids; each would cost a fetch
	fetch   sync.Mutex    // one at a time
	current atomic.Pointer[fetchedKeys]
}

type fetchedKeys struct {
	keyfunc.Keyfunc
	at time.Time
}

func newKeySet(url string) *keySet {
	return &keySet{url: url, client: &http.Client{Timeout: fetchTimeout}, fetches: rate.NewLimiter(rate.Every(10*time.Second), 5)}
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
	key, err := keys.KeyfuncCtx(ctx)(token)
	if !errors.Is(err, jwkset.ErrKeyNotFound) {
		return key, err
	}
	newer, fetchErr := s.newer(ctx, keys)
	switch {
	case fetchErr != nil:
		return nil, fetchErr
	case newer == keys:
		return nil, err
	}
	return newer.KeyfuncCtx(ctx)(token)
}

// newer fetches the keys, unless another request did so since old was loaded. It returns
// old itself where the rate limit forbids to ask.
func (s *keySet) newer(ctx context.Context, old *fetchedKeys) (*fetchedKeys, error) {
	s.fetch.Lock()
	defer s.fetch.Unlock()
	if keys := s.current.Load(); keys != old {
		return keys, nil
	}
	if !s.fetches.Allow() {
		if old == nil {
			return nil, fmt.Errorf("fetch the keys of tokens: %w: failed just now", track.ErrUnavailable)
		}
		return old, nil
	}
	// Others wait for this fetch: it does not end with the request that began it.
	storage, err := jwkset.NewStorageFromHTTP(s.url, jwkset.HTTPClientStorageOptions{
		Client: s.client, Ctx: context.WithoutCancel(ctx), HTTPTimeout: fetchTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("fetch the keys of tokens: %w: %w", track.ErrUnavailable, err)
	}
	// A key for encryption does not sign.
	find, err := keyfunc.New(keyfunc.Options{Storage: storage, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
	if err != nil {
		return nil, err
	}
	keys := &fetchedKeys{find, time.Now()}
	s.current.Store(keys)
	return keys, nil
}
