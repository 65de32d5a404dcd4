package client

import (
	"context"
	"encoding/base64"
	"errors"
	"hash"
	"hash/crc32"
	"io"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// Checksum reads a file to its end and returns its CRC64NVME, for Request.
func Checksum(ctx context.Context, file io.Reader) (track.Checksum, error) {
	return checksum(ctx, track.CRC64NVME, file)
}

// checksum is Checksum by CRC64NVME or CRC32C.
func checksum(ctx context.Context, a track.Algorithm, file io.Reader) (track.Checksum, error) {
	var h hash.Hash = crc64nvme.New()
	if a == track.CRC32C {
		h = crc32.New(crc32.MakeTable(crc32.Castagnoli))
	}
	buf := make([]byte, 1<<20)
	for {
		n, err := file.Read(buf)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return track.Checksum{Algorithm: a, Value: base64.StdEncoding.EncodeToString(h.Sum(nil))}, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return track.Checksum{}, err
		}
	}
}
