package config

import (
	"time"

	"trackstore/shared/track"
)

// Uploads holds the limits of uploads, and who may call from a browser.
type Uploads struct {
	MaxBytes       int64 // the largest file
	SingleMaxBytes int64 // the largest file sent in one request by default; at most MaxBytes
	URLTTL         time.Duration
	TTL            time.Duration // of multipart uploads and companion sessions
	MaxPending     int           // a user's open uploads
	AllowedOrigins []string      // of CORS, as browsers spell them; "*" is every origin
	TrustForwarded bool          // whether a proxy's word on how the API was reached counts
	PlaybackURLTTL time.Duration // a playback URL's life
}

const maxURLTTL = 7 * 24 * time.Hour // of a SigV4 signature

// uploads reads and checks by rules 7, 8 and 10.
func (l *loader) uploads() Uploads {
	u := Uploads{
		MaxBytes:       get[int64](l, "UPLOAD_MAX_BYTES"),
		SingleMaxBytes: get[int64](l, "UPLOAD_SINGLE_MAX_BYTES"),
		URLTTL:         l.urlTTL("UPLOAD_URL_TTL"),
		TTL:            l.uploadTTL(),
		MaxPending:     get[int](l, "UPLOAD_MAX_PENDING"),
		AllowedOrigins: l.origins("CORS_ALLOWED_ORIGINS"),
		TrustForwarded: get[bool](l, "TRUST_FORWARDED"),
		PlaybackURLTTL: l.urlTTL("PLAYBACK_URL_TTL"),
	}
	if u.MaxBytes > track.MaxObjectSize {
		l.fail("UPLOAD_MAX_BYTES", "is more than 5 TiB", "S3 takes no larger object")
	}
	if u.SingleMaxBytes > track.MaxPutSize {
		l.fail("UPLOAD_SINGLE_MAX_BYTES", "is more than 5 GiB", "S3 takes no more in one request")
	}
	u.SingleMaxBytes = min(u.SingleMaxBytes, u.MaxBytes)
	if u.TTL < u.URLTTL {
		l.distrust("UPLOAD_TTL", "is shorter than UPLOAD_URL_TTL", "URLs would outlive their upload")
	}
	return u
}

// urlTTL reads the life of a signed URL.
func (l *loader) urlTTL(name string) time.Duration {
	ttl := get[time.Duration](l, name)
	if ttl < time.Second || ttl > maxURLTTL {
		l.fail(name, "is not between 1s and 168h", "S3 signs nothing longer")
	}
	return ttl
}

// uploadTTL is asked for by more than one part.
func (l *loader) uploadTTL() time.Duration {
	ttl := get[time.Duration](l, "UPLOAD_TTL")
	if ttl < time.Second {
		l.fail("UPLOAD_TTL", "is less than 1s", "the usual one is 24h")
	}
	return ttl
}
