package migrate

import (
	"testing"
	"testing/quick"

	"github.com/minio/crc64nvme"
)

func TestJoinCRC(t *testing.T) {
	t.Parallel()
	joins := func(a, b []byte) bool {
		whole := crc64nvme.Checksum(append(append([]byte(nil), a...), b...))
		return joinCRC(crc64nvme.Checksum(a), crc64nvme.Checksum(b), int64(len(b))) == whole
	}
	if err := quick.Check(joins, nil); err != nil {
		t.Error(err)
	}
	if !joins(nil, nil) || !joins([]byte("x"), nil) || !joins(nil, []byte("x")) || !joins(make([]byte, 1<<20), make([]byte, 1<<20+1)) {
		t.Error("empty or long pieces are joined wrongly")
	}
}
