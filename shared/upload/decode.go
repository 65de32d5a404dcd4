package upload

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"trackstore/shared/track"
)

// Limits on bodies, in bytes. A list of 10,000 parts with their ETags does not fit into
// the first.
const (
	maxBody         = 64 << 10
	maxCompleteBody = 1 << 20
)

// readBody returns a JSON body of at most limit bytes; empty where there is none.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse(PayloadTooLarge, "the body is larger than %d bytes", limit)
	case err != nil:
		return nil, refuse(BadRequest, "the body ended early")
	case len(body) == 0:
		return nil, nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, refuse(UnsupportedMediaType, "the body must come as it is, without a Content-Encoding")
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || mediaType != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, refuse(UnsupportedMediaType, "the body must be JSON in UTF-8, with the header Content-Type: application/json")
	}
	return body, nil
}

// readObject is readBody for a call that must have a body.
func readObject(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := readBody(w, r, limit)
	if err == nil && body == nil {
		err = refuse(BadRequest, "the body is empty")
	}
	return body, err
}

// reader reads the value that stands at a place in the body; errors name the place.
type reader func(at string, value json.RawMessage) error

// fields has, for each name that an object may have, what reads its value. Package json
// alone would take names in another case, names that stand twice, and broken UTF-8.
type fields map[string]reader

// decode reads a body that must be one JSON object.
func (f fields) decode(body []byte) error {
	if !utf8.Valid(body) || !json.Valid(body) {
		return refuse(BadRequest, "the body is not valid JSON")
	}
	if body = bytes.TrimSpace(body); body[0] != '{' {
		return refuse(BadRequest, "the body is not a JSON object")
	}
	return f.object("", body)
}

// object reads a value that is known to be valid JSON.
func (f fields) object(at string, value json.RawMessage) error {
	d := json.NewDecoder(bytes.NewReader(value))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return refuse(InvalidRequest, "%s: is not an object", at)
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return refuse(BadRequest, "the body is not valid JSON")
		}
		path := strings.TrimPrefix(at+"."+name, ".")
		read, known := f[name]
		switch {
		case !known:
			return refuse(InvalidRequest, "%s: is not a field of this request", printable(path))
		case seen[name]:
			return refuse(InvalidRequest, "%s: stands there twice", path)
		}
		seen[name] = true
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return refuse(BadRequest, "the body is not valid JSON")
		}
		if string(v) == "null" {
			continue // the same as absent
		}
		if err := read(path, v); err != nil {
			return err
		}
	}
	return nil
}

// printable makes a name of the client's fit for an answer: short, and without surprises.
func printable(name string) string {
	q := strconv.QuoteToGraphic(name)
	q = q[1 : len(q)-1]
	if len(q) > 100 {
		return strings.ToValidUTF8(q[:100], "") + "…"
	}
	return q
}

func text(dst **string) reader {
	return func(at string, value json.RawMessage) error {
		if value[0] != '"' || json.Unmarshal(value, dst) != nil {
			return refuse(InvalidRequest, "%s: is not a string", at)
		}
		return nil
	}
}

// whole reads a whole number; one that is out of range becomes the nearest in range.
func whole(dst **int64) reader {
	return func(at string, value json.RawMessage) error {
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return refuse(InvalidRequest, "%s: is not a whole number", at)
		}
		*dst = &n
		return nil
	}
}

func uuid(dst **track.ID) reader {
	return func(at string, value json.RawMessage) error {
		var s *string
		if err := text(&s)(at, value); err != nil {
			return err
		}
		id, err := track.ParseID(*s)
		if err != nil {
			return refuse(InvalidRequest, "%s: is not a UUID", at)
		}
		*dst = &id
		return nil
	}
}

// checksum reads the checksum of a whole file. A string is taken for its CRC64NVME.
func checksum(dst **track.Checksum) reader {
	return func(at string, value json.RawMessage) error {
		if value[0] == '"' {
			return checksumBy(track.CRC64NVME, dst)(at, value)
		}
		var algorithm, sum *string
		if err := (fields{"algorithm": text(&algorithm), "value": text(&sum)}).object(at, value); err != nil {
			return err
		}
		if algorithm == nil || sum == nil {
			return refuse(InvalidRequest, "%s: needs algorithm and value", at)
		}
		c := track.Checksum{Algorithm: track.Algorithm(*algorithm), Value: *sum}
		if c.Algorithm.Size() == 0 {
			return refuse(InvalidRequest, "%s.algorithm: is none of CRC64NVME, SHA256, CRC32C", at)
		}
		if err := c.Validate(); err != nil {
			return refuse(InvalidRequest, "%s.value: %v", at, err)
		}
		*dst = &c
		return nil
	}
}

// checksumBy reads a checksum that goes without its algorithm's name.
func checksumBy(algorithm track.Algorithm, dst **track.Checksum) reader {
	return func(at string, value json.RawMessage) error {
		var s *string
		if err := text(&s)(at, value); err != nil {
			return err
		}
		c := track.Checksum{Algorithm: algorithm, Value: *s}
		if err := c.Validate(); err != nil {
			return refuse(InvalidRequest, "%s: %v", at, err)
		}
		*dst = &c
		return nil
	}
}

// array reads a list of 1 to most items.
func array(most int, item reader) reader {
	return func(at string, value json.RawMessage) error {
		var items []json.RawMessage
		if value[0] != '[' || json.Unmarshal(value, &items) != nil {
			return refuse(InvalidRequest, "%s: is not a list", at)
		}
		if len(items) == 0 || len(items) > most {
			return refuse(InvalidRequest, "%s: has %d items, and may have 1 to %d", at, len(items), most)
		}
		for i, v := range items {
			if err := item(at+"["+strconv.Itoa(i)+"]", v); err != nil {
				return err
			}
		}
		return nil
	}
}

// checkText refuses what is no name that a person would see: an empty one, one with
// control characters, one of more than 255 characters.
func checkText(at string, s *string) error {
	const most = 255
	switch {
	case s == nil:
		return refuse(InvalidRequest, "%s: is required", at)
	case !utf8.ValidString(*s):
		return refuse(InvalidRequest, "%s: is not valid UTF-8", at)
	case strings.TrimSpace(*s) == "":
		return refuse(InvalidRequest, "%s: is blank", at)
	case utf8.RuneCountInString(*s) > most:
		return refuse(InvalidRequest, "%s: has more than %d characters", at, most)
	case strings.ContainsFunc(*s, isControl):
		return refuse(InvalidRequest, "%s: has a control character or a line break", at)
	}
	return nil
}

func isControl(c rune) bool { return unicode.In(c, unicode.Cc, unicode.Zl, unicode.Zp) }
