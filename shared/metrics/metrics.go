// Package metrics writes measurements as CloudWatch's embedded metrics: JSON lines on a
// function's standard output, from which CloudWatch makes metrics by itself. No call to
// a service is made, and elsewhere the lines are a log like any other.
//
// All are in the namespace "trackstore" with the dimension Function, which is the name that
// the function has in Lambda, so that deployments beside each other do not mix:
//
//	UploadsOpened        count         tickets that were handed out
//	UploadsStored        count         uploads whose bytes were checked and that their track points at
//	UploadsFailed        count         uploads that were refused; also by the dimension Reason
//	UploadsAborted       count         uploads whose track was deleted before the bytes came
//	EventLag             milliseconds  from an object's creation to its upload being settled, the longest of a batch
//	EventsRetried        count         messages given back to the queue
//	UploadsExpired       count         uploads that nothing came for (sweep)
//	MultipartsAborted    count         multipart uploads that were given up (sweep)
//	DiscardsRemoved      count         objects and files removed after their grace (sweep)
//	SweepFailures        count         steps of a sweep that failed, and are tried again by the next one
//	TracksMigrated       count         tracks that were moved, either way
//	BytesMigrated        bytes         and their size
//	TracksMissing        count         tracks whose file is not there
//	TracksFailed         count         tracks that could not be moved for another reason
//	EventsDelivered      count         events that a receiver has
//	EventDeliveriesFailed count        deliveries that are tried again
//	EventsDead           count         events that were given up for a receiver
//
// Other functions write their own names in the same form.
package metrics

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

const namespace = "trackstore"

// Metric is one measurement.
type Metric struct {
	Name  string
	Unit  string // as CloudWatch spells it
	Value float64
}

// Count is a number of things.
func Count[T ~int | ~int64](name string, n T) Metric { return Metric{name, "Count", float64(n)} }

// Bytes is an amount of bytes.
func Bytes(name string, n int64) Metric { return Metric{name, "Bytes", float64(n)} }

// Duration is a time, written in milliseconds.
func Duration(name string, d time.Duration) Metric {
	return Metric{name, "Milliseconds", float64(d.Milliseconds())}
}

// Emitter writes metrics to one place. A nil Emitter writes nothing. Its methods may be
// called concurrently.
type Emitter struct {
	out        *output
	dimensions map[string]string
}

type output struct {
	sync.Mutex
	io.Writer
}

// New returns an Emitter for the metrics of one function.
func New(w io.Writer, function string) *Emitter {
	return &Emitter{&output{Writer: w}, map[string]string{"Function": function}}
}

// With returns an Emitter whose metrics have one more dimension.
func (e *Emitter) With(dimension, value string) *Emitter {
	if e == nil {
		return nil
	}
	dimensions := maps.Clone(e.dimensions)
	dimensions[dimension] = value
	return &Emitter{e.out, dimensions}
}

// Emit writes metrics that belong together as one line. Those that are 0 are left out;
// where all are, nothing is written.
func (e *Emitter) Emit(ms ...Metric) {
	ms = slices.DeleteFunc(slices.Clone(ms), func(m Metric) bool { return m.Value == 0 })
	if e == nil || len(ms) == 0 {
		return
	}
	type definition struct{ Name, Unit string }
	line := make(map[string]any)
	definitions := make([]definition, len(ms))
	for i, m := range ms {
		definitions[i] = definition{m.Name, m.Unit}
		line[m.Name] = m.Value
	}
	for name, value := range e.dimensions {
		line[name] = value
	}
	line["_aws"] = map[string]any{
		"Timestamp": time.Now().UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  namespace,
			"Dimensions": [][]string{slices.Sorted(maps.Keys(e.dimensions))},
			"Metrics":    definitions,
		}},
	}
	b, err := json.Marshal(line)
	if err != nil {
		return // a number that JSON cannot write is no measurement
	}
	e.out.Lock()
	defer e.out.Unlock()
	_, _ = e.out.Write(append(b, '\n'))
}
