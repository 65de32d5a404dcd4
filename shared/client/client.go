// Package client uploads files through trackstore's HTTP API: the example of a client in
// Go, and what `trackstore upload` runs.
//
// A Client's calls are tried again while the network or the server fails, until GiveUp has
// passed without an answer. Every call that it makes may be repeated without harm.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"trackstore/shared/track"
)

// Client speaks to one server as one user. Its zero values are not usable: see New.
type Client struct {
	url     string
	token   string
	http    *http.Client
	giveUp  time.Duration
	waiting func(error)
	slots   chan struct{} // a PUT in flight holds one
}

// Options tune a Client; a zero field takes its default.
type Options struct {
	HTTP     *http.Client  // default: one that waits 2 minutes for the answer to a request once it is sent
	Parallel int           // PUTs in flight, of all files together; default 4
	GiveUp   time.Duration // how long a call is tried again once it has failed; default 5 minutes
	Waiting  func(error)   // told, from several goroutines, what went wrong each time a call is to be tried again
}

// New returns a client of the server at url, with a JWT of the user.
func New(url, token string, o Options) *Client {
	if o.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = 2 * time.Minute // S3 may take one to put a large object together
		o.HTTP = &http.Client{Transport: transport}
	}
	if o.Parallel == 0 {
		o.Parallel = 4
	}
	if o.GiveUp == 0 {
		o.GiveUp = 5 * time.Minute
	}
	if o.Waiting == nil {
		o.Waiting = func(error) {}
	}
	return &Client{strings.TrimSuffix(url, "/"), token, o.HTTP, o.GiveUp, o.Waiting, make(chan struct{}, o.Parallel)}
}

// Request asks for a ticket. See the API's description for what each field takes.
type Request struct {
	TrackID     string          `json:"track_id,omitempty"`
	Title       string          `json:"title,omitempty"`
	Filename    string          `json:"filename"`
	ContentType string          `json:"content_type,omitempty"` // a hint; the bytes decide
	Size        int64           `json:"size"`
	Checksum    *track.Checksum `json:"checksum,omitempty"` // nil: Send takes that of the file
	Method      track.Method    `json:"method,omitempty"`
}

// Ticket is an opened upload; exactly one of Put, Post and Multipart is set.
type Ticket struct {
	Upload
	Put       *track.SignedPut  `json:"put"`
	Post      *track.SignedPost `json:"post"`
	Multipart *Multipart        `json:"multipart"`
}

// Multipart tells how to cut the file. The last part has what is left over.
type Multipart struct {
	PartSize  int64        `json:"part_size"` // bytes
	PartCount int32        `json:"part_count"`
	Parts     []SignedPart `json:"parts"` // the first ones; SignParts gives the others
}

// SignedPart is the URL for one part's PUT, and the headers to send with it, verbatim.
type SignedPart struct {
	Number int32 `json:"part_number"`
	track.SignedPut
}

// WantedPart is a part that is to be signed.
type WantedPart struct {
	Number   int32  `json:"part_number"`
	Checksum string `json:"checksum,omitempty"` // by Request.Checksum.OfParts(), in base64: the storage then refuses other bytes; empty: none
}

// Upload is what the server says of an upload.
type Upload struct {
	ID      string            `json:"upload_id"`
	TrackID string            `json:"track_id"`
	State   track.UploadState `json:"state"`
	Method  track.Method      `json:"method"`
	Reason  track.Reason      `json:"reason"`
	Detail  string            `json:"detail"` // of one that failed: what was found, for people
	Parts   []track.Part      `json:"parts"`  // of a pending multipart: those that the storage has; nil where it takes none any more
}

// Open asks for a ticket. The same key with the same request gives the same upload again,
// with fresh URLs: that is how an interrupted upload is taken up.
func (c *Client) Open(ctx context.Context, idempotencyKey string, r Request) (Ticket, error) {
	var t Ticket
	err := c.callKeyed(ctx, call{http.MethodPost, "/v1/uploads", idempotencyKey}, r, &t)
	return t, err
}

// Get reads an upload.
func (c *Client) Get(ctx context.Context, id string) (Upload, error) {
	var u Upload
	err := c.call(ctx, http.MethodGet, "/v1/uploads/"+id, nil, &u)
	return u, err
}

// SignParts signs up to 1,000 parts, in the order of parts.
func (c *Client) SignParts(ctx context.Context, id string, parts ...WantedPart) ([]SignedPart, error) {
	var answer struct {
		Parts []SignedPart `json:"parts"`
	}
	err := c.call(ctx, http.MethodPost, "/v1/uploads/"+id+"/parts", map[string]any{"parts": parts}, &answer)
	return answer.Parts, err
}

// Complete says that all bytes are sent, and has them checked. parts is for multiparts only.
func (c *Client) Complete(ctx context.Context, id string, parts []track.Part) (Upload, error) {
	return c.CompleteWith(ctx, id, parts, nil)
}

// CompleteWith is Complete with the checksum of the file, for who knows it only now; nil:
// none. Bytes with another one fail. Where the upload was stored before the checksum was
// named, it stays so, and the error is a Problem of the code checksum_mismatch.
func (c *Client) CompleteWith(ctx context.Context, id string, parts []track.Part, sum *track.Checksum) (Upload, error) {
	body := map[string]any{}
	if parts != nil {
		body["parts"] = parts
	}
	if sum != nil {
		body["checksum"] = sum
	}
	var u Upload
	err := c.call(ctx, http.MethodPost, "/v1/uploads/"+id+"/complete", body, &u)
	return u, err
}

// call sends one request of the API, again and again while it fails in passing.
func (c *Client) call(ctx context.Context, method, path string, body, answer any) error {
	return c.callKeyed(ctx, call{method, path, ""}, body, answer)
}

// call is a request; with an idempotency key the server carries it out once, however often it is sent.
type call struct{ method, path, idempotencyKey string }

// callKeyed is call for what has a key.
func (c *Client) callKeyed(ctx context.Context, what call, body, answer any) error {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return c.retry(ctx, func(int) error {
		request, err := http.NewRequestWithContext(ctx, what.method, c.url+what.path, bytes.NewReader(payload))
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+c.token)
		if body != nil {
			request.Header.Set("Content-Type", "application/json")
		}
		if what.idempotencyKey != "" {
			request.Header.Set("Idempotency-Key", what.idempotencyKey)
		}
		return c.do(request, answer)
	})
}

// maxAnswer is far above what the API answers: 10,000 listed parts are about 1 MiB.
const maxAnswer = 8 << 20

// do sends a request and reads a JSON answer, or the problem that came instead.
func (c *Client) do(request *http.Request, answer any) error {
	response, err := c.http.Do(request)
	if err != nil {
		return temporary{err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return temporary{err}
	}
	if response.StatusCode >= 300 {
		return newProblem(response, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s answered what is no JSON of this API: %w", request.URL.Host, err)
	}
	return nil
}
