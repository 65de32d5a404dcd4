package storetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

func (b *bench) createMultipart(key string) string {
	b.t.Helper()
	id, err := b.Backend.CreateMultipart(b.ctx(), key, flac)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

func (b *bench) signPart(key, id string, number int32) string {
	b.t.Helper()
	url, err := b.Backend.SignPart(b.ctx(), key, id, number, time.Minute)
	if err != nil {
		b.t.Fatal(err)
	}
	return url
}

// putPart sends a part as a browser does, and returns it as the browser knows it.
func (b *bench) putPart(key, id string, number int32, content []byte) track.Part {
	b.t.Helper()
	a := b.mustSend(http.MethodPut, b.signPart(key, id, number), nil, content)
	etag := a.header.Get("ETag")
	if etag == "" {
		b.t.Error("the answer on a part has no ETag")
	}
	return track.Part{Number: number, ETag: strings.Trim(etag, `"`), Size: int64(len(content))}
}

func (b *bench) listParts(key, id string) []track.Part {
	b.t.Helper()
	parts, err := b.Backend.ListParts(b.ctx(), key, id)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range parts {
		parts[i].Checksum = nil // for backends to tell or not
	}
	return parts
}

func (b *bench) wantMultiparts(prefix string, ids ...string) {
	b.t.Helper()
	var got []string
	for m, err := range b.Backend.ListMultiparts(b.ctx(), prefix) {
		if err != nil {
			b.t.Fatal(err)
		}
		if age := time.Since(m.Started); age > time.Hour || age < -time.Minute {
			b.t.Errorf("an upload was started at %s", m.Started)
		}
		if !strings.HasPrefix(m.Key, prefix) {
			b.t.Errorf("the key %q has not the prefix %q", m.Key, prefix)
		}
		got = append(got, m.ID)
	}
	slices.Sort(got)
	b.diff("multipart uploads", got, slices.Sorted(slices.Values(ids)))
}

func testMultipart(t *testing.T, b *bench) {
	key, content := newKey(), random(track.MinPartSize+track.MinPartSize+3)
	first, second, third := content[:track.MinPartSize], content[track.MinPartSize:2*track.MinPartSize], content[2*track.MinPartSize:]
	id := b.createMultipart(key)
	if parts := b.listParts(key, id); len(parts) != 0 {
		t.Errorf("a new upload has the parts %v", parts)
	}
	b.wantMultiparts("uploads/", id)
	b.wantMultiparts("tracks/")

	p3 := b.putPart(key, id, 3, third)
	p1 := b.putPart(key, id, 1, random(100))
	p2 := b.putPart(key, id, 2, second)
	stale := p1
	p1 = b.putPart(key, id, 1, first)
	if p1.ETag == stale.ETag {
		t.Error("other bytes have the same ETag")
	}
	want := []track.Part{p1, p2, p3}
	b.diff("the parts", b.listParts(key, id), want)
	b.wantAbsent("before completion", key)

	quoted := slices.Clone(want)
	quoted[1].ETag = `"` + quoted[1].ETag + `"` // clients have them both ways
	if err := b.Backend.CompleteMultipart(b.ctx(), key, id, int64(len(content)), quoted); err != nil {
		t.Fatal(err)
	}
	object := b.wantStored(key, content)
	if _, known := object.Checksum(track.CRC64NVME); !known || object.ContentType != flac {
		t.Errorf("head says %+v", object)
	}
	b.wantMultiparts("")

	err := b.Backend.CompleteMultipart(b.ctx(), key, id, int64(len(content)), want)
	if err != nil {
		b.wantError("a second completion", err, track.ErrExists, track.ErrNotFound)
	}
	b.wantStored(key, content)
}

func testMultipartRefused(t *testing.T, b *bench) {
	key, content := newKey(), random(track.MinPartSize+100)
	first, second := content[:track.MinPartSize], content[track.MinPartSize:]
	id := b.createMultipart(key)
	p1 := b.putPart(key, id, 1, first)
	p2 := b.putPart(key, id, 2, second)
	p4 := b.putPart(key, id, 4, second)

	wrong := p1
	wrong.ETag = p2.ETag
	absent := p2
	absent.Number = 3
	for _, test := range []struct {
		name  string
		size  int64
		parts []track.Part
	}{
		{"no parts", 0, nil},
		{"an ETag of another part", 0, []track.Part{wrong, p2}},
		{"a part that never came", 0, []track.Part{p1, absent}},
		{"the wrong order", 0, []track.Part{p2, p1}},
		{"a part twice", 0, []track.Part{p1, p1}},
		{"a small part before the last", 0, []track.Part{p1, p2, p4}},
		{"another size", 17, []track.Part{p1, p2}},
	} {
		err := b.Backend.CompleteMultipart(b.ctx(), key, id, test.size, test.parts)
		b.wantError(test.name, err, track.ErrInvalidParts)
		b.wantAbsent(test.name, key)
	}

	url := b.signPart(key, id, 1)
	other := newKey()
	for name, a := range map[string]answer{
		"a changed signature": b.send(http.MethodPut, changeSignature(url), nil, second),
		"no signature":        b.send(http.MethodPut, dropQuery(url), nil, second),
		"another key":         b.send(http.MethodPut, strings.Replace(url, key, other, 1), nil, second),
		"another method":      b.send(http.MethodDelete, url, nil, nil),
	} {
		b.wantRefused(name, a)
	}
	b.wantRefused("a part of an upload of another key", b.send(http.MethodPut, b.signPart(other, id, 1), nil, second), http.StatusNotFound)
	b.diff("the parts", b.listParts(key, id), []track.Part{p1, p2, p4})

	if err := b.Backend.CompleteMultipart(b.ctx(), key, id, 0, []track.Part{p1, p2}); err != nil {
		t.Fatal(err)
	}
	b.wantStored(key, content)
}

func testMultipartCutOff(t *testing.T, b *bench) {
	key, content := newKey(), random(2_000_000)
	id := b.createMultipart(key)
	for n, sent := range []int{0, 1000, len(content) - 1} {
		b.sendCutOff(b.signPart(key, id, int32(n)+1), nil, content, sent)
	}
	if parts := b.listParts(key, id); len(parts) != 0 {
		t.Errorf("parts that were cut off are listed: %v", parts)
	}
	whole := b.putPart(key, id, 1, content)
	b.sendCutOff(b.signPart(key, id, 1), nil, random(len(content)), 1000)
	b.diff("the parts", b.listParts(key, id), []track.Part{whole})
	if err := b.Backend.CompleteMultipart(b.ctx(), key, id, int64(len(content)), []track.Part{whole}); err != nil {
		t.Fatal(err)
	}
	b.wantStored(key, content)
}

func testMultipartAbort(t *testing.T, b *bench) {
	key := newKey()
	id, kept := b.createMultipart(key), b.createMultipart(key)
	part := b.putPart(key, id, 1, random(100))
	url := b.signPart(key, id, 2)
	for range 2 {
		if err := b.Backend.AbortMultipart(b.ctx(), key, id); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.Backend.ListParts(b.ctx(), key, id)
	b.wantError("listing an aborted upload", err, track.ErrNotFound)
	err = b.Backend.CompleteMultipart(b.ctx(), key, id, 0, []track.Part{part})
	b.wantError("completing an aborted upload", err, track.ErrNotFound)
	b.wantRefused("a part of an aborted upload", b.send(http.MethodPut, url, nil, random(100)), http.StatusNotFound)
	b.wantMultiparts("", kept)
	b.wantAbsent("after an abort", key)
	if err := b.Backend.AbortMultipart(b.ctx(), key, "no-such-upload"); err != nil {
		t.Error("aborting what never was:", err)
	}
	_, err = b.Backend.ListParts(b.ctx(), key, "no-such-upload")
	b.wantError("listing what never was", err, track.ErrNotFound)
}

func testMultipartTaken(t *testing.T, b *bench) {
	key, content := newKey(), random(100)
	id := b.createMultipart(key)
	part := b.putPart(key, id, 1, random(200))
	b.create(key, content)
	err := b.Backend.CompleteMultipart(b.ctx(), key, id, 200, []track.Part{part})
	b.wantError("completing onto a key that is taken", err, track.ErrExists)
	b.wantStored(key, content)
}

func testManyParts(t *testing.T, b *bench) {
	const many = 1003 // more than one page
	key := newKey()
	id := b.createMultipart(key)
	want := make([]track.Part, many)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range want {
		group.Go(func() error {
			number, content := int32(i)+1, fmt.Append(nil, i)
			url, err := b.Backend.SignPart(b.ctx(), key, id, number, time.Minute)
			if err != nil {
				return err
			}
			a, err := b.request(http.MethodPut, url, nil, content)
			want[i] = track.Part{Number: number, ETag: strings.Trim(a.header.Get("ETag"), `"`), Size: int64(len(content))}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	b.diff("the parts", b.listParts(key, id), want)
}

func testManyMultiparts(t *testing.T, b *bench) {
	const many = 1003 // more than one page
	want := make([]string, many)
	key := newKey()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range want {
		group.Go(func() error {
			k := newKey()
			if i < 3 {
				k = key // several of one key
			}
			var err error
			want[i], err = b.Backend.CreateMultipart(b.ctx(), k, flac)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	b.wantMultiparts("uploads/", want...)
	b.wantMultiparts(key, want[:3]...)
}
