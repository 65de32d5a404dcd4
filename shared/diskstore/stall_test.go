package diskstore_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trackstore/shared/diskstore"
)

// A body that stands still is given up, one that keeps coming is not, however slow, and the
// connection of one that has come is good for the next.
func TestABodyThatStandsStillIsGivenUp(t *testing.T) {
	t.Parallel()
	const wait = 300 * time.Millisecond
	server := httptest.NewServer(diskstore.Impatient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		time.Sleep(2 * wait) // longer than a body may stand still: this is the server's own time
		fmt.Fprintf(w, "%d bytes, %v, %v", len(body), err, r.Context().Err())
	}), wait))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := func(text string) {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	answer := func() string {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 1000)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(b[:n]), "\r\n\r\n")
		return body
	}
	const head = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
	send(head)
	for range 5 {
		time.Sleep(wait / 2)
		send("x")
	}
	if got := answer(); got != "5 bytes, <nil>, <nil>" {
		t.Errorf("slowly: %s", got)
	}
	time.Sleep(2 * wait)
	send(head + "xx")
	if got := answer(); !strings.HasPrefix(got, "2 bytes, the body stood still for 300ms") {
		t.Errorf("stopped: %s", got)
	}
}
