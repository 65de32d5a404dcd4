package s3store

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// silence is how long nothing may come of an answer's body.
const silence = 2 * time.Minute

// impatient hangs up where an answer falls silent. The timeouts of a client end with the
// headers; a connection that lives and brings nothing more would be read for ever.
type impatient struct{ aws.HTTPClient }

// Do is that of aws.HTTPClient.
func (c impatient) Do(req *http.Request) (*http.Response, error) {
	ctx, hangUp := context.WithCancel(req.Context())
	response, err := c.HTTPClient.Do(req.WithContext(ctx))
	if err != nil {
		hangUp()
		return nil, err
	}
	response.Body = answer{response.Body, hangUp}
	return response, nil
}

// answer is a body.
type answer struct {
	io.ReadCloser
	hangUp context.CancelFunc
}

// Read is that of io.Reader.
func (a answer) Read(p []byte) (int, error) {
	defer time.AfterFunc(silence, a.hangUp).Stop()
	return a.ReadCloser.Read(p)
}

// Close is that of io.Closer.
func (a answer) Close() error {
	defer a.hangUp()
	return a.ReadCloser.Close()
}
