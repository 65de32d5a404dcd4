package client

import (
	"context"
	"errors"
	"io"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// Checksum reads a file to its end and returns its CRC64NVME, for Request.
func Checksum(ctx context.Context, file io.Reader) (track.Checksum, error) {
	h := crc64nvme.New()
	buf := make([]byte, 1<<20)
	for {
		n, err := file.Read(buf)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return track.NewCRC64NVME(h.Sum64()), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return track.Checksum{}, err
		}
	}
}
