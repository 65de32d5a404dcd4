package locals3

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
)

// form is what comes of a form before its file.
type form struct {
	head   []byte // all bytes that have come so far, the beginning of the file perhaps among them
	fields map[string]string
	policy map[string]any
}

// errForm is of a form whose signature or date is not good.
var errForm = errors.New("the form's policy is not signed by the server's key, or has expired")

// readForm reads a form as far as its file, and judges it by then. nil: it is none that is signed.
func (c credentials) readForm(r *http.Request) (*form, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, nil
	}
	f := &form{}
	piece := make([]byte, 4<<10)
	for !f.parse(params["boundary"]) {
		n, err := r.Body.Read(piece)
		f.head = append(f.head, piece[:n]...)
		if err != nil || len(f.head) > 256<<10 { // all of it, or more than fields can be: versitygw says what is wrong
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			f.fields = nil
			break
		}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(f.head), r.Body), r.Body}
	if f.fields["policy"] == "" {
		return nil, nil
	}
	text, err := base64.StdEncoding.DecodeString(f.fields["policy"])
	if err != nil || json.Unmarshal(text, &f.policy) != nil {
		return nil, errForm
	}
	scope, mine := strings.CutPrefix(f.fields["x-amz-credential"], c.accessKey+"/")
	if !mine || c.sign(scope, "", f.fields["policy"]) != f.fields["x-amz-signature"] || !f.isInTime(time.Now()) {
		return nil, errForm
	}
	return f, nil
}

// parse reads the fields, and reports whether all of them have come: the file's has begun.
func (f *form) parse(boundary string) bool {
	f.fields = make(map[string]string)
	for parts := multipart.NewReader(bytes.NewReader(f.head), boundary); ; {
		part, err := parts.NextPart()
		if err != nil {
			return false
		}
		if part.FormName() == "file" {
			return true
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return false
		}
		f.fields[strings.ToLower(part.FormName())] = string(value)
	}
}

func (f *form) isInTime(now time.Time) bool {
	text, _ := f.policy["expiration"].(string)
	until, err := time.Parse(time.RFC3339, text)
	return err == nil && now.Before(until)
}

// renewForm makes a form that was good when it began last a minute longer. It returns how many bytes
// that adds, and the new beginning.
func (c credentials) renewForm(f *form, start []byte, now time.Time) (added int, renewed []byte, err error) {
	f.policy["expiration"] = now.UTC().Add(time.Minute).Format("2006-01-02T15:04:05.000Z")
	text, err := json.Marshal(f.policy)
	if err != nil {
		return 0, nil, err
	}
	policy := base64.StdEncoding.EncodeToString(text)
	scope := strings.TrimPrefix(f.fields["x-amz-credential"], c.accessKey+"/")
	renewed = bytes.Replace(start, []byte(f.fields["policy"]), []byte(policy), 1)
	renewed = bytes.Replace(renewed, []byte(f.fields["x-amz-signature"]), []byte(c.sign(scope, "", policy)), 1)
	return len(renewed) - len(start), renewed, nil
}
