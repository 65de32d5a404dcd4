// Package storetest holds the one suite of tests that every blob backend passes.
package storetest

import (
	"context"
	"io"
	"iter"

	"trackstore/shared/track"
)

// Backend is what s3store and diskstore both are. Programs ask for the few methods that
// they use; this is the whole.
type Backend interface {
	// Name is how tracks.storage_backend names it: track.Local or track.S3.
	Name() string
	// Bucket is the name that its events bear.
	Bucket() string

	SignPut(ctx context.Context, spec track.PutSpec) (track.SignedPut, error)
	SignPost(ctx context.Context, spec track.PutSpec) (track.SignedPost, error)
	SignGet(ctx context.Context, spec track.GetSpec) (track.SignedURL, error)
	SignPart(ctx context.Context, spec track.PartSpec) (track.SignedPut, error)

	CreateMultipart(ctx context.Context, key, contentType string, declared *track.Checksum) (multipartID string, err error)
	ListParts(ctx context.Context, key, multipartID string) ([]track.Part, error)
	CompleteMultipart(ctx context.Context, key, multipartID string, size int64, parts []track.Part) error
	AbortMultipart(ctx context.Context, key, multipartID string) error
	ListMultiparts(ctx context.Context, prefix string) iter.Seq2[track.Multipart, error]

	Head(ctx context.Context, key, versionID string) (track.Object, error)
	Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error)
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string) iter.Seq2[track.Object, error]
	Create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (track.Object, error)
}
