package storetest

import (
	"bytes"
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
		run  func(*trial)
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
		{"PartsBindWhatIsDeclared", testPartsBindWhatIsDeclared},
		{"MultipartCutOff", testMultipartCutOff},
		{"MultipartAbort", testMultipartAbort},
		{"MultipartTaken", testMultipartTaken},
		{"ManyParts", testManyParts},
		{"ManyMultiparts", testManyMultiparts},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(&trial{t, open(t)})
		})
	}
}

// trial is a test, and what it tries.
type trial struct {
	*testing.T
	Env
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
func (t *trial) request(method, url string, headers map[string]string, body []byte) (answer, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, reader)
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
func (t *trial) send(method, url string, headers map[string]string, body []byte) answer {
	t.Helper()
	a, err := t.request(method, url, headers, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// mustSend is send, for what must succeed.
func (t *trial) mustSend(method, url string, headers map[string]string, body []byte) answer {
	t.Helper()
	a := t.send(method, url, headers, body)
	if !a.ok() {
		t.Fatalf("%s answered %d: %s", method, a.status, a.body)
	}
	return a
}

// wantRefused checks that an answer is the client's fault, with one of these statuses (any, if none is named).
func (t *trial) wantRefused(what string, a answer, statuses ...int) {
	t.Helper()
	if a.status < 400 || a.status > 499 {
		t.Errorf("%s: answered %d, want a refusal: %s", what, a.status, a.body)
	}
	for _, status := range statuses {
		if a.status == status {
			return
		}
	}
	if len(statuses) > 0 {
		t.Errorf("%s: answered %d, want one of %d: %s", what, a.status, statuses, a.body)
	}
}

func (t *trial) signPut(spec track.PutSpec) track.SignedPut {
	t.Helper()
	if spec.TTL == 0 {
		spec.TTL = time.Minute
	}
	signed, err := t.Backend.SignPut(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (t *trial) signGet(spec track.GetSpec) string {
	t.Helper()
	if spec.TTL == 0 {
		spec.TTL = time.Minute
	}
	signed, err := t.Backend.SignGet(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(signed.ExpiresAt); left > spec.TTL || left < spec.TTL-10*time.Second {
		t.Errorf("a URL that is to live %s ends in %s", spec.TTL, left)
	}
	return signed.URL
}

// specOf is what an object of content is to be.
func specOf(key string, content []byte) track.ObjectSpec {
	digest := track.Digest{Size: int64(len(content)), CRC64NVME: crc64nvme.Checksum(content)}
	return track.ObjectSpec{Key: key, ContentType: flac, Digest: digest}
}

// create stores content under key.
func (t *trial) create(key string, content []byte) track.Object {
	t.Helper()
	object, err := t.Backend.Create(t.Context(), specOf(key, content), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// wantStored checks that key holds exactly content, and that what the backend says of it is true.
func (t *trial) wantStored(key string, content []byte) track.Object {
	t.Helper()
	object, err := t.Backend.Head(t.Context(), key, "")
	if err != nil {
		t.Fatal(err)
	}
	if object.Key != key || object.Size != int64(len(content)) {
		t.Errorf("head says key %q, size %d, want %q and %d", object.Key, object.Size, key, len(content))
	}
	if age := time.Since(object.ModTime); age > time.Hour || age < -time.Minute {
		t.Errorf("head says modified at %s", object.ModTime)
	}
	if len(object.Checksums) == 0 {
		t.Error("head has no checksum")
	}
	for _, c := range object.Checksums {
		if want := checksum(c.Algorithm, content); c != want {
			t.Errorf("head says %v, want %v", c, want)
		}
	}
	if got := t.read(key, object.VersionID, 0, -1); !bytes.Equal(got, content) {
		t.Errorf("%q holds %d bytes that are not those that were stored", key, len(got))
	}
	return object
}

// wantAbsent checks that nothing is there.
func (t *trial) wantAbsent(what, key string) {
	t.Helper()
	if object, err := t.Backend.Head(t.Context(), key, ""); !errors.Is(err, track.ErrNotFound) {
		t.Errorf("%s: head says %+v, %v, want ErrNotFound", what, object, err)
	}
}

func (t *trial) read(key, versionID string, offset, length int64) []byte {
	t.Helper()
	r, err := t.Backend.Open(t.Context(), key, versionID, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// wantError checks which of track's errors err is.
func (t *trial) wantError(what string, err error, wants ...error) {
	t.Helper()
	for _, want := range wants {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("%s: got %v, want %v", what, err, wants)
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

func (t *trial) diff(what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
