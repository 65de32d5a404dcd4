package storetest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"trackstore/shared/track"
)

func testPut(t *trial) {
	key, content := newKey(), random(100_000)
	signed := t.signPut(track.PutSpec{Key: key, Size: int64(len(content)), ContentType: flac})
	for name := range signed.Headers {
		if strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length") {
			t.Errorf("no browser lets a page set %s", name)
		}
	}
	t.wantAbsent("before the PUT", key)
	a := t.mustSend(http.MethodPut, signed.URL, signed.Headers, content)
	if a.header.Get("ETag") == "" {
		t.Error("the answer has no ETag")
	}
	object := t.wantStored(key, content)
	if object.ContentType != flac {
		t.Errorf("the content type is %q", object.ContentType)
	}
	if _, known := object.Checksum(track.CRC64NVME); !known {
		t.Error("head has no CRC64NVME")
	}

	other := random(len(content))
	t.wantRefused("a second PUT", t.send(http.MethodPut, signed.URL, signed.Headers, other), http.StatusPreconditionFailed)
	again := t.signPut(track.PutSpec{Key: key, Size: 1, ContentType: flac})
	t.wantRefused("a PUT of a taken key", t.send(http.MethodPut, again.URL, again.Headers, []byte{1}), http.StatusPreconditionFailed)
	t.wantStored(key, content)
}

func testPutWithChecksum(t *trial) {
	for _, algorithm := range []track.Algorithm{track.CRC64NVME, track.CRC32C, track.SHA256} {
		content := random(70_000)
		sum := checksum(algorithm, content)
		spec := track.PutSpec{Key: newKey(), Size: int64(len(content)), ContentType: flac, Checksum: &sum}
		signed := t.signPut(spec)

		t.wantRefused(fmt.Sprintf("bytes without their %s", algorithm),
			t.send(http.MethodPut, signed.URL, signed.Headers, random(len(content))), http.StatusBadRequest)
		t.wantRefused(fmt.Sprintf("a PUT without the %s header", algorithm),
			t.send(http.MethodPut, signed.URL, without(signed.Headers, algorithm.Header()), content))
		other := random(len(content))
		t.wantRefused(fmt.Sprintf("other bytes with their own %s", algorithm),
			t.send(http.MethodPut, signed.URL, with(signed.Headers, algorithm.Header(), checksum(algorithm, other).Value), other))
		t.wantAbsent("after refused PUTs", spec.Key)

		t.mustSend(http.MethodPut, signed.URL, signed.Headers, content)
		t.wantStored(spec.Key, content)
	}
}

func testPutRefused(t *trial) {
	content := random(1000)
	sum := checksum(track.CRC64NVME, content)
	spec := track.PutSpec{Key: newKey(), Size: int64(len(content)), ContentType: flac, Checksum: &sum}
	signed := t.signPut(spec)
	otherKey := newKey()

	for _, test := range []struct {
		name    string
		method  string
		url     string
		headers map[string]string
		body    []byte
	}{
		{"too short", "PUT", signed.URL, signed.Headers, content[1:]},
		{"too long", "PUT", signed.URL, signed.Headers, append(content, 1)},
		{"empty", "PUT", signed.URL, signed.Headers, []byte{}},
		{"another content type", "PUT", signed.URL, with(signed.Headers, "Content-Type", "text/html"), content},
		{"no content type", "PUT", signed.URL, without(signed.Headers, "Content-Type"), content},
		{"no condition", "PUT", signed.URL, without(signed.Headers, "If-None-Match"), content},
		{"another condition", "PUT", signed.URL, with(signed.Headers, "If-None-Match", `"x"`), content},
		{"another key", "PUT", strings.Replace(signed.URL, spec.Key, otherKey, 1), signed.Headers, content},
		{"another method", "POST", signed.URL, signed.Headers, content},
		{"a method that deletes", "DELETE", signed.URL, nil, nil},
		{"a method that reads", "GET", signed.URL, nil, nil},
		{"a changed signature", "PUT", changeSignature(signed.URL), signed.Headers, content},
		{"no signature", "PUT", dropQuery(signed.URL), signed.Headers, content},
	} {
		t.wantRefused(test.name, t.send(test.method, test.url, test.headers, test.body))
		t.wantAbsent(test.name, spec.Key)
		t.wantAbsent(test.name, otherKey)
	}
	t.mustSend(http.MethodPut, signed.URL, signed.Headers, content)
	t.wantStored(spec.Key, content)
}

func testPutCutOff(t *trial) {
	content := random(300_000)
	spec := track.PutSpec{Key: newKey(), Size: int64(len(content)), ContentType: flac}
	signed := t.signPut(spec)
	t.sendCutOff(signed.URL, signed.Headers, content, len(content)/2)
	t.wantAbsent("after a PUT that was cut off", spec.Key)
	t.mustSend(http.MethodPut, signed.URL, signed.Headers, content)
	t.wantStored(spec.Key, content)
}

// sendCutOff announces all of content, sends part of it, and hangs up. It returns when the
// server is done with it.
func (t *trial) sendCutOff(rawURL string, headers map[string]string, content []byte, sent int) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", u.RequestURI(), u.Host, len(content))
	for name, value := range headers {
		fmt.Fprintf(conn, "%s: %s\r\n", name, value)
	}
	if _, err := fmt.Fprintf(conn, "\r\n%s", content[:sent]); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || strings.HasPrefix(string(answer), "HTTP/1.1 2") {
		t.Errorf("a body that is cut off: %v, %s", err, answer)
	}
}

// changeSignature exchanges the first digit of the signature.
func changeSignature(u string) string {
	const name = "ignature="
	at := strings.Index(u, name) + len(name)
	digit := "0"
	if u[at] == '0' {
		digit = "1"
	}
	return u[:at] + digit + u[at+1:]
}

func dropQuery(u string) string {
	before, _, _ := strings.Cut(u, "?")
	return before
}
