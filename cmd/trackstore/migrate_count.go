package main

import (
	"context"
	"io"

	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// countedBucket tells how many bytes went to S3 and came from it, while a track is still
// being moved: a large one takes minutes.
type countedBucket struct {
	*s3store.Store
	add func(bytes int64)
}

// Create is that of the store.
func (b countedBucket) Create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (track.Object, error) {
	object, err := b.Store.Create(ctx, spec, body)
	if err == nil {
		b.add(spec.Digest.Size)
	}
	return object, err
}

// PutPart is that of the store.
func (b countedBucket) PutPart(ctx context.Context, spec track.NewPart, body io.ReadSeeker) (track.Part, error) {
	part, err := b.Store.PutPart(ctx, spec, body)
	if err == nil {
		b.add(spec.Digest.Size)
	}
	return part, err
}

// Open is that of the store.
func (b countedBucket) Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error) {
	body, err := b.Store.Open(ctx, key, versionID, offset, length)
	return countedBody{body, b.add}, err
}

type countedBody struct {
	io.ReadCloser
	add func(bytes int64)
}

// Read is that of io.Reader.
func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.add(int64(n))
	return n, err
}
