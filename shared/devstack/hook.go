package devstack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// notification is an S3 event notification, as S3 sends it and versitygw nearly does.
type notification struct {
	Records []record `json:"Records"`
}

type record struct {
	EventVersion      string            `json:"eventVersion"`
	EventSource       string            `json:"eventSource"`
	Region            string            `json:"awsRegion"`
	EventTime         string            `json:"eventTime"`
	EventName         string            `json:"eventName"`
	UserIdentity      principal         `json:"userIdentity"`
	RequestParameters map[string]string `json:"requestParameters"`
	ResponseElements  map[string]string `json:"responseElements"`
	S3                struct {
		SchemaVersion string `json:"s3SchemaVersion"`
		Configuration string `json:"configurationId"`
		Bucket        struct {
			Name  string    `json:"name"`
			Owner principal `json:"ownerIdentity"`
			ARN   string    `json:"arn"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"`
			Size      int64  `json:"size"`
			ETag      string `json:"eTag"`
			VersionID string `json:"versionId,omitempty"`
			Sequencer string `json:"sequencer"`
		} `json:"object"`
	} `json:"s3"`
}

type principal struct {
	ID string `json:"principalId"`
}

// asS3 mends a record that versitygw wrote: S3 has no prefix before the event's name, escapes the key, leaves the
// quotes off the ETag, and names the bucket alone by the ARN. What it does not mend is the size, which is 0 after a
// copy and after a multipart upload was completed, and the sequencer, which begins anew with the server: whoever
// acts on an event asks S3 for the object.
func (r *record) asS3() {
	r.EventName = strings.TrimPrefix(r.EventName, "s3:")
	r.S3.Bucket.ARN = "arn:aws:s3:::" + r.S3.Bucket.Name
	r.S3.Object.Key = escapeKey(r.S3.Object.Key)
	r.S3.Object.ETag = strings.Trim(r.S3.Object.ETag, `"`)
}

// escapeKey escapes a key as S3 does in events: a space becomes a plus, slashes stay.
func escapeKey(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

// hook receives versitygw's webhook. Every event goes to send in S3's own form; formUploaded is called for an
// upload by a form, whose event bears no key.
func hook(send func(body string), formUploaded func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const limit = 1 << 20 // bytes; an event has about 1,000
		var n notification
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(&n); err != nil {
			http.Error(w, fmt.Sprintf("not an event: %v", err), http.StatusBadRequest)
			return
		}
		for _, rec := range n.Records {
			if rec.S3.Object.Key == "" {
				formUploaded()
				continue
			}
			rec.asS3()
			body, err := json.Marshal(notification{[]record{rec}})
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			send(string(body))
		}
		// Without a body: versitygw never reads or closes one, and would leak the connection.
		w.WriteHeader(http.StatusNoContent)
	})
}
