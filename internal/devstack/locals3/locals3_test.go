package locals3_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	s3events "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"trackstore/internal/devstack/locals3"
)

const bucket = "music"

// asProgram, set in the environment, makes the test binary a program that runs a server on the folder it names until it
// is killed.
const asProgram = "LOCALS3_TEST_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(asProgram)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := locals3.Start(context.Background(), locals3.Config{Dir: dir, Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Endpoint, s.DirectEndpoint)
	select {}
}

// start starts a server with an empty bucket.
func start(t *testing.T, cfg locals3.Config) *locals3.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if _, err := locals3.Build(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	cfg.Log = t.Output()
	s, err := locals3.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	var exists *types.BucketAlreadyOwnedByYou
	if _, err := client(s).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil && !errors.As(err, &exists) {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *locals3.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func client(s *locals3.Server) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.Endpoint), Region: s.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
}

func random(t *testing.T, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, s *locals3.Server, key string) []byte {
	t.Helper()
	got, err := client(s).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func absent(t *testing.T, s *locals3.Server, key string) bool {
	t.Helper()
	_, err := client(s).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err == nil {
		return false
	}
	if apiErr := smithy.APIError(nil); !errors.As(err, &apiErr) || apiErr.ErrorCode() != "NotFound" {
		t.Fatal(err)
	}
	return true
}

// presign signs a PUT of size bytes.
func presign(t *testing.T, s *locals3.Server, key string, size int) (string, http.Header) {
	t.Helper()
	req, err := s3.NewPresignClient(client(s)).PresignPutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, ContentLength: aws.Int64(int64(size)),
		ContentType: aws.String("audio/flac"), IfNoneMatch: aws.String("*"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return req.URL, req.SignedHeader
}

// put sends a PUT of size bytes over a connection of its own to the server at endpoint, with the given part of the body
// and then no more, and returns the status of the answer.
func put(t *testing.T, endpoint, target string, header http.Header, size int, sent []byte) int {
	t.Helper()
	conn := sendPut(t, endpoint, target, header, size, sent)
	defer conn.Close()
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func sendPut(t *testing.T, endpoint, target string, header http.Header, size int, sent []byte) *net.TCPConn {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", u.RequestURI(), u.Host, size)
	for name, values := range header {
		if name != "Host" && name != "Content-Length" {
			fmt.Fprintf(conn, "%s: %s\r\n", name, values[0])
		}
	}
	fmt.Fprint(conn, "\r\n")
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// Sizes of bodies that the guard holds in memory, and on disk.
var sizes = []int{64 << 10, 1 << 20, 1<<20 + 1, 6 << 20}

func TestACutPutIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	for _, size := range sizes {
		for _, sent := range []int{0, 1, size / 2, size - 1} {
			key := fmt.Sprintf("cut-%d-%d.flac", size, sent)
			target, header := presign(t, s, key, size)
			body := random(t, size)
			if status := put(t, s.Endpoint, target, header, size, body[:sent]); status != http.StatusBadRequest {
				t.Errorf("%d of %d bytes: status %d", sent, size, status)
			}
			if !absent(t, s, key) {
				t.Errorf("%d of %d bytes became an object", sent, size)
			}
			// The same URL still works, which If-None-Match would refuse had there been an object.
			if status := put(t, s.Endpoint, target, header, size, body); status != http.StatusOK {
				t.Errorf("whole body of %d bytes: status %d", size, status)
			}
			if !bytes.Equal(read(t, s, key), body) {
				t.Errorf("%d bytes were changed on their way", size)
			}
		}
	}
}

func TestACutPartIsNotListed(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	c := client(s)
	key, size := "cut.flac", 6<<20
	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	part, err := s3.NewPresignClient(c).PresignUploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: aws.String(bucket), Key: &key, UploadId: upload.UploadId, PartNumber: aws.Int32(1),
	})
	if err != nil {
		t.Fatal(err)
	}
	list := func() []types.Part {
		parts, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String(bucket), Key: &key, UploadId: upload.UploadId})
		if err != nil {
			t.Fatal(err)
		}
		return parts.Parts
	}
	body := random(t, size)
	if status := put(t, s.Endpoint, part.URL, part.SignedHeader, size, body[:size/2]); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
	if parts := list(); len(parts) != 0 {
		t.Errorf("half a part is listed: %d bytes", *parts[0].Size)
	}
	if status := put(t, s.Endpoint, part.URL, part.SignedHeader, size, body); status != http.StatusOK {
		t.Errorf("whole part: status %d", status)
	}
	if parts := list(); len(parts) != 1 || *parts[0].Size != int64(size) {
		t.Errorf("whole part: listed as %v", parts)
	}
}

// The reason for the guard: when this fails, versitygw has been mended, and the guard can go.
func TestWithoutTheGuardACutPutCountsAsWhole(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	body := random(t, 1<<20)
	target, header := presign(t, s, "cut.flac", len(body))
	if status := put(t, s.DirectEndpoint, target, header, len(body), body[:len(body)/2]); status != http.StatusOK {
		t.Errorf("versitygw refuses a cut PUT by itself, with status %d", status)
	}
	if absent(t, s, "cut.flac") {
		t.Error("a cut PUT left no object")
	}
}

// What happens when the guard itself is killed while it hands a body on.
func TestTheGuardsDigestMakesACutPutFail(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	body := random(t, 1<<20)
	digest := md5.Sum(body)
	target, header := presign(t, s, "cut.flac", len(body))
	header.Set("Content-Md5", base64.StdEncoding.EncodeToString(digest[:]))
	if status := put(t, s.DirectEndpoint, target, header, len(body), body[:len(body)/2]); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
	if !absent(t, s, "cut.flac") {
		t.Error("a cut PUT left an object")
	}
}

func TestAClientThatDoesNotWaitForTheAnswerHasStoredItsFile(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	for i := range 10 {
		key, body := fmt.Sprintf("%d.flac", i), random(t, 6<<20)
		target, header := presign(t, s, key, len(body))
		if err := sendPut(t, s.Endpoint, target, header, len(body), body).Close(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for absent(t, s, key) {
			if time.Now().After(deadline) {
				t.Fatal("the file was never stored")
			}
			time.Sleep(5 * time.Millisecond)
		}
		if !bytes.Equal(read(t, s, key), body) {
			t.Fatal("another file was stored")
		}
	}
}

// Signatures cover the path, the query, the host and some headers: they hold only if the guard changes none of them.
func TestSignaturesHold(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	c := client(s)
	for _, key := range []string{
		"a b.flac", "a+b.flac", "a%20b.flac", "a%2Fb", "a//b", "a?b#c&d=e;f", `"quoted"<>`, "émile/ü/😀.flac", "x/./y", "tab\tand~*'()!", strings.Repeat("k", 200),
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			body := []byte("fLaC" + key)
			target, header := presign(t, s, key, len(body))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, target, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = header
			req.Header.Set("Expect", "100-continue")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("presigned PUT: status %d: %s", resp.StatusCode, answer)
			}
			if got := read(t, s, key); !bytes.Equal(got, body) {
				t.Errorf("read %q", got)
			}
			source := strings.ReplaceAll(url.QueryEscape(bucket+"/"+key), "+", "%20")
			if _, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String(key + ".copy"), CopySource: &source}); err != nil {
				t.Error(err)
			}
		})
	}
}

// versitygw answers a wrong signature before it has read the body, and closes the connection.
func TestARefusalOfALargeBodyArrives(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	const size = 8 << 20
	content := random(t, size)
	for range 4 {
		target, header := presign(t, s, "refused", size)
		target = strings.Replace(target, "X-Amz-Signature=", "X-Amz-Signature=0", 1)
		if got := put(t, s.Endpoint, target, header, size, content); got != http.StatusForbidden {
			t.Fatalf("got %d, want 403", got)
		}
	}
	if !absent(t, s, "refused") {
		t.Error("something was stored")
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	key, body := "a.flac", random(t, 3<<20)
	if _, err := client(s).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	got, err := client(s).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key, Range: aws.String("bytes=1000-1999")})
	if err != nil {
		t.Fatal(err)
	}
	if part, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(part, body[1000:2000]) {
		t.Errorf("%d bytes, %v", len(part), err)
	}
	if want := fmt.Sprintf("bytes 1000-1999/%d", len(body)); aws.ToString(got.ContentRange) != want {
		t.Errorf("content range %q, want %q", aws.ToString(got.ContentRange), want)
	}
}

func TestAForm(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	body := random(t, 2<<20)
	postForm(t, s, "form.flac", body)
	if !bytes.Equal(read(t, s, "form.flac"), body) {
		t.Error("another file was stored")
	}
}

func postForm(t *testing.T, s *locals3.Server, key string, body []byte) {
	t.Helper()
	post, err := s3.NewPresignClient(client(s)).PresignPostObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for name, value := range post.Values {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("file", key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(post.URL, w.FormDataContentType(), &form)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("status %d: %s", resp.StatusCode, answer)
	}
}

// Many at once: what one event says comes from one request.
func TestEventsOfAllWaysOfUploading(t *testing.T) {
	t.Parallel()
	events := make(chan string, 1000)
	s := start(t, locals3.Config{OnCreate: func(event []byte) { events <- string(event) }})
	c, bucket := client(s), aws.String(bucket)
	want := map[string]string{}
	var group errgroup.Group
	group.SetLimit(16)
	for i := range 200 {
		key := fmt.Sprintf("a b/ü+%%20?#&=%s%d.wav", strings.Repeat("x", i%7), i)
		want[key] = "ObjectCreated:Put"
		group.Go(func() error {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader("bytes")})
			return err
		})
	}
	group.Go(func() error {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("tagged"), Body: strings.NewReader("bytes")})
		if err != nil {
			return err
		}
		_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String(*bucket + "/tagged")})
		if err != nil {
			return err
		}
		_, err = c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: bucket, Key: aws.String("tagged"),
			Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
		return err
	})
	want["tagged"], want["copy"] = "ObjectCreated:Put", "ObjectCreated:Copy"
	group.Go(func() error { return uploadInParts(t, c, "parts/日本.wav") })
	want["parts/日本.wav"] = "ObjectCreated:CompleteMultipartUpload"
	want["forms/🎵 1+1.wav"] = "ObjectCreated:Post"
	postForm(t, s, "forms/🎵 1+1.wav", []byte("bytes"))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}

	close(events)
	got := map[string]string{}
	for body := range events {
		var event s3events.S3Event
		if err := json.Unmarshal([]byte(body), &event); err != nil {
			t.Fatal(err)
		}
		r := event.Records[0]
		got[r.S3.Object.URLDecodedKey] = r.EventName
		if r.S3.Bucket.Name != *bucket || r.S3.Object.ETag == "" && r.EventName != "ObjectCreated:Copy" &&
			r.EventName != "ObjectCreated:CompleteMultipartUpload" {
			t.Errorf("%s", body)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func uploadInParts(t *testing.T, c *s3.Client, key string) error {
	bucket := aws.String(bucket)
	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key})
	if err != nil {
		return err
	}
	part, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: &key, UploadId: upload.UploadId,
		PartNumber: aws.Int32(1), Body: strings.NewReader("bytes")})
	if err != nil {
		return err
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: &key, UploadId: upload.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC64NVME: part.ChecksumCRC64NVME, ChecksumCRC32: part.ChecksumCRC32}}}})
	return err
}

func TestStateIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, locals3.Config{Dir: dir})
	if _, err := client(s).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("a.flac"), Body: strings.NewReader("fLaC")}); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	again := start(t, locals3.Config{Dir: dir})
	if got := read(t, again, "a.flac"); string(got) != "fLaC" {
		t.Errorf("read %q", got)
	}
	if again.SecretKey != s.SecretKey {
		t.Error("the key is another")
	}
}

func TestATakenAddressIsAnError(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = locals3.Start(t.Context(), locals3.Config{Dir: t.TempDir(), Addr: l.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Fatalf("got %v", err)
	}
}

func TestAServerEndsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop(t, start(t, locals3.Config{Dir: dir})) // leaves the bucket and the key there

	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), asProgram+"="+dir)
	parent.Stderr = t.Output()
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = parent.Wait() })
	var s locals3.Server
	if _, err := fmt.Fscanln(stdout, &s.Endpoint, &s.DirectEndpoint); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{s.Endpoint, s.DirectEndpoint} {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
			if errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			if err == nil {
				conn.Close()
			}
			if time.Now().After(deadline) {
				t.Fatal("still there:", endpoint)
			}
		}
	}
	start(t, locals3.Config{Dir: dir})
}

func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, locals3.Config{Dir: dir})
	body := random(t, 2<<20)
	target, header := presign(t, s, "late.flac", len(body))
	header.Set("Expect", "100-continue")
	conn := sendPut(t, s.Endpoint, target, header, len(body), body[:len(body)/2])
	defer conn.Close()
	answers := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(answers, nil); err != nil || resp.StatusCode != http.StatusContinue {
		t.Fatal("the request is not under way:", resp, err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop(t, s)
	}()
	// Only a stop that has begun refuses new connections.
	for {
		probe, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "http://"))
		if err != nil {
			break
		}
		probe.Close()
	}
	if _, err := conn.Write(body[len(body)/2:]); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	<-stopped
	if !bytes.Equal(read(t, start(t, locals3.Config{Dir: dir}), "late.flac"), body) {
		t.Error("another file was stored")
	}
}
