package storetest

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"trackstore/shared/track"
)

func testGet(t *trial) {
	key, content := newKey(), random(10_000)
	t.create(key, content)
	a := t.mustSend(http.MethodGet, t.signGet(track.GetSpec{Key: key}), nil, nil)
	if !bytes.Equal(a.body, content) || a.header.Get("ETag") == "" || a.header.Get("Content-Type") != flac {
		t.Errorf("got %d bytes with %v", len(a.body), a.header)
	}

	disposition := `attachment; filename="caf_ _.flac"; filename*=UTF-8''caf%C3%A9%20%F0%9F%8E%B5.flac`
	a = t.mustSend(http.MethodGet, t.signGet(track.GetSpec{Key: key, ContentType: "audio/x-flac", Disposition: disposition}), nil, nil)
	if !bytes.Equal(a.body, content) {
		t.Errorf("got %d other bytes", len(a.body))
	}
	t.diff("the content type", a.header.Get("Content-Type"), "audio/x-flac")
	t.diff("the content disposition", a.header.Get("Content-Disposition"), disposition)

	object, err := t.Backend.Head(t.Context(), key, "")
	if err != nil {
		t.Fatal(err)
	}
	a = t.mustSend(http.MethodGet, t.signGet(track.GetSpec{Key: key, VersionID: object.VersionID}), nil, nil)
	if !bytes.Equal(a.body, content) {
		t.Errorf("the version has %d other bytes", len(a.body))
	}

	a = t.mustSend(http.MethodHead, t.signGet(track.GetSpec{Key: key, Head: true}), nil, nil)
	if a.header.Get("Content-Length") != "10000" {
		t.Errorf("HEAD: %v", a.header)
	}
}

func testGetRefused(t *trial) {
	key, other := newKey(), newKey()
	t.create(key, random(100))
	t.create(other, random(100))
	signed := t.signGet(track.GetSpec{Key: key, Disposition: "attachment"})
	for name, a := range map[string]answer{
		"another key":         t.send(http.MethodGet, strings.Replace(signed, key, other, 1), nil, nil),
		"a changed signature": t.send(http.MethodGet, changeSignature(signed), nil, nil),
		"no signature":        t.send(http.MethodGet, dropQuery(signed), nil, nil),
		"another disposition": t.send(http.MethodGet, strings.Replace(signed, "=attachment", "=inline", 1), nil, nil),
		"a PUT":               t.send(http.MethodPut, signed, map[string]string{"If-None-Match": "*"}, random(100)),
		"a DELETE":            t.send(http.MethodDelete, signed, nil, nil),
	} {
		t.wantRefused(name, a, http.StatusForbidden, http.StatusMethodNotAllowed)
	}
	t.wantRefused("an absent key", t.send(http.MethodGet, t.signGet(track.GetSpec{Key: newKey()}), nil, nil), http.StatusNotFound)
}

func testGetRange(t *trial) {
	key, content := newKey(), random(1000)
	t.create(key, content)
	url := t.signGet(track.GetSpec{Key: key})
	for asked, want := range map[string][]byte{
		"bytes=0-0":      content[:1],
		"bytes=0-99":     content[:100],
		"bytes=500-599":  content[500:600],
		"bytes=999-":     content[999:],
		"bytes=-10":      content[990:],
		"bytes=900-5000": content[900:],
		"bytes=-5000":    content,
	} {
		a := t.send(http.MethodGet, url, map[string]string{"Range": asked}, nil)
		if a.status != http.StatusPartialContent || !bytes.Equal(a.body, want) || a.header.Get("Content-Range") == "" {
			t.Errorf("%s: answered %d with %d bytes, Content-Range %q", asked, a.status, len(a.body), a.header.Get("Content-Range"))
		}
	}
	a := t.send(http.MethodGet, url, map[string]string{"Range": "bytes=1000-"}, nil)
	t.wantRefused("a range beyond the end", a, http.StatusRequestedRangeNotSatisfiable)
}

// testExpiry waits for what lasts a second.
func testExpiry(t *trial) {
	key, content := newKey(), random(10)
	t.create(key, content)
	put := track.PutSpec{Key: newKey(), Size: 10, ContentType: flac, TTL: time.Second}
	id, err := t.Backend.CreateMultipart(t.Context(), put.Key, flac, nil)
	if err != nil {
		t.Fatal(err)
	}
	part, err := t.Backend.SignPart(t.Context(), track.PartSpec{Key: put.Key, MultipartID: id, Number: 1, TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	get := t.signGet(track.GetSpec{Key: key, TTL: time.Second})
	signed := t.signPut(put)
	form, err := t.Backend.SignPost(t.Context(), put)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2100 * time.Millisecond)
	t.wantRefused("an old GET", t.send(http.MethodGet, get, nil, nil), http.StatusForbidden)
	t.wantRefused("an old PUT", t.send(http.MethodPut, signed.URL, signed.Headers, content), http.StatusForbidden)
	t.wantRefused("an old part", t.send(http.MethodPut, part.URL, part.Headers, content), http.StatusForbidden)
	t.wantRefused("an old form", t.post(form.URL, form.Fields, content), http.StatusForbidden)
	t.wantAbsent("after old requests", put.Key)
}

func testCORS(t *trial) {
	content := random(100)
	sum := checksum(track.CRC64NVME, content)
	key := newKey()
	signed := t.signPut(track.PutSpec{Key: key, Size: 100, ContentType: flac, Checksum: &sum})
	ask := func(origin string) answer {
		return t.send(http.MethodOptions, signed.URL, map[string]string{
			"Origin":                         origin,
			"Access-Control-Request-Method":  "PUT",
			"Access-Control-Request-Headers": "content-type,if-none-match,x-amz-checksum-crc64nvme",
		}, nil)
	}
	a := ask(t.Origin)
	if !a.ok() || a.header.Get("Access-Control-Allow-Origin") != t.Origin {
		t.Errorf("a preflight is answered with %d, %v", a.status, a.header)
	}
	for _, name := range []string{"content-type", "if-none-match", "x-amz-checksum-crc64nvme"} {
		if !strings.Contains(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), name) {
			t.Errorf("the header %s is not allowed: %v", name, a.header)
		}
	}
	if a := ask("https://elsewhere.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin is allowed: %v", a.header)
	}

	a = t.mustSend(http.MethodPut, signed.URL, with(signed.Headers, "Origin", t.Origin), content)
	if a.header.Get("Access-Control-Allow-Origin") != t.Origin || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "ETag") {
		t.Errorf("a page cannot read the answer's ETag: %v", a.header)
	}
	a = t.mustSend(http.MethodGet, t.signGet(track.GetSpec{Key: key}), map[string]string{"Origin": "null", "Range": "bytes=0-1"}, nil)
	if a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Content-Range") {
		t.Errorf("a page that was sent here from another origin cannot read the file: %v", a.header)
	}
}
