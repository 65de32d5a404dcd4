// Package diskstore keeps tracks' bytes in a folder: the same backend as a bucket of S3,
// with a server of its own behind the URLs that it signs. It also reads and removes the
// files that a platform put there itself.
//
// A key, or a file path, is a path under the root folder, and nothing outside that folder
// is ever opened. Each key is written once: bytes are written to a temporary file, synced,
// and then given their name exclusively, so that a name never stands for half a file.
// What is in the making lies under .trackstore in the root, on the same file system.
package diskstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"trackstore/shared/track"
)

// Config says where the files lie and who may reach them how.
type Config struct {
	Root string // need not be there yet, or always; every call but signing needs it

	// Prove tells whether the root folder is the one that is meant, and the id that it bears; the
	// zero ID for none. It is asked before a folder is worked with for the first time: at the
	// first call, and when another folder has come to be at Root's path, because a volume was
	// unmounted. Its error is that of the call. nil: any folder is.
	Prove func(ctx context.Context) (track.ID, error)

	// Of the server. Without URL and Secret nothing is signed, and the handler lets nothing in.
	URL            *url.URL // as clients reach Handler, whose path is below this one
	Secret         []byte   // signs URLs
	AllowedOrigins []string // of browsers' pages; "*": any

	// OnCreate is told of each object that a client or Create stored, with the event that S3
	// would send. A failure is logged and changes nothing: the bytes are there. May be nil.
	OnCreate func(ctx context.Context, event []byte) error

	Logger *slog.Logger // nil: slog.Default()
}

// Store is a folder. It is safe for concurrent use, also by several processes.
type Store struct {
	cfg       Config
	root      string       // absolute
	cleanedAt atomic.Int64 // seconds since 1970

	proving sync.Mutex
	proven  *provenRoot // nil: none yet
}

// New returns the store that cfg describes. It touches nothing on disk.
func New(cfg Config) (*Store, error) {
	if cfg.Root == "" {
		return nil, errors.New("diskstore: a root folder is needed")
	}
	root, err := filepath.Abs(cfg.Root)
	if err != nil {
		return nil, fmt.Errorf("diskstore: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.URL != nil {
		base := *cfg.URL
		base.Path, base.RawPath = strings.TrimSuffix(base.Path, "/"), ""
		cfg.URL = &base
	}
	return &Store{cfg: cfg, root: root}, nil
}

// Name returns track.Local.
func (s *Store) Name() string { return track.Local }

// Bucket returns the name that stands for the disk in events.
func (s *Store) Bucket() string { return "local-disk" }
