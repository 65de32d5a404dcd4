package functions_test

import (
	"bytes"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
)

// lateUpload is an upload whose ticket is over before its bytes come; what the storage signed is still good.
type lateUpload struct {
	id, key  string
	send     func() (etag string)
	complete func(etag string)
}

// Bytes that come when their ticket is over: by a PUT, a form or in parts, of the API's own and of Uppy's, found by complete, by
// the event or by the sweep. Of what goes in one request the grace is all but over, too. Each is stored, and no note of a removal stays.
func TestBytesThatComeLate(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &programs{dir: t.TempDir()}, newWorld(t, testenv.Postgres(t)))
	single := []func(*fleet) lateUpload{(*fleet).openPut, (*fleet).openForm, (*fleet).openUppyForm}
	inParts := []func(*fleet) lateUpload{(*fleet).openParts, (*fleet).openUppyParts}
	const ways = 3
	open := func(kinds []func(*fleet) lateUpload) (all []lateUpload) {
		for range ways {
			for _, kind := range kinds {
				all = append(all, kind(f))
			}
		}
		f.exec("UPDATE track_uploads SET created_at = created_at - interval '10 days', expires_at = now() - interval '1 hour' WHERE state = 'pending'")
		return all
	}
	whole := open(single)
	f.run(f.sweep, "{}")
	if n := f.query("SELECT count(*) FROM track_uploads WHERE state = 'expired'"); n != fmt.Sprint(len(whole)) {
		t.Fatalf("%s are expired", n)
	}
	f.exec("UPDATE track_uploads SET finished_at = finished_at - interval '6 days 23 hours'")
	f.exec("UPDATE track_discards SET discarded_at = discarded_at - interval '6 days 23 hours'")
	parts := open(inParts) // a sweep would abort them

	var records []string
	for i, u := range slices.Concat(whole, parts) {
		isWhole := i < len(whole)
		kinds := len(single)
		if !isWhole {
			i, kinds = i-len(whole), len(inParts)
		}
		etag, way := u.send(), i/kinds
		if way == 0 {
			u.complete(etag)
			continue
		}
		if !isWhole {
			f.putTogether(u, etag) // and the function dies
		}
		if way == 1 {
			records = append(records, fmt.Sprintf(`{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":%q},"object":{"key":%q}}}`, f.bucket.Name, u.key))
		}
	}
	f.run(f.ingest, `{"Records":[`+strings.Join(records, ",")+`]}`)
	if n := f.query("SELECT count(*) FROM track_uploads WHERE state = 'stored'"); n != "10" {
		t.Errorf("by complete and events %s are stored", n)
	}
	f.run(f.sweep, "{}")
	for _, u := range slices.Concat(whole, parts) {
		if got := f.query(`SELECT u.state || ' ' || t.status || ' ' || (t.storage_key = u.storage_key) FROM track_uploads u JOIN tracks t ON t.id = u.track_id
			WHERE u.id = $1`, u.id); got != "stored ready true" {
			t.Errorf("%s: %s", u.key, got)
		}
	}
	if n := f.query("SELECT count(*) FROM track_discards"); n != "0" {
		t.Errorf("%s notes of removals are left", n)
	}
}

// late opens an upload of the API's own.
func (f *fleet) late(method string) (lateUpload, map[string]any) {
	f.t.Helper()
	opened := f.client.call(201, "POST", "/v1/uploads", f.bearer,
		fmt.Sprintf(`{"title":"x","filename":"x.flac","size":%d,"method":%q}`, len(audiotest.FLAC(1, 0)), method))
	id := opened["upload_id"].(string)
	u := lateUpload{id: id, key: f.query("SELECT storage_key FROM track_uploads WHERE id = $1", id)}
	u.complete = func(string) { f.client.call(200, "POST", "/v1/uploads/"+id+"/complete", f.bearer, "") }
	return u, opened[method].(map[string]any)
}

func (f *fleet) openPut() lateUpload {
	u, put := f.late("put")
	u.send = func() string { return f.sendLate(http.MethodPut, put["url"], put["headers"], audiotest.FLAC(1, 0)) }
	return u
}

func (f *fleet) openForm() lateUpload {
	u, post := f.late("post")
	u.send = func() string { return f.sendForm(post) }
	return u
}

func (f *fleet) openParts() lateUpload {
	u, m := f.late("multipart")
	part := m["parts"].([]any)[0].(map[string]any)
	u.send = func() string { return f.sendLate(http.MethodPut, part["url"], part["headers"], audiotest.FLAC(1, 0)) }
	u.complete = func(etag string) {
		f.client.call(200, "POST", "/v1/uploads/"+u.id+"/complete", f.bearer, fmt.Sprintf(`{"parts":[{"part_number":1,"etag":%q}]}`, etag))
	}
	return u
}

// session opens a companion session and returns its path.
func (f *fleet) session() string {
	f.t.Helper()
	opened := f.client.call(201, "POST", "/v1/companion-sessions", f.bearer, "")
	u, err := url.Parse(opened["companion_url"].(string))
	if err != nil {
		f.t.Fatal(err)
	}
	return u.Path + "/s3"
}

func (f *fleet) openUppyForm() lateUpload {
	form := f.client.call(200, "GET", f.session()+"/params?filename=x.flac&type=audio%2Fflac", nil, "")
	key := form["fields"].(map[string]any)["key"].(string)
	id := f.query("SELECT id FROM track_uploads WHERE storage_key = $1", key)
	return lateUpload{id: id, key: key, send: func() string { return f.sendForm(form) }, complete: func(string) {
		f.client.call(200, "POST", "/v1/uploads/"+id+"/complete", f.bearer, "")
	}}
}

func (f *fleet) openUppyParts() lateUpload {
	path := f.session() + "/multipart"
	isJSON := map[string]string{"content-type": "application/json"}
	created := f.client.call(200, "POST", path, isJSON, `{"filename":"x.flac","type":"audio/flac"}`)
	u := lateUpload{id: created["uploadId"].(string), key: created["key"].(string)}
	query := "?key=" + url.QueryEscape(u.key)
	part := f.client.call(200, "GET", path+"/"+u.id+"/1"+query, nil, "")
	u.send = func() string { return f.sendLate(http.MethodPut, part["url"], nil, audiotest.FLAC(1, 0)) }
	u.complete = func(etag string) {
		f.client.call(200, "POST", path+"/"+u.id+"/complete"+query, isJSON, fmt.Sprintf(`{"parts":[{"PartNumber":1,"ETag":%q}]}`, etag))
	}
	return u
}

func (f *fleet) sendForm(form map[string]any) string {
	f.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	fields := form["fields"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		_ = w.WriteField(name, fields[name].(string))
	}
	file, _ := w.CreateFormFile("file", "x.flac")
	_, _ = file.Write(audiotest.FLAC(1, 0))
	_ = w.Close()
	return f.sendLate(http.MethodPost, form["url"], map[string]any{"Content-Type": w.FormDataContentType()}, body.Bytes())
}

// sendLate sends bytes to a signed URL, and returns the ETag.
func (f *fleet) sendLate(method string, to, headers any, content []byte) string {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, to.(string), bytes.NewReader(content))
	if err != nil {
		f.t.Fatal(err)
	}
	named, _ := headers.(map[string]any)
	for name, value := range named {
		request.Header.Set(name, value.(string))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode >= 300 {
		f.t.Fatal(response.Status)
	}
	return response.Header.Get("ETag")
}

// putTogether has the storage make an object of a part, as complete does.
func (f *fleet) putTogether(u lateUpload, etag string) {
	f.t.Helper()
	id := f.query("SELECT multipart_id FROM track_uploads WHERE id = $1", u.id)
	number := int32(1)
	_, err := f.bucket.Client().CompleteMultipartUpload(f.t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &f.bucket.Name, Key: &u.key, UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: &number, ETag: &etag}}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
}
