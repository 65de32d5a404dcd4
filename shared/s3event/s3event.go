// Package s3event writes event notifications as S3 does, for what stands in for S3 on a
// laptop: the folder of package diskstore, and the S3 server of the local stack.
package s3event

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Created is what a notification says of an object that was created.
type Created struct {
	How       string // after "ObjectCreated:", as Put, Post, Copy or CompleteMultipartUpload
	Region    string
	Bucket    string
	Key       string
	Size      int64  // bytes
	ETag      string // without quotes
	VersionID string // empty where the bucket keeps no versions
}

type notification struct {
	Records []record `json:"Records"`
}

type record struct {
	EventVersion string `json:"eventVersion"`
	EventSource  string `json:"eventSource"`
	Region       string `json:"awsRegion"`
	Time         string `json:"eventTime"`
	Name         string `json:"eventName"`
	S3           entity `json:"s3"`
}

type entity struct {
	SchemaVersion string `json:"s3SchemaVersion"`
	Bucket        bucket `json:"bucket"`
	Object        object `json:"object"`
}

type bucket struct {
	Name string `json:"name"`
	ARN  string `json:"arn"`
}

type object struct {
	Key       string `json:"key"`
	Size      int64  `json:"size"`
	ETag      string `json:"eTag"`
	VersionID string `json:"versionId,omitempty"`
	Sequencer string `json:"sequencer"`
}

// JSON is the notification of c, with a sequencer of its own.
func (c Created) JSON() []byte {
	now := time.Now().UTC()
	b, _ := json.Marshal(notification{[]record{{ // strings and numbers: it cannot fail
		EventVersion: "2.1",
		EventSource:  "aws:s3",
		Region:       c.Region,
		Time:         now.Format("2006-01-02T15:04:05.000Z"),
		Name:         "ObjectCreated:" + c.How,
		S3: entity{
			SchemaVersion: "1.0",
			Bucket:        bucket{c.Bucket, "arn:aws:s3:::" + c.Bucket},
			Object:        object{escape(c.Key), c.Size, c.ETag, c.VersionID, sequencer(now)},
		},
	}}})
	return b
}

var lastSequencer atomic.Int64

// sequencer grows from event to event, and from process to process as far as clocks do.
func sequencer(now time.Time) string {
	for {
		last := lastSequencer.Load()
		next := max(now.UnixNano(), last+1)
		if lastSequencer.CompareAndSwap(last, next) {
			return fmt.Sprintf("%016X", next)
		}
	}
}

// escape escapes a key as S3's events have it: like a form's field, but for the slashes.
func escape(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/") }
