package locals3_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/internal/devstack/locals3"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

func storeOf(t *testing.T, s *locals3.Server) *s3store.Store {
	t.Helper()
	endpoint, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3store.New(s3store.Config{
		Bucket: bucket, Region: s.Region, Endpoint: endpoint, ForcePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// slowly gives out a body with pauses before its first pieces, three seconds in all.
type slowly struct {
	body   []byte
	pauses int
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.body) == 0 {
		return 0, io.EOF
	}
	n := len(s.body)
	if s.pauses > 0 {
		s.pauses--
		n = 1 + n/6
		time.Sleep(500 * time.Millisecond)
	}
	n = copy(p, s.body[:n])
	s.body = s.body[n:]
	return n, nil
}

// As with S3, what begins in time may end later: a PUT, a part, a form.
func TestWhatBeginsInTimeMayEndLater(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	store := storeOf(t, s)
	var sending sync.WaitGroup
	defer sending.Wait()
	for _, size := range []int{10_000, 3 << 20} {
		sending.Go(func() { sendSlowly(t, s, store, size) })
	}
}

func sendSlowly(t *testing.T, s *locals3.Server, store *s3store.Store, size int) {
	t.Helper()
	body := bytes.Repeat([]byte("x"), size)
	spec := track.PutSpec{Size: int64(size), MaxSize: int64(size), ContentType: "audio/wav", TTL: 2 * time.Second}
	send := func(method, url string, headers map[string]string, body []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, &slowly{body, 6})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(body))
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		began := time.Now()
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		if answer.StatusCode/100 != 2 || time.Since(began) < 3*time.Second {
			t.Errorf("%s of %d bytes, %v: %s %s", method, size, time.Since(began), answer.Status, text)
		}
	}
	spec.Key = fmt.Sprintf("put %d+é", size)
	put, err := store.SignPut(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	send(http.MethodPut, put.URL, put.Headers, body)

	key := fmt.Sprint("parts", size)
	id, err := store.CreateMultipart(t.Context(), key, "audio/wav", nil)
	if err != nil {
		t.Fatal(err)
	}
	part, err := store.SignPart(t.Context(), track.PartSpec{Key: key, MultipartID: id, Number: 1, Size: int64(size), TTL: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	send(http.MethodPut, part.URL, part.Headers, body)

	spec.Key = fmt.Sprint("form", size)
	post, err := store.SignPost(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	form, kind := formOf(t, post, body)
	send(http.MethodPost, post.URL, map[string]string{"Content-Type": kind}, form)
	for _, key := range []string{fmt.Sprintf("put %d+é", size), fmt.Sprint("form", size)} {
		got, err := client(s).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		if b, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(b, body) {
			t.Errorf("%s: %d bytes, %v", key, len(b), err)
		}
		got.Body.Close()
	}
}

func formOf(t *testing.T, post track.SignedPost, file []byte) (body []byte, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range post.Fields {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

// What is not good when it begins is told before its body, however long that would take.
func TestWhatIsNotGoodIsToldBeforeItsBody(t *testing.T) {
	t.Parallel()
	s := start(t, locals3.Config{})
	store := storeOf(t, s)
	spec := track.PutSpec{Key: "k", Size: 1 << 30, MaxSize: 1 << 30, ContentType: "audio/wav", TTL: time.Second}
	expired, err := store.SignPut(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	oldForm, err := store.SignPost(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	spec.TTL = time.Hour
	put, err := store.SignPut(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	form, kind := formOf(t, oldForm, make([]byte, 1<<20))
	headers := "Content-Type: audio/wav\r\nIf-None-Match: *\r\nContent-Length: 1073741824\r\n\r\n"
	for name, c := range map[string]struct{ head, start string }{
		"an expired URL":    {"PUT " + target(t, expired.URL) + " HTTP/1.1\r\nHost: " + hostOf(t, s) + "\r\n" + headers, ""},
		"a wrong signature": {"PUT " + target(t, put.URL[:len(put.URL)-2]+"00") + " HTTP/1.1\r\nHost: " + hostOf(t, s) + "\r\n" + headers, ""},
		"another header":    {"PUT " + target(t, put.URL) + " HTTP/1.1\r\nHost: " + hostOf(t, s) + "\r\n" + strings.Replace(headers, "audio/wav", "text/html", 1), ""},
		"another length":    {"PUT " + target(t, put.URL) + " HTTP/1.1\r\nHost: " + hostOf(t, s) + "\r\n" + strings.Replace(headers, "1073741824", "1073741823", 1), ""},
		"an expired form": {fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
			target(t, oldForm.URL), hostOf(t, s), kind, len(form)), string(form[:len(form)-1<<20])},
	} {
		conn, err := net.Dial("tcp", hostOf(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.head+c.start); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer := make([]byte, 12)
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 403" {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
		conn.Close()
	}
}

func target(t *testing.T, from string) string {
	t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}

func hostOf(t *testing.T, s *locals3.Server) string {
	t.Helper()
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
