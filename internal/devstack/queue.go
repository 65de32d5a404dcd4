package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"trackstore/shared/track"
)

// consumer handles a batch of messages, as a function that Lambda invokes for SQS does. An error means that none of
// them was handled.
type consumer func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// queue stands in for an SQS queue with its dead letters, and for the service that invokes a function with batches
// from it. It lives in memory: a message that is lost at a crash is a lost event, which the sweep makes good.
type queue struct {
	bury   func(events.SQSMessage) // takes what failed maxReceives times; called concurrently
	logger *slog.Logger

	mu    sync.Mutex
	ready []message
	wake  chan struct{} // holds one token where ready may have something
}

type message struct {
	id, body string
	sent     time.Time
	receives int
}

// As the deployed queue and function have them.
const (
	batchSize   = 10
	maxReceives = 5
	concurrency = 2
)

// retryDelay is how long a message that failed for the nth time stays away, in place of SQS's visibility timeout.
func retryDelay(n int) time.Duration { return 500 * time.Millisecond << (n - 1) }

func newQueue(bury func(events.SQSMessage), logger *slog.Logger) *queue {
	return &queue{bury: bury, logger: logger, wake: make(chan struct{}, 1)}
}

// send puts a message into the queue.
func (q *queue) send(body string) {
	q.put(message{id: track.NewID().String(), body: body, sent: time.Now()})
}

func (q *queue) put(m message) {
	q.mu.Lock()
	q.ready = append(q.ready, m)
	q.mu.Unlock()
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run has consume handle messages until ctx is done; then it finishes what it began, for at most patience.
func (q *queue) run(ctx context.Context, consume consumer, patience time.Duration) {
	handling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	context.AfterFunc(ctx, func() { time.AfterFunc(patience, cancel) })
	var workers sync.WaitGroup
	for range concurrency {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-q.wake:
				}
				if batch := q.take(); len(batch) > 0 {
					q.handle(handling, consume, batch)
				}
			}
		})
	}
	workers.Wait()
}

// take receives up to batchSize messages.
func (q *queue) take() []message {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.ready), batchSize)
	batch := append([]message(nil), q.ready[:n]...)
	q.ready = q.ready[n:]
	if len(q.ready) > 0 {
		q.signal() // for the other worker, or for the next turn of this one
	}
	return batch
}

// handle invokes the consumer, and puts back what it did not handle.
func (q *queue) handle(ctx context.Context, consume consumer, batch []message) {
	var event events.SQSEvent
	for i := range batch {
		batch[i].receives++
		event.Records = append(event.Records, batch[i].sqs())
	}
	answer, err := invoke(ctx, consume, event)
	if err != nil {
		q.logger.ErrorContext(ctx, "a batch of events failed", "messages", len(batch), "err", err)
	}
	failed := make(map[string]bool)
	for _, f := range answer.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	for _, m := range batch {
		switch {
		case err == nil && !failed[m.id]:
		case m.receives >= maxReceives:
			q.bury(m.sqs())
		default:
			time.AfterFunc(retryDelay(m.receives), func() { q.put(m) })
		}
	}
}

// invoke calls the consumer; a panic is a failure, as it is for a function.
func invoke(ctx context.Context, consume consumer, event events.SQSEvent) (answer events.SQSEventResponse, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(err, fmt.Errorf("panic: %v", p))
		}
	}()
	return consume(ctx, event)
}

func (m message) sqs() events.SQSMessage {
	return events.SQSMessage{
		MessageId:      m.id,
		ReceiptHandle:  m.id,
		Body:           m.body,
		EventSource:    "aws:sqs",
		EventSourceARN: "arn:aws:sqs:local:000000000000:object-created",
		Attributes: map[string]string{
			"ApproximateReceiveCount": fmt.Sprint(m.receives),
			"SentTimestamp":           fmt.Sprint(m.sent.UnixMilli()),
		},
	}
}
