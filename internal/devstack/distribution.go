package devstack

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/url"

	"trackstore/internal/devstack/cdn"
	"trackstore/shared/track"
)

// distribution is the stand-in of a CDN, before it serves.
type distribution struct {
	listener net.Listener
	url      *url.URL
	key      crypto.PublicKey
}

// cdnKeyID is the name of the stand-in's one key.
const cdnKeyID = "KLOCALSTACK"

// openCDN takes a port for the stand-in of a CDN, where one is wanted, and has the API sign its URLs with a new key.
func (s *stack) openCDN() error {
	switch {
	case !s.CDN:
		return nil
	case s.env.get("AWS_S3_ENABLED") != "true":
		return errors.New("--cdn stands before the bucket, and there is none: start without TRACK_STORAGE_BACKEND=" + track.Local)
	case s.env.given("PLAYBACK_CDN_URL") != "":
		return errors.New("--cdn and PLAYBACK_CDN_URL are two CDNs: give one of them")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.foundations = append(s.foundations, part{"the CDN's port", func(context.Context) error {
		_ = l.Close() // it may be closed by its server already
		return nil
	}})
	u := &url.URL{Scheme: "http", Host: l.Addr().String()}
	s.cdn = &distribution{l, u, key.Public()}
	// Chosen, so that a shell that has sourced the env file does not keep them for the next run.
	s.env.choose("PLAYBACK_CDN_URL", u.String())
	s.env.choose("PLAYBACK_CDN_KEY_ID", cdnKeyID)
	s.env.choose("PLAYBACK_CDN_PRIVATE_KEY", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return nil
}

// serveCDN starts the stand-in.
func (s *stack) serveCDN(origin cdn.Origin) {
	if s.cdn == nil {
		return
	}
	s.goServe("the CDN", s.cdn.listener, &cdn.Distribution{URL: s.cdn.url, KeyID: cdnKeyID, Key: s.cdn.key, Origin: origin})
	s.say("tracks on S3 are played by a stand-in of a CDN: %s", s.cdn.url)
}
