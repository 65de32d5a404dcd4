package storetest

import (
	"bytes"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"time"

	"trackstore/shared/track"
)

func testPost(t *trial) {
	content := random(50_000)
	sum := checksum(track.CRC64NVME, content)
	for name, spec := range map[string]track.PutSpec{
		"exact size":   {Key: newKey(), Size: int64(len(content)), ContentType: flac},
		"unknown size": {Key: newKey(), MaxSize: int64(len(content)), ContentType: flac},
		"a checksum":   {Key: newKey(), Size: int64(len(content)), ContentType: flac, Checksum: &sum},
	} {
		signed := t.signPost(spec)
		if signed.Fields["key"] != spec.Key {
			t.Errorf("%s: the field key is %q", name, signed.Fields["key"])
		}
		for _, refused := range []string{"file", "redirect", "success_action_redirect"} {
			if _, there := signed.Fields[refused]; there {
				t.Errorf("%s: the field %s is there", name, refused)
			}
		}
		a := t.post(signed.URL, signed.Fields, content)
		if a.status != http.StatusCreated {
			t.Fatalf("%s: answered %d: %s", name, a.status, a.body)
		}
		for _, word := range []string{"<Location>", "<ETag>", "<Key>" + spec.Key} {
			if !bytes.Contains(a.body, []byte(word)) {
				t.Errorf("%s: the answer lacks %s: %s", name, word, a.body)
			}
		}
		if object := t.wantStored(spec.Key, content); object.ContentType != flac {
			t.Errorf("%s: the content type is %q", name, object.ContentType)
		}
	}
}

func testPostRefused(t *trial) {
	content := random(1000)
	sum := checksum(track.CRC64NVME, content)
	spec := track.PutSpec{Key: newKey(), Size: int64(len(content)), ContentType: flac, Checksum: &sum}
	signed := t.signPost(spec)
	open := t.signPost(track.PutSpec{Key: spec.Key, MaxSize: int64(len(content)), ContentType: flac})
	otherKey := newKey()

	for _, test := range []struct {
		name   string
		fields map[string]string
		body   []byte
	}{
		{"too short", signed.Fields, content[1:]},
		{"too long", signed.Fields, append(content, 1)},
		{"longer than the most", open.Fields, append(content, 1)},
		{"empty", open.Fields, nil},
		{"other bytes than the checksum's", signed.Fields, random(len(content))},
		{"no checksum", without(signed.Fields, track.CRC64NVME.Header()), content},
		{"another key", with(signed.Fields, "key", otherKey), content},
		{"another content type", with(signed.Fields, "Content-Type", "text/html"), content},
		{"no content type", without(signed.Fields, "Content-Type"), content},
		{"a field that was not signed", with(signed.Fields, "x-amz-meta-a", "b"), content},
		{"another form's policy", with(signed.Fields, "policy", open.Fields["policy"]), content},
		{"no policy", without(signed.Fields, "policy"), content},
		{"no fields", nil, content},
	} {
		t.wantRefused(test.name, t.post(signed.URL, test.fields, test.body))
		t.wantAbsent(test.name, spec.Key)
		t.wantAbsent(test.name, otherKey)
	}
	t.wantRefused("no file", t.postForm(signed.URL, signed.Fields, nil))
	t.wantAbsent("no file", spec.Key)
	if a := t.post(signed.URL, signed.Fields, content); !a.ok() {
		t.Fatalf("answered %d: %s", a.status, a.body)
	}
	t.wantStored(spec.Key, content)
}

func (t *trial) signPost(spec track.PutSpec) track.SignedPost {
	t.Helper()
	spec.TTL = time.Minute
	signed, err := t.Backend.SignPost(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// post sends a form as a browser does, the file last.
func (t *trial) post(url string, fields map[string]string, content []byte) answer {
	t.Helper()
	return t.postForm(url, fields, func(w *multipart.Writer) error {
		file, err := w.CreateFormFile("file", "täke 1.flac")
		if err == nil {
			_, err = file.Write(content)
		}
		return err
	})
}

func (t *trial) postForm(url string, fields map[string]string, file func(*multipart.Writer) error) answer {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := w.WriteField(name, fields[name]); err != nil {
			t.Fatal(err)
		}
	}
	if file != nil {
		if err := file(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return t.send(http.MethodPost, url, map[string]string{"Content-Type": w.FormDataContentType()}, body.Bytes())
}
