package track

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// Algorithm names a checksum as S3 does.
type Algorithm string

// The algorithms that a client may declare, with S3's names.
const (
	CRC64NVME Algorithm = "CRC64NVME"
	CRC32C    Algorithm = "CRC32C"
	SHA256    Algorithm = "SHA256"
)

// Size returns the length of a sum in bytes, 0 for an algorithm that is not known.
func (a Algorithm) Size() int {
	switch a {
	case CRC64NVME:
		return 8
	case CRC32C:
		return 4
	case SHA256:
		return 32
	}
	return 0
}

// Header returns the name of the HTTP header, and of the form field, that carries a sum.
func (a Algorithm) Header() string { return "x-amz-checksum-" + strings.ToLower(string(a)) }

// Checksum is a checksum of a whole object; Value is base64 (standard, padded) of
// the sum in big-endian order, as S3's headers have it.
type Checksum struct {
	Algorithm Algorithm `json:"algorithm"`
	Value     string    `json:"value"`
}

// Validate reports what is malformed.
func (c Checksum) Validate() error {
	size := c.Algorithm.Size()
	if size == 0 {
		return fmt.Errorf("algorithm %q is none of CRC64NVME, SHA256, CRC32C", c.Algorithm)
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(c.Value)
	// The decoder passes over line breaks, which no header can have.
	if err != nil || len(sum) != size || strings.ContainsAny(c.Value, "\r\n") {
		return fmt.Errorf("value is not the base64 form of a %s sum (%d bytes)", c.Algorithm, size)
	}
	return nil
}

// OfParts returns the algorithm of the checksums of an object's parts where its own declared one is c, or nil: CRC32C or
// CRC64NVME, by which S3 makes that of the whole of theirs. There is no way to do so by SHA256.
func (c *Checksum) OfParts() Algorithm {
	if c != nil && c.Algorithm == CRC32C {
		return CRC32C
	}
	return CRC64NVME
}

// NewCRC64NVME returns a sum in S3's form.
func NewCRC64NVME(sum uint64) Checksum {
	return Checksum{CRC64NVME, base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))}
}

// CRC64NVMESum returns the number that a CRC64NVME checksum stands for.
func (c Checksum) CRC64NVMESum() (sum uint64, ok bool) {
	b, err := base64.StdEncoding.DecodeString(c.Value)
	if c.Algorithm != CRC64NVME || err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}
