package devstack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"trackstore/shared/track"
)

// deadLetters is the file of the events that failed again and again, a JSON object a line.
const deadLetters = "dead-letters.jsonl"

// startHook starts what receives the S3 server's webhook, at a URL that nobody else knows. Events that come before
// their consumer runs wait in the queue.
func (s *stack) startHook() (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	path := "/" + rand.Text()
	mux := http.NewServeMux()
	mux.Handle("POST "+path, hook(s.queue.send, func() {
		select {
		case s.formUploaded <- struct{}{}:
		default: // a look that takes this one in is already due
		}
	}))
	s.goServe("the webhook", l, mux)
	return "http://" + l.Addr().String() + path, nil
}

// bury keeps a dead letter where a person finds it.
func (s *stack) bury(m events.SQSMessage) {
	s.logger.Error("an event failed again and again, and was given up: the sweep will settle its upload",
		"message", m.MessageId, "file", s.state.join(deadLetters))
	line, err := json.Marshal(m)
	if err == nil {
		err = appendLine(s.state.join(deadLetters), line)
	}
	if err != nil {
		s.logger.Error("the dead letter could not be kept", "body", m.Body, "err", err)
	}
}

func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(line, '\n'))
	return err
}

// formKeys lists the keys of the pending uploads that a form is to bring to S3.
type formKeys func(ctx context.Context) ([]string, error)

// header tells what is stored under a key.
type header interface {
	Head(ctx context.Context, key, versionID string) (track.Object, error)
	Bucket() string
}

// findForms makes up for the key that the server leaves out of the event of a form: where one came, it sends an event
// for each upload by form that is pending and whose object is there.
func (s *stack) findForms(ctx context.Context, keys formKeys, store header) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.formUploaded:
		}
		pending, err := keys(ctx)
		if err != nil {
			s.logger.ErrorContext(ctx, "look for uploads by forms", "err", err)
		}
		for _, key := range pending {
			object, err := store.Head(ctx, key, "")
			if err != nil {
				continue // it has not come yet; where S3 cannot be asked now, the sweep does it
			}
			s.queue.send(formEvent(store.Bucket(), object))
		}
	}
}

// formEvent is the event that S3 would have sent for an object that a form brought.
func formEvent(bucket string, o track.Object) string {
	var r record
	r.EventVersion, r.EventSource, r.EventName = "2.1", "aws:s3", "ObjectCreated:Post"
	r.EventTime = time.Now().UTC().Format(time.RFC3339)
	r.S3.SchemaVersion, r.S3.Bucket.Name = "1.0", bucket
	r.S3.Object.Key, r.S3.Object.Size, r.S3.Object.VersionID = o.Key, o.Size, o.VersionID
	r.S3.Object.Sequencer = strings.ToUpper(fmt.Sprintf("%016x", time.Now().UnixNano()))
	r.asS3()
	body, err := json.Marshal(notification{[]record{r}})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(body)
}
