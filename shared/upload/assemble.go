package upload

import (
	"context"
	"errors"
	"slices"
	"strings"

	"trackstore/shared/track"
)

// receivedParts lists what the backend has of a multipart upload; nil where it takes no more
// for it: the parts were put together or given up, or are being put together now.
func (a *api) receivedParts(ctx context.Context, u track.Upload) ([]track.Part, error) {
	parts := []track.Part{}
	if u.MultipartID == "" {
		return parts, nil // not begun yet
	}
	b, err := a.backend(u.Backend)
	if err != nil {
		return nil, err
	}
	found, err := b.ListParts(ctx, u.Key, u.MultipartID)
	switch {
	case errors.Is(err, track.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return append(parts, found...), nil
}

// assemble completes a multipart upload on the backend from the parts that the client
// names. It returns nil also where there is nothing to complete (any more), and then asks
// for no list: whether the bytes are there, only a look at them tells.
func (a *api) assemble(ctx context.Context, u track.Upload, named []track.Part) error {
	if u.MultipartID == "" {
		return nil
	}
	b, err := a.backend(u.Backend)
	if err != nil {
		return err
	}
	received, err := b.ListParts(ctx, u.Key, u.MultipartID)
	if errors.Is(err, track.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if named == nil {
		return refuse(InvalidRequest, "parts: is required for a multipart upload")
	}
	parts, err := matchParts(u, named, received)
	if err != nil {
		return err
	}
	err = b.CompleteMultipart(ctx, u.Key, u.MultipartID, u.Size, parts)
	if errors.Is(err, track.ErrNotFound) || errors.Is(err, track.ErrExists) {
		return nil // a twin of this call was faster
	}
	return err
}

// matchParts returns the named parts in order, as they were received; an error names the
// first that is not as it should be.
func matchParts(u track.Upload, named, received []track.Part) ([]track.Part, error) {
	byNumber := make(map[int32]track.Part, len(received))
	for _, p := range received {
		byNumber[p.Number] = p
	}
	var total int64
	parts := make([]track.Part, len(named))
	for i, p := range named {
		got, ok := byNumber[p.Number]
		switch {
		case !ok:
			return nil, refuse(InvalidParts, "parts: part %d was not received, or stands there twice", p.Number)
		case got.ETag != p.ETag:
			return nil, refuse(InvalidParts, "parts: the etag of part %d is not that of what was received", p.Number)
		case p.Size != 0 && got.Size != p.Size:
			return nil, refuse(InvalidParts, "parts: part %d has %d bytes, not %d", p.Number, got.Size, p.Size)
		}
		delete(byNumber, p.Number)
		parts[i] = got
		total += got.Size
	}
	slices.SortFunc(parts, func(x, y track.Part) int { return int(x.Number - y.Number) })
	switch {
	case u.Size > 0 && total != u.Size:
		return nil, refuse(InvalidParts, "parts: have %d bytes together, and size says %d", total, u.Size)
	case total > u.MaxSize:
		return nil, refuse(InvalidParts, "parts: have %d bytes together, and a file may have up to %d", total, u.MaxSize)
	}
	return parts, nil
}

// trimETag takes an ETag as clients send it, with its quotes or without.
func trimETag(s string) string {
	return strings.Trim(strings.TrimSpace(s), `"`)
}
