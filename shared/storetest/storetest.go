package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// Env is a backend on trial.
type Env struct {
	Backend Backend // empty
	Origin  string  // of pages that may use the URLs that Backend signs
}

// Run tries the backends that open returns, a new one for each test.
func Run(t *testing.T, open func(*testing.T) Env) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"Put", testPut},
		{"PutWithChecksum", testPutWithChecksum},
		{"PutRefused", testPutRefused},
		{"PutCutOff", testPutCutOff},
		{"Post", testPost},
		{"PostRefused", testPostRefused},
		{"Get", testGet},
		{"GetRefused", testGetRefused},
		{"GetRange", testGetRange},
		{"Expiry", testExpiry},
		{"CORS", testCORS},
		{"Keys", testKeys},
		{"Create", testCreate},
		{"CreateAtOnce", testCreateAtOnce},
		{"Absent", testAbsent},
		{"Open", testOpen},
		{"Delete", testDelete},
		{"List", testList},
		{"Multipart", testMultipart},
		{"MultipartRefused", testMultipartRefused},
		{"MultipartCutOff", testMultipartCutOff},
		{"MultipartAbort", testMultipartAbort},
		{"MultipartTaken", testMultipartTaken},
		{"ManyParts", testManyParts},
		{"ManyMultiparts", testManyMultiparts},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, &bench{open(t), t})
		})
	}
}

// bench is what a test works at.
type bench struct {
	Env
	t *testing.T
}

const flac = "audio/flac"

// newKey returns a key that is not there yet.
func newKey() string { return track.UploadKey(track.NewID(), track.NewID(), "x.flac") }

// random returns size bytes that nothing else has.
func random(size int) []byte {
	b := make([]byte, size)
	var seed [32]byte
	id := track.NewID()
	copy(seed[:], id[:])
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// checksum computes what a client would declare.
func checksum(a track.Algorithm, b []byte) track.Checksum {
	switch a {
	case track.SHA256:
		sum := sha256.Sum256(b)
		return track.Checksum{Algorithm: a, Value: base64.StdEncoding.EncodeToString(sum[:])}
	case track.CRC32C:
		sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		return track.Checksum{Algorithm: a, Value: base64.StdEncoding.EncodeToString(sum)}
	}
	return track.NewCRC64NVME(crc64nvme.Checksum(b))
}

// answer is what came back on a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// request makes a request as a client would that knows nothing but the URL.
func (b *bench) request(method, url string, headers map[string]string, body []byte) (answer, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(b.ctx(), method, url, reader)
	if err != nil {
		return answer{}, err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, content}, err
}

// send is request, for the test's own goroutine.
func (b *bench) send(method, url string, headers map[string]string, body []byte) answer {
	b.t.Helper()
	a, err := b.request(method, url, headers, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// mustSend is send, for what must succeed.
func (b *bench) mustSend(method, url string, headers map[string]string, body []byte) answer {
	b.t.Helper()
	a := b.send(method, url, headers, body)
	if !a.ok() {
		b.t.Fatalf("%s answered %d: %s", method, a.status, a.body)
	}
	return a
}

// wantRefused checks that an answer is the client's fault, with one of these statuses (any, if none is named).
func (b *bench) wantRefused(what string, a answer, statuses ...int) {
	b.t.Helper()
	if a.status < 400 || a.status > 499 {
		b.t.Errorf("%s: answered %d, want a refusal: %s", what, a.status, a.body)
	}
	for _, status := range statuses {
		if a.status == status {
			return
		}
	}
	if len(statuses) > 0 {
		b.t.Errorf("%s: answered %d, want one of %d: %s", what, a.status, statuses, a.body)
	}
}

func (b *bench) signPut(spec track.PutSpec) track.SignedPut {
	b.t.Helper()
	if spec.TTL == 0 {
		spec.TTL = time.Minute
	}
	signed, err := b.Backend.SignPut(b.t.Context(), spec)
	if err != nil {
		b.t.Fatal(err)
	}
	return signed
}

func (b *bench) signGet(spec track.GetSpec) string {
	b.t.Helper()
	if spec.TTL == 0 {
		spec.TTL = time.Minute
	}
	url, err := b.Backend.SignGet(b.t.Context(), spec)
	if err != nil {
		b.t.Fatal(err)
	}
	return url
}

// create stores content under key.
func (b *bench) create(key string, content []byte) track.Object {
	b.t.Helper()
	object, err := b.Backend.Create(b.t.Context(), key, flac, crc64nvme.Checksum(content), bytes.NewReader(content), int64(len(content)))
	if err != nil {
		b.t.Fatal(err)
	}
	return object
}

// wantStored checks that key holds exactly content, and that what the backend says of it is true.
func (b *bench) wantStored(key string, content []byte) track.Object {
	b.t.Helper()
	object, err := b.Backend.Head(b.t.Context(), key, "")
	if err != nil {
		b.t.Fatal(err)
	}
	if object.Key != key || object.Size != int64(len(content)) {
		b.t.Errorf("head says key %q, size %d, want %q and %d", object.Key, object.Size, key, len(content))
	}
	if age := time.Since(object.ModTime); age > time.Hour || age < -time.Minute {
		b.t.Errorf("head says modified at %s", object.ModTime)
	}
	if len(object.Checksums) == 0 {
		b.t.Error("head has no checksum")
	}
	for _, c := range object.Checksums {
		if want := checksum(c.Algorithm, content); c != want {
			b.t.Errorf("head says %v, want %v", c, want)
		}
	}
	if got := b.read(key, object.VersionID, 0, -1); !bytes.Equal(got, content) {
		b.t.Errorf("%q holds %d bytes that are not those that were stored", key, len(got))
	}
	return object
}

// wantAbsent checks that nothing is there.
func (b *bench) wantAbsent(what, key string) {
	b.t.Helper()
	if object, err := b.Backend.Head(b.t.Context(), key, ""); !errors.Is(err, track.ErrNotFound) {
		b.t.Errorf("%s: head says %+v, %v, want ErrNotFound", what, object, err)
	}
}

func (b *bench) read(key, versionID string, offset, length int64) []byte {
	b.t.Helper()
	r, err := b.Backend.Open(b.t.Context(), key, versionID, offset, length)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return content
}

// wantError checks which of track's errors err is.
func (b *bench) wantError(what string, err error, wants ...error) {
	b.t.Helper()
	for _, want := range wants {
		if errors.Is(err, want) {
			return
		}
	}
	b.t.Errorf("%s: got %v, want %v", what, err, wants)
}

// without returns headers but one.
func without(headers map[string]string, name string) map[string]string {
	rest := map[string]string{}
	for n, v := range headers {
		if !strings.EqualFold(n, name) {
			rest[n] = v
		}
	}
	return rest
}

// with returns headers and one more.
func with(headers map[string]string, name, value string) map[string]string {
	more := without(headers, name)
	more[name] = value
	return more
}

func (b *bench) diff(what string, got, want any) {
	b.t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		b.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func (b *bench) ctx() context.Context { return b.t.Context() }
