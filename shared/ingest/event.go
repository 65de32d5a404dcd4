package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// created is the news that an object was created.
type created struct {
	bucket string
	key    string // as the bucket has it, no more escaped
	at     time.Time
}

// message is a part of an event that is handled or failed as one.
type message struct {
	id      string // of SQS; empty where the event did not come through a queue
	created []created
	err     error // part of it could not be read; created has the rest
}

// envelope has the fields by which the shapes of events are told apart.
type envelope struct {
	Records *[]json.RawMessage `json:"Records"` // SQS and S3

	TestEvent string `json:"Event"` // s3:TestEvent, which S3 sends when a notification is set up

	DetailType string `json:"detail-type"` // EventBridge
	Source     string `json:"source"`
	Time       string `json:"time"`
	Detail     *struct {
		Bucket bucketName `json:"bucket"`
		Object objectKey  `json:"object"`
	} `json:"detail"`
}

type bucketName struct {
	Name string `json:"name"`
}

type objectKey struct {
	Key *string `json:"key"`
}

// record is one of Records: a message of SQS, or an S3 event's record.
type record struct {
	MessageID *string `json:"messageId"`
	Body      string  `json:"body"`

	EventName string `json:"eventName"`
	EventTime string `json:"eventTime"`
	S3        *struct {
		Bucket bucketName `json:"bucket"`
		Object objectKey  `json:"object"`
	} `json:"s3"`
}

var errShape = errors.New("neither an event of SQS, nor of S3, nor of EventBridge")

// parse reads an event as a function gets it: of SQS with events of S3 (or EventBridge)
// as bodies, of S3, or of EventBridge. Its content tells which. An error means that
// nothing of it could be read.
func parse(event []byte) ([]message, error) {
	var e envelope
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errShape, err)
	}
	if e.Records == nil {
		news, err := e.news()
		if err != nil {
			return nil, err
		}
		return []message{{created: news}}, nil
	}
	var messages []message
	direct := message{}
	for i, raw := range *e.Records {
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			direct.err = errors.Join(direct.err, fmt.Errorf("record %d: %w", i, err))
			continue
		}
		if r.MessageID != nil {
			messages = append(messages, r.message())
			continue
		}
		news, err := r.news()
		if err != nil {
			direct.err = errors.Join(direct.err, fmt.Errorf("record %d: %w", i, err))
		}
		direct.created = append(direct.created, news...)
	}
	if direct.err != nil || len(direct.created) > 0 {
		messages = append(messages, direct)
	}
	return messages, nil
}

// message reads the body of a message of SQS.
func (r record) message() message {
	m := message{id: *r.MessageID}
	inner, err := parse([]byte(r.Body))
	if err != nil {
		m.err = fmt.Errorf("body: %w", err)
		return m
	}
	for _, part := range inner {
		m.created = append(m.created, part.created...)
		if part.id != "" {
			part.err = errors.Join(part.err, errors.New("a message within a message"))
		}
		m.err = errors.Join(m.err, part.err)
	}
	return m
}

// news reads a record of S3. Names of events come with s3: before them from some servers.
func (r record) news() ([]created, error) {
	if r.S3 == nil {
		return nil, errShape
	}
	if !strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:") {
		return nil, nil
	}
	if r.S3.Object.Key == nil {
		return nil, errors.New("no s3.object.key")
	}
	key, err := url.QueryUnescape(*r.S3.Object.Key)
	if err != nil {
		return nil, fmt.Errorf("s3.object.key: %w", err)
	}
	return []created{{bucket: r.S3.Bucket.Name, key: key, at: instant(r.EventTime)}}, nil
}

// news reads an event of EventBridge, where keys are not escaped.
func (e envelope) news() ([]created, error) {
	switch {
	case e.TestEvent == "s3:TestEvent":
		return nil, nil
	case e.DetailType == "" || e.Detail == nil:
		return nil, errShape
	case e.DetailType != "Object Created":
		return nil, nil
	case e.Detail.Object.Key == nil:
		return nil, errors.New("no detail.object.key")
	}
	return []created{{bucket: e.Detail.Bucket.Name, key: *e.Detail.Object.Key, at: instant(e.Time)}}, nil
}

// instant reads a time, which only the metrics use; what cannot be read is no time.
func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
