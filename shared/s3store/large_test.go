package s3store_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/minio/crc64nvme"

	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// large is an upload in two parts, the second of which is sent first.
func large(t *testing.T, store *s3store.Store, key string) (id string, content []byte, parts []track.Part) {
	t.Helper()
	content = make([]byte, track.MinPartSize+1000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	id, err := store.CreateLarge(t.Context(), key, "audio/flac")
	if err != nil {
		t.Fatal(err)
	}
	parts = make([]track.Part, 2)
	for i, piece := range [][]byte{content[track.MinPartSize:], content[:track.MinPartSize]} {
		number := int32(2 - i)
		digest := track.Digest{Size: int64(len(piece)), CRC64NVME: crc64nvme.Checksum(piece)}
		spec := track.NewPart{Key: key, MultipartID: id, Number: number, Digest: digest}
		parts[number-1], err = store.PutPart(t.Context(), spec, bytes.NewReader(piece))
		if err != nil {
			t.Fatal(err)
		}
	}
	return id, content, parts
}

func TestLargeObject(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	const key = "tracks/large.flac"
	id, content, parts := large(t, store, key)
	sum, size := crc64nvme.Checksum(content), int64(len(content))
	created, err := store.CompleteLarge(t.Context(), track.ObjectSpec{Key: key, Digest: track.Digest{Size: size, CRC64NVME: sum}}, id, parts)
	if err != nil {
		t.Fatal(err)
	}
	object, err := store.Head(t.Context(), key, created.VersionID)
	if err != nil {
		t.Fatal(err)
	}
	if checksum, _ := object.Checksum(track.CRC64NVME); checksum != track.NewCRC64NVME(sum) || object.Size != size || object.ContentType != "audio/flac" {
		t.Errorf("head says %+v", object)
	}
	if created.VersionID == "" {
		t.Error("the version is not known, though the bucket keeps versions")
	}
	_, err = store.CompleteLarge(t.Context(), track.ObjectSpec{Key: key, Digest: track.Digest{Size: size, CRC64NVME: sum}}, id, parts)
	if err != nil && !errors.Is(err, track.ErrExists) && !errors.Is(err, track.ErrNotFound) {
		t.Errorf("a second completion: %v", err)
	}
}

func TestLargeObjectIsCheckedByS3(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	const key = "tracks/large.flac"
	id, content, parts := large(t, store, key)
	sum, size := crc64nvme.Checksum(content), int64(len(content))

	_, err := store.PutPart(t.Context(), track.NewPart{Key: key, MultipartID: id, Number: 3, Digest: track.Digest{Size: 10, CRC64NVME: 1}}, bytes.NewReader(content[:10]))
	if !errors.Is(err, track.ErrMismatch) {
		t.Errorf("a part with another sum: %v", err)
	}
	if _, err := store.CompleteLarge(t.Context(), track.ObjectSpec{Key: key, Digest: track.Digest{Size: size, CRC64NVME: sum + 1}}, id, parts); !errors.Is(err, track.ErrMismatch) {
		t.Errorf("another sum of the whole: %v", err)
	}
	if _, err := store.CompleteLarge(t.Context(), track.ObjectSpec{Key: key, Digest: track.Digest{Size: size - 1, CRC64NVME: sum}}, id, parts); !errors.Is(err, track.ErrInvalidParts) {
		t.Errorf("another size of the whole: %v", err)
	}
	if _, err := store.Head(t.Context(), key, ""); !errors.Is(err, track.ErrNotFound) {
		t.Errorf("after refused completions: %v", err)
	}
	if err := store.AbortMultipart(t.Context(), key, id); err != nil {
		t.Error(err)
	}
}
