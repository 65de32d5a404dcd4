package upload_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// send sends a ticket's bytes by its method, and returns what complete takes.
func (s *stage) sendBytes(o answer, content []byte) answer {
	s.t.Helper()
	switch {
	case o["put"] != nil:
		if r := s.put(o, content); r.status != http.StatusOK {
			s.t.Fatalf("PUT: %d %s", r.status, r.body)
		}
	case o["post"] != nil:
		if r := s.post(o.obj("post"), content); r.status != http.StatusCreated {
			s.t.Fatalf("POST: %d %s", r.status, r.body)
		}
	default:
		return answer{"parts": []answer{s.putPart(o.obj("multipart").list("parts")[0], content)}}
	}
	return answer{}
}

// Who computes the checksum while it sends names it at the end.
func TestCompleteTakesAChecksum(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(1, 1)
		sum := sha256.Sum256(content)
		right := checksumOf(content)
		rightSHA := answer{"algorithm": "SHA256", "value": base64.StdEncoding.EncodeToString(sum[:])}
		wrong := answer{"algorithm": "CRC64NVME", "value": checksumOf([]byte("x")).Value}
		wrongSHA := answer{"algorithm": "SHA256", "value": base64.StdEncoding.EncodeToString(make([]byte, 32))}
		for _, method := range []string{"put", "post", "multipart"} {
			for _, declared := range []any{nil, right} {
				for _, named := range []any{right, rightSHA} {
					o := s.open(len(content), "method", method, "checksum", declared)
					body := s.sendBytes(o, content)
					body["checksum"] = named
					if done := s.complete(o, body).want(200); done["state"] != "stored" {
						t.Errorf("%s, declared %v, named %v: %v", method, declared, named, done)
					}
					s.complete(o, body).want(200) // again
					for _, other := range []any{wrong, wrongSHA} {
						body["checksum"] = other
						s.complete(o, body).refused(409, upload.ChecksumMismatch)
					}
					if u := s.call("GET", "/v1/uploads/"+o.str("upload_id"), nil).want(200); u["state"] != "stored" {
						t.Errorf("afterwards: %v", u)
					}
				}
				for _, named := range []any{wrong, wrongSHA} {
					o := s.open(len(content), "method", method, "checksum", declared)
					body := s.sendBytes(o, content)
					body["checksum"] = named
					if done := s.complete(o, body).want(200); done["state"] != "failed" || done["reason"] != "checksum_mismatch" || done["detail"] == nil {
						t.Errorf("%s, declared %v, named %v: %v", method, declared, named, done)
					}
				}
			}
		}
	})
}

// A checksum that was named before the bytes came is compared by whoever finds them.
func TestAChecksumThatWasNamedTooEarlyCounts(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := audiotest.WAV(1, 1)
	o := s.open(len(content))
	s.complete(o, answer{"checksum": checksumOf([]byte("other"))}).refused(409, upload.NotUploaded)
	s.sendBytes(o, content)
	if done := s.complete(o, nil).want(200); done["state"] != "failed" || done["reason"] != "checksum_mismatch" {
		t.Errorf("completed: %v", done)
	}
	o = s.open(len(content))
	s.complete(o, answer{"checksum": checksumOf([]byte("other"))}).refused(409, upload.NotUploaded)
	s.sendBytes(o, content)
	if done := s.complete(o, answer{"checksum": checksumOf(content)}).want(200); done["state"] != "stored" {
		t.Errorf("completed: %v", done)
	}
	s.complete(s.open(1), `{"checksum":{"algorithm":"MD5","value":"x"}}`).refused(422, upload.InvalidRequest, "checksum.algorithm")
	s.complete(s.open(1), `{"checksum":{"algorithm":"CRC64NVME","value":"x"}}`).refused(422, upload.InvalidRequest, "checksum.value")
	s.complete(s.open(1), `{"checksum":7}`).refused(422, upload.InvalidRequest, "checksum")
	s.as(track.NewID()).complete(o, answer{"checksum": checksumOf(content)}).refused(404, upload.NotFound)
}

// A sender's own headers are not what listeners get: what the signature of a GET overrides does no
// harm, and bytes that nobody could play fail.
func TestHeadersThatTheTicketDoesNotName(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(1, 1)
		for name, value := range map[string]string{
			"Content-Encoding": "gzip", "Content-Language": "de", "Cache-Control": "public, max-age=31536000", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
			"Content-Disposition": "attachment; filename=evil.html", "X-Amz-Meta-Evil": "yes", "X-Amz-Website-Redirect-Location": "https://evil.example.com/",
			"X-Amz-Storage-Class": "GLACIER", "X-Amz-Acl": "public-read",
		} {
			o := s.open(len(content))
			r, err := http.NewRequestWithContext(t.Context(), "PUT", o.obj("put").str("url"), bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range o.obj("put").obj("headers") {
				r.Header.Set(name, value.(string))
			}
			r.Header.Set(name, value)
			if sent := send(t, r); sent.status != 200 {
				continue // refused by the storage
			}
			done := s.complete(o, nil).want(200)
			if done["state"] == "failed" {
				if !strings.Contains(done.str("detail"), name) {
					t.Errorf("%s: %v", name, done)
				}
				continue
			}
			got := s.audio(done.str("track_id"))
			if got.status != 200 || !bytes.Equal(got.body, content) || strings.Contains(got.header.Get(name), value) {
				t.Errorf("%s: %d with %v", name, got.status, got.header)
			}
		}
	})
}
