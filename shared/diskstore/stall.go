package diskstore

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// StallTime is how long a body may stand still before it is given up.
const StallTime = time.Minute

// Impatient is next for bodies that keep coming, however slowly: one of which nothing comes for
// longer than wait ends early, as one that is cut off does.
func Impatient(next http.Handler, wait time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		body := &impatient{ReadCloser: r.Body, w: w, connection: http.NewResponseController(w), wait: wait}
		defer body.rest()
		r.Body = body
		next.ServeHTTP(w, r)
	})
}

type impatient struct {
	io.ReadCloser
	w          http.ResponseWriter
	connection *http.ResponseController
	wait       time.Duration
	stalled    bool
}

func (b *impatient) Read(p []byte) (int, error) {
	_ = b.connection.SetReadDeadline(time.Now().Add(b.wait)) // fails only where there is no connection
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// Or the server would wait for the rest before it sends the answer.
		b.stalled = true
		b.w.Header().Set("Connection", "close")
		return n, fmt.Errorf("the body stood still for %v: %w", b.wait, io.ErrUnexpectedEOF)
	}
	if err != nil {
		b.rest()
	}
	return n, err
}

// rest takes the limit off: at the end of a body the server goes on reading, to see whether its
// client is still there.
func (b *impatient) rest() {
	if !b.stalled {
		_ = b.connection.SetReadDeadline(time.Time{})
	}
}
