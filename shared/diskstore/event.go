package diskstore

import (
	"context"

	"trackstore/shared/s3event"
)

// announce tells OnCreate of an object, as S3 would. A crash before it, or a failure,
// leaves an object that nobody was told of; the sweep finds it.
func (s *Store) announce(ctx context.Context, how, key string, got received) {
	if s.cfg.OnCreate == nil {
		return
	}
	event := s3event.Created{How: how, Region: "local", Bucket: s.Bucket(), Key: key, Size: got.size, ETag: got.etag}
	// The client may be gone; the bytes are here.
	if err := s.cfg.OnCreate(context.WithoutCancel(ctx), event.JSON()); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "the event of a stored object was not delivered", "key", key, "err", err)
	}
}
