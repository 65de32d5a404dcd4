package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"trackstore/shared/audio"
	"trackstore/shared/track"
)

// check looks at u's bytes: their size, their checksum where one was declared, and
// whether they are audio. Of the kind of audio, the bytes decide. track.ErrNotFound: they are not there.
// Every read names the version that HEAD found, so that all three speak of one object.
func (in *Ingester) check(ctx context.Context, b Backend, u track.Upload) (track.Finding, error) {
	object, err := b.Head(ctx, u.Key, "")
	if err != nil {
		return track.Finding{}, err
	}
	f := track.Finding{UploadID: u.ID, VersionID: object.VersionID, Bucket: b.Bucket(), Size: object.Size}
	if u.Size != 0 && object.Size != u.Size || object.Size < 1 || object.Size > u.MaxSize {
		f.Reason, f.Detail = track.SizeMismatch, wrongSize(u, object.Size)
		return f, nil
	}
	sums, err := in.checksums(ctx, b, u.ID, object, algorithms(u)...)
	if err != nil {
		return f, err
	}
	for _, declared := range []*track.Checksum{u.Checksum, u.SentChecksum} {
		if declared == nil {
			continue
		}
		if sum := sums[declared.Algorithm]; sum != *declared {
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
