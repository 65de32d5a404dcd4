package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"maps"
	"slices"

	"github.com/minio/crc64nvme"

	"trackstore/shared/audio"
	"trackstore/shared/track"
)

// check looks at u's bytes: their size, their checksum where one was declared, and
// whether they are audio. Of the kind of audio, the bytes decide. track.ErrNotFound: they are not there.
// Every read names the version that HEAD found, so that all three speak of one object.
func check(ctx context.Context, b Backend, u track.Upload) (track.Finding, error) {
	object, err := b.Head(ctx, u.Key, "")
	if err != nil {
		return track.Finding{}, err
	}
	f := track.Finding{UploadID: u.ID, VersionID: object.VersionID, Size: object.Size}
	if u.Size != 0 && object.Size != u.Size || object.Size < 1 || object.Size > u.MaxSize {
		f.Reason, f.Detail = track.SizeMismatch, wrongSize(u, object.Size)
		return f, nil
	}
	for _, declared := range []*track.Checksum{u.Checksum, u.SentChecksum} {
		if declared == nil {
			continue
		}
		sum, err := checksum(ctx, b, object, declared.Algorithm)
		if err != nil {
			return f, err
		}
		if sum != *declared {
			f.Reason = track.ChecksumMismatch
			f.Detail = fmt.Sprintf("declared %s %s, the bytes have %s", declared.Algorithm, declared.Value, sum.Value)
			return f, nil
		}
	}
	if f.Detail = addedHeaders(object); f.Detail != "" {
		f.Reason = track.NotAudio
		return f, nil
	}
	found, err := audio.Look(&reader{ctx, b, object})
	if err != nil {
		return f, err
	}
	if f.Format = found.Format; f.Format == "" {
		f.Reason, f.Detail = track.NotAudio, "the bytes are "+found.What
	}
	return f, nil
}

// addedHeaders names a header that the object's sender added to what the ticket names, and
// that everybody who reads the object would get with it: of bytes that are called gzip,
// no player makes a sound.
func addedHeaders(object track.Object) string {
	for _, name := range slices.Sorted(maps.Keys(object.Headers)) {
		return fmt.Sprintf("the bytes were sent with the header %s: %q, which the ticket does not name", name, object.Headers[name])
	}
	return ""
}

func wrongSize(u track.Upload, size int64) string {
	switch {
	case u.Size != 0:
		return fmt.Sprintf("declared %d bytes, the storage has %d", u.Size, size)
	case size < 1:
		return "the storage has no bytes"
	}
	return fmt.Sprintf("the storage has %d bytes, and may have up to %d", size, u.MaxSize)
}

// checksum returns an object's checksum: the backend's, else that of its bytes. Of a form
// or of parts, S3 may know none of the whole object by the algorithm that was declared.
func checksum(ctx context.Context, b Backend, object track.Object, a track.Algorithm) (track.Checksum, error) {
	if sum, ok := object.Checksum(a); ok {
		return sum, nil
	}
	var h hash.Hash
	switch a {
	case track.CRC64NVME:
		h = crc64nvme.New()
	case track.CRC32C:
		h = crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case track.SHA256:
		h = sha256.New()
	default:
		return track.Checksum{}, fmt.Errorf("checksum of %q: algorithm %q is not known", object.Key, a)
	}
	body, err := b.Open(ctx, object.Key, object.VersionID, 0, -1)
	if err != nil {
		return track.Checksum{}, err
	}
	defer body.Close()
	n, err := io.Copy(h, body)
	if err == nil && n != object.Size { // cut off: say nothing about the bytes
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return track.Checksum{}, fmt.Errorf("read %q: %w: %w", object.Key, track.ErrUnavailable, err)
	}
	return track.Checksum{Algorithm: a, Value: base64.StdEncoding.EncodeToString(h.Sum(nil))}, nil
}

// reader reads pieces of an object.
type reader struct {
	ctx     context.Context
	backend Backend
	object  track.Object
}

func (r *reader) ReadAt(p []byte, offset int64) (int, error) {
	want := min(int64(len(p)), r.object.Size-offset)
	if want <= 0 {
		return 0, io.EOF
	}
	body, err := r.backend.Open(r.ctx, r.object.Key, r.object.VersionID, offset, want)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, p[:want])
	switch {
	case err == nil && n < len(p):
		return n, io.EOF
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // cut off, and not the end
		err = track.ErrUnavailable
	}
	return n, fmt.Errorf("read %q: %w", r.object.Key, err)
}
