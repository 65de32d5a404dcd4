package diskstore

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"time"

	"trackstore/shared/track"
)

// policy is what a form binds. It travels in the form, signed.
type policy struct {
	Expires int64             `json:"expires"` // seconds since 1970
	Least   int64             `json:"least"`   // bytes
	Most    int64             `json:"most"`    // bytes
	Fields  map[string]string `json:"fields"`
	// The checksum's field again, by its algorithm.
	Checksum *track.Checksum `json:"checksum,omitempty"`
}

const (
	fieldKey       = "key"
	fieldPolicy    = "policy"
	fieldSignature = "signature"
)

// SignPost signs one form. Its policy binds the key, the content type, the exact length
// (or 1 to spec.MaxSize bytes where spec.Size is 0), and the checksum where one is declared.
func (s *Store) SignPost(_ context.Context, spec track.PutSpec) (track.SignedPost, error) {
	if _, err := keyPath(spec.Key); err != nil {
		return track.SignedPost{}, err
	}
	if err := s.needServer(); err != nil {
		return track.SignedPost{}, failure("sign a form for", spec.Key, err)
	}
	p := policy{
		Expires: time.Now().Add(spec.TTL).Unix(),
		Least:   spec.Size,
		Most:    spec.Size,
		Fields: map[string]string{
			fieldKey:                spec.Key,
			"Content-Type":          spec.ContentType,
			"success_action_status": "201",
		},
		Checksum: spec.Checksum,
	}
	if spec.Size == 0 {
		p.Least, p.Most = 1, spec.MaxSize
	}
	if c := spec.Checksum; c != nil {
		p.Fields[c.Algorithm.Header()] = c.Value
	}
	content, err := json.Marshal(p)
	if err != nil {
		return track.SignedPost{}, err
	}
	fields := map[string]string{fieldPolicy: base64.StdEncoding.EncodeToString(content)}
	fields[fieldSignature] = s.mac(fieldPolicy, "", fields[fieldPolicy])
	for name, value := range p.Fields {
		fields[name] = value
	}
	return track.SignedPost{URL: s.cfg.URL.String() + "/", Fields: fields}, nil
}

// post stores the file of a form, whose other fields come first.
func (s *Store) post(w http.ResponseWriter, r *http.Request) error {
	form, err := r.MultipartReader()
	if err != nil {
		return &refusal{http.StatusUnsupportedMediaType, "not_a_form", "the body is not multipart/form-data"}
	}
	fields, file, err := readFields(form)
	if err != nil {
		return err
	}
	p, err := s.verifyForm(fields)
	if err != nil {
		return err
	}
	key := p.Fields[fieldKey]
	if s.isTaken(key) {
		_, _ = io.Copy(io.Discard, r.Body)
		return failure("post", key, track.ErrExists)
	}
	var got received
	err = s.create(key, func(f *os.File) (err error) {
		got, err = receive(f, file, p.Least, p.Most, p.Checksum)
		return err
	})
	if err != nil {
		return failure("post", key, cutOff(err))
	}
	s.announce(r.Context(), "Post", key, got)

	location := s.cfg.URL.JoinPath(key).String()
	w.Header().Set("ETag", strconv.Quote(got.etag))
	w.Header().Set("Location", location)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusCreated)
	_ = xml.NewEncoder(w).Encode(struct { // nobody is left to tell of an error
		XMLName                     xml.Name `xml:"PostResponse"`
		Location, Bucket, Key, ETag string
	}{Location: location, Bucket: s.Bucket(), Key: key, ETag: strconv.Quote(got.etag)})
	return nil
}

// readFields reads a form up to its file.
func readFields(form *multipart.Reader) (fields map[string]string, file io.Reader, err error) {
	const mostFields, mostBytes = 32, 64 << 10
	fields = map[string]string{}
	for range mostFields {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, nil, &refusal{http.StatusBadRequest, "no_file", "the form has no field named file"}
		}
		if err != nil {
			return nil, nil, &refusal{http.StatusBadRequest, "malformed", "the form cannot be read"}
		}
		if part.FormName() == "file" {
			return fields, part, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, mostBytes+1))
		if err != nil || len(value) > mostBytes {
			return nil, nil, &refusal{http.StatusBadRequest, "malformed", fmt.Sprintf("the field %q cannot be read", part.FormName())}
		}
		fields[part.FormName()] = string(value)
	}
	return nil, nil, &refusal{http.StatusBadRequest, "malformed", "the form has too many fields"}
}

// verifyForm returns the policy of a form that keeps to it: its fields and no others.
func (s *Store) verifyForm(fields map[string]string) (p policy, err error) {
	if err := s.needServer(); err != nil {
		return p, err
	}
	if !hmac.Equal([]byte(fields[fieldSignature]), []byte(s.mac(fieldPolicy, "", fields[fieldPolicy]))) {
		return p, &refusal{http.StatusForbidden, "invalid_signature", "the signature does not fit the policy"}
	}
	content, err := base64.StdEncoding.DecodeString(fields[fieldPolicy])
	if err == nil {
		err = json.Unmarshal(content, &p)
	}
	if err != nil {
		return p, err // we signed it
	}
	if time.Now().Unix() >= p.Expires {
		return p, &refusal{http.StatusForbidden, "expired", "the policy has expired"}
	}
	for name, value := range p.Fields {
		if fields[name] != value {
			return p, &refusal{http.StatusForbidden, "against_policy", fmt.Sprintf("the field %s is %q, not %q as signed", name, fields[name], value)}
		}
	}
	for name := range fields {
		if _, bound := p.Fields[name]; !bound && name != fieldPolicy && name != fieldSignature {
			return p, &refusal{http.StatusForbidden, "against_policy", fmt.Sprintf("the policy has no field %q", name)}
		}
	}
	return p, nil
}
