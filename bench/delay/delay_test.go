package delay_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"trackstore/bench/delay"
)

// Each answer is held back, those of many connections side by side, and large ones come whole and in order.
func TestAnswersAreHeldBack(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent, err := io.Copy(io.Discard, r.Body); err != nil || sent != 1<<20 {
			t.Errorf("%d bytes came, %v", sent, err)
		}
		_, _ = w.Write(large)
	}))
	t.Cleanup(server.Close)
	const by = 100 * time.Millisecond
	proxy, err := delay.New(server.URL+"/a?b=c", by)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 2 { // over one connection
				started := time.Now()
				answer, err := client.Post(proxy.URL, "", bytes.NewReader(make([]byte, 1<<20)))
				if err != nil {
					t.Error(err)
					return
				}
				if took := time.Since(started); took < by {
					t.Errorf("an answer came after %s", took)
				}
				got, err := io.ReadAll(answer.Body)
				if err != nil || !bytes.Equal(got, large) {
					t.Errorf("%d other bytes arrived, %v", len(got), err)
				}
				answer.Body.Close()
			}
		})
	}
	asking.Wait()
	if err := proxy.Close(); err != nil {
		t.Error(err)
	}
	if _, err := client.Get(proxy.URL); err == nil {
		t.Error("it answers after it was closed")
	}
}
