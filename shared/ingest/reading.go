package ingest

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

const (
	// Objects up to this size are read at once, a batch's side by side; larger ones one after
	// the other, and what was read of them counts at the next try.
	largeObject = 16 << 20 // bytes

	savedEvery   = 64 << 20        // bytes read between two notes of how far
	readingHold  = time.Minute     // how long a reader that died keeps others from an object
	readingPause = time.Second / 4 // between two looks whether somebody else is done
	lastNote     = 5 * time.Second // for noting how far, when time is up
)

// checksums returns the checksums of an upload's object by these algorithms: the backend's, else
// those of its bytes. Of a form or of parts, S3 may know none of the whole object by the
// algorithm that was declared.
func (in *Ingester) checksums(
	ctx context.Context, b Backend, id track.ID, object track.Object, wanted ...track.Algorithm,
) (map[track.Algorithm]track.Checksum, error) {
	sums := make(map[track.Algorithm]track.Checksum)
	h := make(hashes)
	for _, a := range wanted {
		if sum, ok := object.Checksum(a); ok {
			sums[a] = sum
		} else if h[a] = newHash(a); h[a] == nil {
			return nil, fmt.Errorf("checksum of %q: algorithm %q is not known", object.Key, a)
		}
	}
	var err error
	switch {
	case len(h) == 0:
	case object.Size <= largeObject:
		_, err = readOn(ctx, b, object, hashing{hash: h})
	default:
		err = in.readLarge(ctx, b, track.Reading{UploadID: id, VersionID: object.VersionID}, object, h)
	}
	for a := range h {
		sums[a] = track.Checksum{Algorithm: a, Value: base64.StdEncoding.EncodeToString(h[a].Sum(nil))}
	}
	return sums, err
}

// algorithms are those of the checksums that u's client has declared.
func algorithms(u track.Upload) (all []track.Algorithm) {
	for _, declared := range []*track.Checksum{u.Checksum, u.SentChecksum} {
		if declared != nil {
			all = append(all, declared.Algorithm)
		}
	}
	return all
}

func newHash(a track.Algorithm) hash.Hash {
	switch a {
	case track.CRC64NVME:
		return crc64nvme.New()
	case track.CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case track.SHA256:
		return sha256.New()
	}
	return nil
}

// hashes are all written to at once.
type hashes map[track.Algorithm]hash.Hash

func (h hashes) Write(p []byte) (int, error) {
	for _, one := range h {
		one.Write(p)
	}
	return len(p), nil
}

// state returns what goOn goes on from.
func (h hashes) state() ([]byte, error) {
	states := make(map[track.Algorithm][]byte)
	for a, one := range h {
		state, err := one.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return nil, err
		}
		states[a] = state
	}
	return json.Marshal(states)
}

// goOn reports whether the state has all of these hashes: it may be that of others, or of another
// version of this program. Else they begin anew.
func (h hashes) goOn(state []byte) bool {
	var states map[track.Algorithm][]byte
	good := json.Unmarshal(state, &states) == nil
	for a, one := range h {
		good = good && one.(encoding.BinaryUnmarshaler).UnmarshalBinary(states[a]) == nil
	}
	if !good {
		for _, one := range h {
			one.Reset()
		}
	}
	return good
}

// readLarge reads a large object into h, from where the last reader stopped. Here only one is
// read at a time, so that none takes the time of all; and each object by one reader alone,
// wherever that is: who comes second waits, and finds it read. A crash costs what was read since
// the last note.
func (in *Ingester) readLarge(ctx context.Context, b Backend, r track.Reading, object track.Object, h hashes) error {
	select {
	case in.reading <- struct{}{}:
		defer func() { <-in.reading }()
	case <-ctx.Done():
		return fmt.Errorf("wait to read %q: %w", object.Key, ctx.Err())
	}
	r, err := in.beginReading(ctx, r)
	if err != nil {
		return err
	}
	if !h.goOn(r.State) {
		r.Offset = 0
	}
	save := func(ctx context.Context, offset int64, hold time.Duration) (err error) {
		r.Offset = offset
		if r.State, err = h.state(); err != nil {
			return err
		}
		return in.Uploads.SaveReading(ctx, r, hold)
	}
	offset, err := readOn(ctx, b, object, hashing{h, r.Offset, func(offset int64) error { return save(ctx, offset, readingHold) }})
	// Also when time is up: the next try goes on from here, at once.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastNote)
	defer cancel()
	return errors.Join(err, save(last, offset, 0))
}

// beginReading waits until nobody else reads the object.
func (in *Ingester) beginReading(ctx context.Context, r track.Reading) (track.Reading, error) {
	for {
		found, err := in.Uploads.BeginReading(ctx, r, readingHold)
		if !errors.Is(err, track.ErrLocked) {
			return found, err
		}
		now, readErr := in.Uploads.UploadsByID(ctx, []track.ID{r.UploadID})
		if readErr != nil || len(now) == 0 || !now[0].IsOpen() && now[0].State != track.UploadStored {
			return r, errors.Join(err, readErr) // given up meanwhile
		}
		select {
		case <-ctx.Done():
			return r, err
		case <-time.After(readingPause):
		}
	}
}

// hashing is a hash that has read the first offset bytes of an object.
type hashing struct {
	hash   io.Writer
	offset int64
	tell   func(offset int64) error // is told now and then; nil: nobody is
}

// readOn reads the rest of an object, and returns how far it came. An object that is cut off says
// nothing about the bytes that are left.
func readOn(ctx context.Context, b Backend, object track.Object, h hashing) (int64, error) {
	offset := h.offset
	if offset == object.Size {
		return offset, nil
	}
	body, err := b.Open(ctx, object.Key, object.VersionID, offset, -1)
	if err != nil {
		return offset, err
	}
	defer body.Close()
	for {
		n, err := io.CopyN(h.hash, body, savedEvery)
		offset += n
		switch {
		case errors.Is(err, io.EOF) && offset == object.Size:
			return offset, nil
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		case err == nil && h.tell != nil:
			err = h.tell(offset)
		}
		if err != nil {
			return offset, fmt.Errorf("read %q: %w: %w", object.Key, track.ErrUnavailable, err)
		}
	}
}
