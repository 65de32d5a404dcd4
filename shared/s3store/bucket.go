package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"trackstore/shared/track"
)

// idKey holds what a bucket is known by. No prefix that is listed, swept or notified has it.
const idKey = ".trackstore/bucket-id"

// ID returns the id that the bucket bears, or the zero ID where it bears none. track.ErrPlace:
// there is no such bucket, or what answers is no S3; track.ErrForbidden: it may not be read,
// or, without the right to list the bucket, there may be none.
func (s *Store) ID(ctx context.Context) (track.ID, error) {
	const op = "read"
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(idKey)}, unproven)
	if err := failure(ctx, op, idKey, err); errors.Is(err, track.ErrNotFound) {
		return track.ID{}, nil
	} else if err != nil {
		return track.ID{}, err
	}
	defer out.Body.Close()
	content, err := io.ReadAll(io.LimitReader(out.Body, 1024))
	if err != nil {
		return track.ID{}, fmt.Errorf("%s %q: %w: %w", op, idKey, track.ErrUnavailable, err)
	}
	id, err := track.ParsePlaceID(content)
	return id, failure(ctx, op, idKey, err)
}

// Mark makes the bucket bear an id, unless it bears one (track.ErrExists).
func (s *Store) Mark(ctx context.Context, id track.ID) error {
	out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: aws.String(idKey), IfNoneMatch: aws.String("*"),
		ContentType: aws.String("text/plain"), Body: strings.NewReader(id.String() + "\n"),
	}, unproven)
	if err == nil && aws.ToString(out.ETag) == "" {
		err = errNotS3
	}
	return failure(ctx, "write", idKey, err)
}

// Prove asks anew whether the bucket is there, and is the one that is meant.
func (s *Store) Prove(ctx context.Context) error {
	if s.cfg.Prove == nil {
		_, err := s.ID(ctx)
		return err
	}
	if err := s.cfg.Prove(ctx); err != nil {
		return failure(ctx, "prove", s.bucket, &unprovenError{err})
	}
	s.isProven.Store(true)
	return nil
}

// In returns the store over another bucket, by its name, which is reached in the same way and
// proves nothing: who names it is a track's row. The name of this one, or none, is this one.
func (s *Store) In(bucket string) (*Store, error) {
	if bucket == "" || bucket == s.bucket {
		return s, nil
	}
	if other, ok := s.others.Load(bucket); ok {
		return other.(*Store), nil
	}
	cfg := s.cfg
	cfg.Bucket, cfg.Prove = bucket, nil
	other, err := New(cfg)
	if err != nil {
		return nil, err
	}
	first, _ := s.others.LoadOrStore(bucket, other)
	return first.(*Store), nil
}

// errNotS3 tells an answer that S3 would not give, such as the page of a proxy.
var errNotS3 = fmt.Errorf("%w: what answers is no S3: its answer lacks an ETag", track.ErrPlace)

// prove asks Config.Prove before the first call, and until it has let one pass. Calls that
// come meanwhile wait.
func (s *Store) prove(ctx context.Context) error {
	if s.cfg.Prove == nil || s.isProven.Load() {
		return nil
	}
	s.proving.Lock()
	defer s.proving.Unlock()
	if s.isProven.Load() {
		return nil
	}
	if err := s.cfg.Prove(ctx); err != nil {
		return &unprovenError{err}
	}
	s.isProven.Store(true)
	return nil
}

// unprovenError keeps what Config.Prove said from being taken for S3's own word.
type unprovenError struct{ error }

func (e *unprovenError) Unwrap() error { return e.error }

// proveFirst makes each call through the SDK ask, once, before any of its attempts.
func (s *Store) proveFirst(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ProveBucket",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
				middleware.InitializeOutput, middleware.Metadata, error,
			) {
				if err := s.prove(ctx); err != nil {
					return middleware.InitializeOutput{}, middleware.Metadata{}, err
				}
				return next.HandleInitialize(ctx, in)
			}), middleware.Before)
	})
}

// unproven is for the calls by which the bucket is proved.
func unproven(o *s3.Options) { o.APIOptions = nil }
