// Package upload is the HTTP API: clients open uploads and get signed URLs, send the
// bytes straight to the storage, and ask what became of them. New returns it as an
// http.Handler; Routes lists its calls, docs/openapi.yaml describes them.
//
// Errors are application/problem+json (RFC 9457) with a stable code: see [Code].
package upload

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// Limits are what uploads are held to.
type Limits struct {
	MaxBytes       int64         // of a file
	SingleMaxBytes int64         // larger files are sent in parts unless the client asks otherwise
	URLTTL         time.Duration // a signed URL's life
	TTL            time.Duration // the life of a multipart upload and of a companion session
	MaxPending     int           // a user's open uploads
	AllowedOrigins []string      // of browsers that may call; "*" is any
	TrustForwarded bool          // whether a proxy's word on how the API was reached counts
	PlaybackURLTTL time.Duration // the life of a URL that a track is played by
}

// ticketLife is how long a ticket lives that is sent in one request: longer than its URL,
// for the transfer may have begun in the URL's last second, and its event takes a while.
func (l Limits) ticketLife() time.Duration {
	return l.URLTTL + min(l.URLTTL, 5*time.Minute)
}

// Authenticator tells whose request it is.
//
// Both methods may be called again and at once. Where the token is not accepted, the error
// has a method Challenge() string, which gives the answer's WWW-Authenticate header, and the
// error's text goes to the client. Where the token could not be checked, the error wraps
// track.ErrUnavailable.
type Authenticator interface {
	// UserID returns the user whom the token names.
	UserID(*http.Request) (track.ID, error)
	// Listener returns who wants to play a track. playsAll: the token's scope lets it play
	// every track; user is then zero where the token names no user.
	Listener(*http.Request) (user track.ID, playsAll bool, err error)
}

// Confirmer looks at the bytes of uploads. Both methods may be repeated.
type Confirmer interface {
	// Confirm settles, now, those pending uploads whose bytes are there: stored or failed. It
	// returns the uploads as they then are, also beside an error, which is of those that
	// could not be looked at; those whose bytes have not come stay pending.
	Confirm(ctx context.Context, uploads ...track.ID) ([]track.Upload, error)
	// Has reports whether the bytes of a stored upload have a checksum; track.ErrNotFound
	// where they are not there any more.
	Has(ctx context.Context, u track.Upload, sum track.Checksum) (bool, error)
}

// Tickets keeps uploads. Somebody else's are track.ErrNotFound.
type Tickets interface {
	// OpenUpload enters a ticket, or returns the upload that its idempotency key opened.
	// Errors: track.ErrTooManyPending, ErrIdempotencyConflict, ErrNotFound (the track).
	OpenUpload(context.Context, track.Ticket) (track.Upload, error)
	Upload(ctx context.Context, user, id track.ID) (track.Upload, error)
	// UserUploads lists a user's uploads, newest first.
	UserUploads(ctx context.Context, user track.ID, page track.UploadPage) ([]track.Upload, error)
	// UploadsToLookAt lists the oldest of a user's open uploads whose bytes nobody has looked
	// for in the last rest, at most limit, and counts them as looked for: whoever asks at the
	// same time gets others. others: somebody else is looking at some just now.
	UploadsToLookAt(ctx context.Context, user track.ID, rest time.Duration, limit int) (ids []track.ID, others bool, err error)
}

// Transitions moves pending uploads on. Each compares the state before it sets it.
type Transitions interface {
	// NameChecksum has whoever looks at the bytes compare this checksum, too. An upload that
	// is settled stays what it is, without an error.
	NameChecksum(ctx context.Context, user, id track.ID, sum track.Checksum) error
	// BeginMultipart records the backend's id unless there is one, and returns the one that
	// holds; track.ErrNotFound where the upload is not pending.
	BeginMultipart(ctx context.Context, id track.ID, multipartID string) (string, error)
	// AbortUpload returns the upload as it then is, never pending.
	AbortUpload(ctx context.Context, user, id track.ID) (track.Upload, error)
	// AbortUnbegun leaves uploads alone that have a backend's id.
	AbortUnbegun(ctx context.Context, user, id track.ID) error
}

// Tracks reads and changes a creator's tracks. Deleted and others' are track.ErrNotFound.
type Tracks interface {
	// Track returns one. It reads only.
	Track(ctx context.Context, creator, id track.ID) (track.Track, error)
	// TracksByID returns tracks in no particular order, whoever's they are, and leaves out
	// those that are not there or are deleted.
	TracksByID(ctx context.Context, ids []track.ID) ([]track.Track, error)
	// SetTitle changes the title and returns the track as it then is. track.ErrLocked: somebody else holds the row;
	// track.ErrRefused: the platform's table does not take it. It may be repeated.
	SetTitle(ctx context.Context, creator, id track.ID, title string) (track.Track, error)
	// DeleteTrack marks a track as deleted and gives its open uploads up, both or neither; its bytes stay for the grace.
	// Errors as of SetTitle. A second call is track.ErrNotFound. After track.ErrUnavailable it may be deleted.
	DeleteTrack(ctx context.Context, creator, id track.ID) error
}

// Sessions keeps companion sessions by the SHA-256 of their tokens.
type Sessions interface {
	// OpenSession enters one, and returns when it ends, by the database's clock. A hash that is there already is
	// track.ErrExists. After track.ErrUnavailable it may be open, and nobody has its token.
	OpenSession(ctx context.Context, tokenHash [32]byte, user track.ID, life time.Duration) (expires time.Time, err error)
	// SessionUser returns whose session it is; track.ErrNotFound where there is none, or it is over. It reads only.
	SessionUser(ctx context.Context, tokenHash [32]byte) (track.ID, error)
}

// Store is the database.
type Store interface {
	Tickets
	Transitions
	Tracks
	Sessions
	Ping(context.Context) error
}

// GetSigner signs GETs of stored bytes, with any Range, without asking for them.
type GetSigner interface {
	SignGet(context.Context, track.GetSpec) (track.SignedURL, error)
}

// Signer signs URLs of a storage backend, without asking the backend.
type Signer interface {
	SignPut(context.Context, track.PutSpec) (track.SignedPut, error)
	SignPost(context.Context, track.PutSpec) (track.SignedPost, error)
	GetSigner
	SignPart(context.Context, track.PartSpec) (track.SignedPut, error)
}

// Multiparts handles multipart uploads on a storage backend.
type Multiparts interface {
	// CreateMultipart begins an upload, of bytes whose checksum was declared, or nil. Each call begins one of its own;
	// after track.ErrUnavailable there may be one that nobody knows of, which the sweep aborts when it is old.
	CreateMultipart(ctx context.Context, key, contentType string, declared *track.Checksum) (id string, err error)
	// ListParts returns all parts; track.ErrNotFound where there is no such upload (any more).
	ListParts(ctx context.Context, key, multipartID string) ([]track.Part, error)
	// CompleteMultipart makes an object of parts, in the order of their numbers; size 0 is not known. A list that does not
	// fit what was uploaded is track.ErrInvalidParts. It may be repeated; track.ErrExists and track.ErrNotFound may follow
	// a call that took effect though its answer was lost.
	CompleteMultipart(ctx context.Context, key, multipartID string, size int64, parts []track.Part) error
	// AbortMultipart ends an upload and removes its parts; one that is over is no error. It may be repeated.
	AbortMultipart(ctx context.Context, key, multipartID string) error
}

// Backend is a storage backend.
type Backend interface {
	Signer
	Multiparts
	Bucket() string
}

// Config is what the API is put together from.
type Config struct {
	Limits   Limits
	Auth     Authenticator
	Store    Store
	Confirm  Confirmer
	NewFiles string             // the backend of new files: track.Local or track.S3
	Backends map[string]Backend // by name; one that is absent answers 503
	CDN      GetSigner          // what tracks on S3 are played by; nil: the bucket's own host
	Log      *slog.Logger
	Metrics  *metrics.Emitter // UploadsOpened; nil: none are written
}

// New returns the API. It opens no connection.
func New(c Config) http.Handler {
	a := &api{Config: c, cors: newCORS(c.Limits.AllowedOrigins)}
	a.mux = a.newMux()
	return a
}

type api struct {
	Config
	mux  *http.ServeMux
	cors cors
}

// backend returns a backend by name.
func (a *api) backend(name string) (Backend, error) {
	if b, ok := a.Backends[name]; ok {
		return b, nil
	}
	return nil, refuse(Unavailable, "the %s storage is not configured here", name)
}
