package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

// Send opens an upload of file, whose size is in r, sends its bytes and has them checked.
// Bytes that an earlier, interrupted Send with the same key and request has brought to
// the storage are not sent again. progress is told how many bytes were added (below 0: a
// try was lost), from several goroutines; it may be nil.
//
// The file's checksum is declared. So a file that changes while it is sent, or before it is
// sent on, is refused: as ErrChanged, an idempotency_conflict, or an upload that failed.
//
// The returned upload is stored or failed. When ctx ends, the upload stays open.
func (c *Client) Send(ctx context.Context, idempotencyKey string, r Request, file io.ReaderAt, progress func(int64)) (Upload, error) {
	if progress == nil {
		progress = func(int64) {}
	}
	if r.Checksum == nil {
		sum, err := Checksum(ctx, io.NewSectionReader(file, 0, r.Size))
		if err != nil {
			return Upload{}, err
		}
		r.Checksum = &sum
	}
	ticket, err := c.Open(ctx, idempotencyKey, r)
	if err != nil {
		return Upload{}, err
	}
	if ticket.State != track.UploadPending {
		progress(r.Size)
		return ticket.Upload, nil
	}
	if ticket.Multipart != nil {
		return c.sendParts(ctx, ticket, r, file, progress)
	}
	if ticket.Put == nil {
		return ticket.Upload, errors.New("only put and multipart are sent by this client")
	}

	_, err = c.put(ctx, io.NewSectionReader(file, 0, r.Size), progress, func(earlier int) (track.SignedPut, error) {
		if earlier == 0 {
			return *ticket.Put, nil
		}
		// The URL may have run out, or even the ticket: then this is a new one.
		again, err := c.Open(ctx, idempotencyKey, r)
		switch {
		case err != nil:
			return track.SignedPut{}, err
		case again.State != track.UploadPending:
			return track.SignedPut{}, errSettled
		case again.Put != nil:
			ticket = again
		}
		return *ticket.Put, nil
	})
	// 412: the key is written already. Complete tells.
	var p *Problem
	if err != nil && !errors.Is(err, errSettled) && (!errors.As(err, &p) || p.Status != http.StatusPreconditionFailed) {
		return ticket.Upload, err
	}
	return c.Complete(ctx, ticket.ID, nil)
}

// errSettled says that a try whose answer was lost has brought all bytes to the storage, and
// that these were looked at since. The URLs that there are for such an upload are of no use.
var errSettled = errors.New("the upload is settled")

func (c *Client) sendParts(ctx context.Context, t Ticket, r Request, file io.ReaderAt, progress func(int64)) (Upload, error) {
	now, err := c.Get(ctx, t.ID)
	switch {
	case err != nil:
		return now, err
	case now.State != track.UploadPending:
		progress(r.Size)
		return now, nil
	case now.Parts == nil:
		progress(r.Size)
		return c.settled(ctx, t.ID)
	}
	m := t.Multipart
	partSize := func(n int32) int64 { return min(m.PartSize, r.Size-int64(n-1)*m.PartSize) }
	have := map[int32]string{}
	for _, p := range now.Parts {
		if p.Size == partSize(p.Number) {
			have[p.Number] = p.ETag
			progress(p.Size)
		}
	}

	var missing []int32
	for n := int32(1); n <= m.PartCount; n++ {
		if have[n] == "" {
			missing = append(missing, n)
		}
	}

	var mu sync.Mutex // guards have
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(cap(c.slots))
	for _, n := range missing {
		g.Go(func() error {
			body := io.NewSectionReader(file, int64(n-1)*m.PartSize, partSize(n))
			etag, err := c.put(gctx, body, progress, func(int) (track.SignedPut, error) {
				return c.signPart(gctx, t.ID, n, body, r.Checksum.OfParts())
			})
			mu.Lock()
			defer mu.Unlock()
			have[n] = etag
			return err
		})
	}
	err = g.Wait()
	if p := (*Problem)(nil); errors.As(err, &p) && (p.Status == http.StatusNotFound || p.Code == "already_stored") {
		return c.settled(ctx, t.ID) // another run has sent all meanwhile
	}
	if err != nil {
		return now, err
	}

	parts := make([]track.Part, 0, len(have))
	for n, etag := range have {
		parts = append(parts, track.Part{Number: n, ETag: etag, Size: partSize(n)})
	}
	slices.SortFunc(parts, func(a, b track.Part) int { return int(a.Number - b.Number) })
	return c.Complete(ctx, t.ID, parts)
}

// signPart signs a part with the checksum of its bytes: where they are damaged on the way,
// the storage refuses the part, and only that is sent again.
func (c *Client) signPart(ctx context.Context, id string, number int32, body *io.SectionReader, a track.Algorithm) (track.SignedPut, error) {
	sum, err := checksum(ctx, a, io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		return track.SignedPut{}, err
	}
	signed, err := c.SignParts(ctx, id, WantedPart{Number: number, Checksum: sum.Value})
	if err != nil {
		return track.SignedPut{}, err
	}
	if len(signed) != 1 {
		return track.SignedPut{}, errors.New("the server did not sign the part that it was asked for")
	}
	return signed[0].SignedPut, nil
}

// settled returns an upload for which the storage takes no parts any more: an earlier run, or
// the server, died after all was sent, and the storage is putting them together or has done so.
func (c *Client) settled(ctx context.Context, id string) (u Upload, err error) {
	err = c.retry(ctx, func(int) error {
		u, err = c.Complete(ctx, id, nil)
		if p := (*Problem)(nil); errors.As(err, &p) && p.Code == "not_uploaded" {
			err = temporary{err}
		}
		return err
	})
	return u, err
}

// put sends body to where target says, asking it anew for each try, and returns the ETag.
func (c *Client) put(ctx context.Context, body *io.SectionReader, progress func(int64), target func(earlier int) (track.SignedPut, error)) (string, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}

	var etag string
	err := c.retry(ctx, func(earlier int) error {
		to, err := target(earlier)
		if err != nil {
			return err
		}
		counted := &counter{r: io.NewSectionReader(body, 0, body.Size()), left: body.Size(), add: progress}
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, to.URL, counted)
		if err != nil {
			return err
		}
		request.ContentLength = body.Size()
		for name, value := range to.Headers {
			request.Header.Set(name, value)
		}
		response, err := c.http.Do(request)
		if err != nil {
			if failed := counted.takeBack(); failed != nil {
				return failed
			}
			return temporary{unsigned(err)}
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
		if response.StatusCode >= 300 {
			if failed := counted.takeBack(); failed != nil {
				return failed // what was sent was cut off for it
			}
			return c.refusal(response, text, earlier)
		}
		etag = response.Header.Get("ETag")
		return nil
	})
	return etag, err
}

// unsigned takes the signature out of an error that quotes the URL: whoever has it may write.
func unsigned(err error) error {
	var quoted *url.Error
	if errors.As(err, &quoted) {
		quoted.URL, _, _ = strings.Cut(quoted.URL, "?")
	}
	return err
}

// refusal tells which of the storage's refusals are worth another try: 403 once, because
// the URL may have run out; 400 once, because a body that arrives cut off is answered so;
// and 409, while an earlier try for the same key is still at work.
func (c *Client) refusal(response *http.Response, text []byte, earlier int) error {
	err := newProblem(response, text)
	var p *Problem
	if !errors.As(err, &p) {
		return err
	}
	switch p.Status {
	case http.StatusForbidden, http.StatusBadRequest:
		if earlier == 0 {
			return temporary{err}
		}
	case http.StatusConflict:
		return temporary{err}
	}
	return err
}

// ErrChanged is the error of a file that has become shorter than it was.
var ErrChanged = errors.New("the file changed while it was sent")

// counter reports what was read through it. The transport may still read while the caller
// takes the count back, hence the lock.
type counter struct {
	r      io.Reader
	left   int64 // bytes that are still to come
	add    func(int64)
	mu     sync.Mutex
	n      int64
	lost   bool
	failed error // of the file
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && c.left > 0:
		c.failed = ErrChanged
	case err != nil && !errors.Is(err, io.EOF):
		c.failed = err
	}
	if !c.lost {
		c.n += int64(n)
		c.add(int64(n))
	}
	return n, err
}

// takeBack takes the count back, and returns what kept the file from being read.
func (c *counter) takeBack() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = true
	c.add(-c.n)
	return c.failed
}
