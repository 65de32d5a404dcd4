package s3store_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"trackstore/internal/awsdefault"
	settings "trackstore/shared/config"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// against returns a store whose server is the handler. It tries each call once.
func against(t *testing.T, handler http.HandlerFunc) *s3store.Store {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return at(t, server.URL, 1)
}

func at(t *testing.T, endpoint string, attempts int) *s3store.Store {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3store.New(s3store.Config{
		Bucket: "tracks", Region: "eu-central-1", Endpoint: u, ForcePathStyle: true, MaxAttempts: attempts,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func refuse(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as told</Message></Error>", code)
		}
	}
}

func create(ctx context.Context, s *s3store.Store) error {
	_, err := s.Create(ctx, track.ObjectSpec{Key: "k", ContentType: "audio/flac", Digest: track.Digest{Size: 1}}, bytes.NewReader([]byte("x")))
	return err
}

func TestErrorsAreTracksOwn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		code   string
		want   error // nil: none of track's
	}{
		{404, "NoSuchKey", track.ErrNotFound},
		{404, "NoSuchUpload", track.ErrNotFound},
		{404, "NoSuchBucket", track.ErrPlace},
		{403, "AccessDenied", track.ErrForbidden},
		{403, "SignatureDoesNotMatch", track.ErrPlace},
		{403, "InvalidAccessKeyId", track.ErrPlace},
		{507, "XMinioStorageFull", track.ErrPlace},
		{507, "", track.ErrPlace},
		{302, "", track.ErrPlace},
		{400, "ExpiredToken", track.ErrForbidden},
		{412, "PreconditionFailed", track.ErrExists},
		{409, "ConditionalRequestConflict", track.ErrUnavailable},
		{400, "BadDigest", track.ErrMismatch},
		{400, "XAmzContentChecksumMismatch", track.ErrMismatch},
		{400, "IncompleteBody", track.ErrMismatch},
		{400, "RequestTimeout", track.ErrUnavailable},
		{400, "InvalidRequest", nil},
		{429, "TooManyRequests", track.ErrThrottled},
		{503, "SlowDown", track.ErrThrottled},
		{503, "ServiceUnavailable", track.ErrThrottled},
		{500, "InternalError", track.ErrUnavailable},
		{502, "BadGateway", track.ErrUnavailable},
	} {
		err := create(t.Context(), against(t, refuse(test.status, test.code)))
		kinds := []error{
			track.ErrNotFound, track.ErrExists, track.ErrMismatch, track.ErrInvalidParts, track.ErrThrottled, track.ErrUnavailable, track.ErrForbidden, track.ErrPlace,
		}
		var got, want []error
		for _, kind := range kinds {
			if errors.Is(err, kind) {
				got = append(got, kind)
			}
		}
		if test.want != nil {
			want = []error{test.want}
		}
		if err == nil || !slices.Equal(got, want) {
			t.Errorf("%d %s: %v is %v, want %v", test.status, test.code, err, got, want)
		}
	}
}

func TestHeadHasOnlyAStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{
		404: track.ErrNotFound, 403: track.ErrForbidden, 405: track.ErrNotFound, 503: track.ErrThrottled, 500: track.ErrUnavailable,
	} {
		if _, err := against(t, refuse(status, "")).Head(t.Context(), "k", ""); !errors.Is(err, want) {
			t.Errorf("%d: got %v, want %v", status, err, want)
		}
	}
}

func TestNoAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	if err := create(t.Context(), at(t, closed.URL, 1)); !errors.Is(err, track.ErrUnavailable) {
		t.Errorf("no server: got %v", err)
	}
	hangsUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	if err := create(t.Context(), against(t, hangsUp)); !errors.Is(err, track.ErrUnavailable) {
		t.Errorf("a server that hangs up: got %v", err)
	}
	halfAList := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "<ListBucketResult>")
	}
	for _, err := range against(t, halfAList).List(t.Context(), "") {
		if !errors.Is(err, track.ErrUnavailable) {
			t.Errorf("half an answer: got %v", err)
		}
	}
	halfAnObject := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "half")
	}
	r, err := against(t, halfAnObject).Open(t.Context(), "k", "", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if content, err := io.ReadAll(r); string(content) != "half" || !errors.Is(err, track.ErrUnavailable) {
		t.Errorf("half an object: got %q, %v", content, err)
	}
}

func TestTheCallersDeadlineIsNotRetryable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := create(ctx, against(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	if !errors.Is(err, context.DeadlineExceeded) || track.IsRetryable(err) {
		t.Errorf("got %v", err)
	}
}

func TestCancellationIsNotRetryable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	err := create(ctx, against(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the client is gone
		cancel()
		<-r.Context().Done()
	}))
	if !errors.Is(err, context.Canceled) || track.IsRetryable(err) {
		t.Errorf("got %v", err)
	}
}

func TestCompletionMayFailBehindA200(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{"InternalError": track.ErrUnavailable, "InvalidPart": track.ErrInvalidParts} {
		store := against(t, refuse(http.StatusOK, code))
		err := store.CompleteMultipart(t.Context(), "k", "id", 1, []track.Part{{Number: 1, ETag: "x", Size: 1}})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", code, err, want)
		}
	}
}

// What is slow elsewhere: a payload that is hashed for its signature, a trailing checksum.
func TestBytesAreSentAsTheyAre(t *testing.T) {
	t.Parallel()
	var got http.Header
	var body []byte
	store := against(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set("ETag", `"x"`)
		body, _ = io.ReadAll(r.Body)
	})
	sum := track.NewCRC64NVME(77)
	if _, err := store.Create(t.Context(), track.ObjectSpec{Key: "k", ContentType: "audio/flac", Digest: track.Digest{Size: 9, CRC64NVME: 77}}, bytes.NewReader([]byte("the bytes"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "X-Amz-Checksum-Crc64nvme": sum.Value, "If-None-Match": "*", "Content-Encoding": "",
		"X-Amz-Trailer": "", "Content-Type": "audio/flac",
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
	if string(body) != "the bytes" {
		t.Errorf("the body is %q", body)
	}
}

func TestCallsAreTriedAgain(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		if requests.Add(1) < 3 {
			refuse(http.StatusInternalServerError, "InternalError")(w, r)
		} else if body, _ := io.ReadAll(r.Body); string(body) != "x" {
			t.Errorf("the third attempt sent %q", body)
		}
	}))
	t.Cleanup(server.Close)
	if err := create(t.Context(), at(t, server.URL, 3)); err != nil || requests.Load() != 3 {
		t.Errorf("%d requests, %v", requests.Load(), err)
	}
}

// Whoever writes hears at once that it is too much.
func TestThrottlingIsToldAtOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		refuse(http.StatusServiceUnavailable, "SlowDown")(w, r)
	}))
	t.Cleanup(server.Close)
	if err := create(t.Context(), at(t, server.URL, 3)); !errors.Is(err, track.ErrThrottled) || requests.Load() != 1 {
		t.Errorf("%d requests, %v", requests.Load(), err)
	}
}

// Not parallel: it sets the environment.
func TestOpenTakesCredentialsAndCertificatesFromTheEnvironment(t *testing.T) {
	var authorization string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		authorization = r.Header.Get("Authorization")
	}))
	t.Cleanup(server.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	endpoint, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	t.Setenv("AWS_ACCESS_KEY_ID", "KEYOFTHEENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	store, err := s3store.Open(t.Context(), settings.S3{
		Enabled: true, Bucket: "tracks", Region: "eu-central-1", Endpoint: endpoint, ForcePathStyle: true,
	}, awsdefault.Load, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Head(t.Context(), "k", ""); err != nil {
		t.Error(err)
	}
	if !bytes.Contains([]byte(authorization), []byte("KEYOFTHEENVIRONMENT")) {
		t.Errorf("the request is signed with %q", authorization)
	}
}

// lateReader is a transport that answers first and reads the body afterwards, as
// http.RoundTripper allows.
type lateReader struct {
	status int
	bodies chan io.ReadCloser
}

func (l lateReader) Do(r *http.Request) (*http.Response, error) {
	l.bodies <- r.Body
	return &http.Response{StatusCode: l.status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

func TestCreateGivesTheBodyBack(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusPreconditionFailed, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			late := lateReader{status: status, bodies: make(chan io.ReadCloser, 2)}
			s, err := s3store.New(s3store.Config{
				Bucket: "tracks", Region: "eu-central-1", HTTPClient: late, MaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			})
			if err != nil {
				t.Fatal(err)
			}
			memory := []byte("this file's")
			_, _ = s.Create(t.Context(), track.ObjectSpec{Key: "k", ContentType: "audio/flac", Digest: track.Digest{Size: int64(len(memory))}}, bytes.NewReader(memory))
			copy(memory, "another one's")
			close(late.bodies)
			for body := range late.bodies {
				if b, _ := io.ReadAll(body); len(b) > 0 {
					t.Errorf("%q was read after the return", b)
				}
			}
		})
	}
}
