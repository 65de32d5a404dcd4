package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-lambda-go/events"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// Handle takes an event of S3, however it comes: through SQS, from S3, or from
// EventBridge. For SQS it answers with the messages to try again: those that could not be
// read, or whose object or row could not be reached. Of the other two, which have no such
// answer, it returns an error.
//
// What the event says of an object is not believed, its key apart: the object itself is
// looked at. Events of other buckets, with other names, or of keys that no pending upload
// bears are no errors and change nothing.
func (in *Ingester) Handle(ctx context.Context, event json.RawMessage) (events.SQSEventResponse, error) {
	answer := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	messages, err := parse(event)
	if err != nil {
		return answer, err
	}
	failures, lag := in.handle(ctx, messages)
	var direct error
	for i, m := range messages {
		err := failures[i]
		switch {
		case err == nil:
		case m.id == "":
			direct = errors.Join(direct, err)
		default:
			in.Log.ErrorContext(ctx, "an event is to be tried again", "message_id", m.id, "err", err)
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.id})
		}
	}
	in.Metrics.Emit(
		metrics.Duration("EventLag", lag),
		metrics.Count("EventsRetried", len(answer.BatchItemFailures)),
	)
	return answer, direct
}

// place is where an object was created.
type place struct{ backend, key string }

// handle confirms what messages tell of, in one batch. It returns the failure of each
// message, nil for none, and the longest time from an object's creation to its settling.
func (in *Ingester) handle(ctx context.Context, messages []message) (failures []error, lag time.Duration) {
	failures = make([]error, len(messages))
	backends := make(map[string]string) // by bucket
	for name, b := range in.Backends {
		backends[b.Bucket()] = name
	}
	var keys []string
	told := make(map[place][]int) // the messages that told of it
	since := make(map[place]time.Time)
	for i, m := range messages {
		failures[i] = m.err
		for _, c := range m.created {
			at := place{backends[c.bucket], c.key}
			if at.backend == "" || !mayBeUpload(c.key) {
				continue
			}
			if told[at] == nil {
				keys = append(keys, c.key)
				since[at] = c.at
			}
			told[at] = append(told[at], i)
		}
	}
	if len(keys) == 0 {
		return failures, 0
	}
	uploads, err := in.Uploads.UploadsByKey(ctx, keys)
	if err != nil {
		for at := range told {
			for _, i := range told[at] {
				failures[i] = err
			}
		}
		return failures, 0
	}
	uploads = slices.DeleteFunc(uploads, func(u track.Upload) bool { return told[place{u.Backend, u.Key}] == nil })
	b := in.confirm(ctx, uploads, false)
	for _, u := range uploads {
		at := place{u.Backend, u.Key}
		if err := b.failures[u.ID]; err != nil {
			for _, i := range told[at] {
				failures[i] = errors.Join(failures[i], err)
			}
		}
		if _, ok := b.settled[u.ID]; ok && !since[at].IsZero() {
			lag = max(lag, time.Since(since[at]))
		}
	}
	return failures, lag
}

// mayBeUpload reports whether an upload may bear key, so that the database is asked for
// it. Others may hold anything, also what no column takes.
func mayBeUpload(key string) bool {
	return strings.HasPrefix(key, track.UploadsPrefix) && len(key) <= 512 &&
		!strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII })
}
