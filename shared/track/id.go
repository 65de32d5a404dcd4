package track

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"time"
)

// ID is a UUID (RFC 9562): of a track, an upload or a user.
type ID [16]byte

// NewID returns a version 7 UUID. Such ids grow with time, so that new rows land
// at the right-hand end of an index.
func NewID() ID {
	var id ID
	ms := uint64(time.Now().UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	_, _ = rand.Read(id[6:]) // crypto/rand.Read never fails since Go 1.24
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// NewTrackID returns the id of a new track, a version 8 UUID: a random byte, then the time as NewID has it. Object keys
// begin with it, and S3 makes room by ranges of keys: what is written at one time is spread over 256 places of
// them, where 256 pages of each index are the only ones that grow.
func NewTrackID() ID {
	grows := NewID()
	id := ID{6: 0x80 | grows[5]>>4, 7: grows[5]<<4 | grows[7]&0x0f}
	copy(id[1:6], grows[:5])
	copy(id[8:], grows[8:])
	_, _ = rand.Read(id[:1])
	return id
}

// ParseID reads the canonical 36-character form, in either case.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, fmt.Errorf("%q is not a UUID", s)
	}
	compact := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id[:], []byte(compact)); err != nil {
		return ID{}, fmt.Errorf("%q is not a UUID", s)
	}
	return id, nil
}

// String returns the canonical form in lower case.
func (id ID) String() string {
	b, _ := id.MarshalText()
	return string(b)
}

// IsZero reports whether id is the nil UUID, which stands for "none".
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText gives JSON, logs and flags the canonical form.
func (id ID) MarshalText() ([]byte, error) {
	b := make([]byte, 36)
	hex.Encode(b, id[:4])
	b[8] = '-'
	hex.Encode(b[9:], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:], id[10:])
	return b, nil
}

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(string(b))
	if err == nil {
		*id = parsed
	}
	return err
}

// Value hands the id to a database as text. The nil UUID is NULL.
func (id ID) Value() (driver.Value, error) {
	if id.IsZero() {
		return nil, nil
	}
	return id.String(), nil
}

// Scan takes a uuid column: 16 bytes, text, or NULL for the nil UUID.
func (id *ID) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*id = ID{}
		return nil
	case [16]byte:
		*id = v
		return nil
	case string:
		return id.UnmarshalText([]byte(v))
	case []byte:
		if len(v) == len(id) {
			copy(id[:], v)
			return nil
		}
		return id.UnmarshalText(v)
	}
	return fmt.Errorf("cannot read a UUID from %T", src)
}
