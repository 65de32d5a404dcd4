package diskstore

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// received is what arrived.
type received struct {
	size int64
	etag string // identifies the bytes, as far as anybody compares
}

// receive writes all of src, which must have at least least and at most most bytes and the
// declared checksum (nil: none), else the error is track.ErrMismatch.
func receive(dst io.Writer, src io.Reader, least, most int64, declared *track.Checksum) (received, error) {
	crc := crc64nvme.New()
	writers := []io.Writer{dst, crc}
	var other hash.Hash
	if declared != nil && declared.Algorithm != track.CRC64NVME {
		other = newHash(declared.Algorithm)
		writers = append(writers, other)
	}
	size, err := io.Copy(io.MultiWriter(writers...), io.LimitReader(src, most+1))
	if err != nil {
		return received{}, err
	}
	if size < least || size > most {
		return received{}, fmt.Errorf("%w: %d bytes came, not %s", track.ErrMismatch, min(size, most), sizes(least, most))
	}
	if declared != nil {
		sum := track.NewCRC64NVME(crc.Sum64())
		if other != nil {
			sum = track.Checksum{Algorithm: declared.Algorithm, Value: base64.StdEncoding.EncodeToString(other.Sum(nil))}
		}
		if sum != *declared {
			return received{}, fmt.Errorf("%w: their %s is %s, not %s", track.ErrMismatch, sum.Algorithm, sum.Value, declared.Value)
		}
	}
	return received{size, fmt.Sprintf("%016x", crc.Sum64())}, nil
}

func newHash(a track.Algorithm) hash.Hash {
	if a == track.SHA256 {
		return sha256.New()
	}
	return crc32.New(crc32.MakeTable(crc32.Castagnoli))
}

func sizes(least, most int64) string {
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}
