package storetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

func (t *trial) createMultipart(key string) string {
	t.Helper()
	id, err := t.Backend.CreateMultipart(t.Context(), key, flac, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (t *trial) signPart(key, id string, number int32) string {
	t.Helper()
	signed, err := t.Backend.SignPart(t.Context(), track.PartSpec{Key: key, MultipartID: id, Number: number, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return signed.URL
}

// putPart sends a part as a browser does, and returns it as the browser knows it.
func (t *trial) putPart(key, id string, number int32, content []byte) track.Part {
	t.Helper()
	a := t.mustSend(http.MethodPut, t.signPart(key, id, number), nil, content)
	etag := a.header.Get("ETag")
	if etag == "" {
		t.Error("the answer on a part has no ETag")
	}
	return track.Part{Number: number, ETag: strings.Trim(etag, `"`), Size: int64(len(content))}
}

func (t *trial) listParts(key, id string) []track.Part {
	t.Helper()
	parts, err := t.Backend.ListParts(t.Context(), key, id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range parts {
		parts[i].Checksum = nil // for backends to tell or not
	}
	return parts
}

func (t *trial) wantMultiparts(prefix string, ids ...string) {
	t.Helper()
	var got []string
	for m, err := range t.Backend.ListMultiparts(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(m.Started); age > time.Hour || age < -time.Minute {
			t.Errorf("an upload was started at %s", m.Started)
		}
		if !strings.HasPrefix(m.Key, prefix) {
			t.Errorf("the key %q has not the prefix %q", m.Key, prefix)
		}
		got = append(got, m.ID)
	}
	slices.Sort(got)
	t.diff("multipart uploads", got, slices.Sorted(slices.Values(ids)))
}

func testMultipart(t *trial) {
	key, content := newKey(), random(track.MinPartSize+track.MinPartSize+3)
	first, second, third := content[:track.MinPartSize], content[track.MinPartSize:2*track.MinPartSize], content[2*track.MinPartSize:]
	id := t.createMultipart(key)
	if parts := t.listParts(key, id); len(parts) != 0 {
		t.Errorf("a new upload has the parts %v", parts)
	}
	t.wantMultiparts("uploads/", id)
	t.wantMultiparts("tracks/")

	p3 := t.putPart(key, id, 3, third)
	p1 := t.putPart(key, id, 1, random(100))
	p2 := t.putPart(key, id, 2, second)
	stale := p1
	p1 = t.putPart(key, id, 1, first)
	if p1.ETag == stale.ETag {
		t.Error("other bytes have the same ETag")
	}
	want := []track.Part{p1, p2, p3}
	t.diff("the parts", t.listParts(key, id), want)
	t.wantAbsent("before completion", key)

	quoted := slices.Clone(want)
	quoted[1].ETag = `"` + quoted[1].ETag + `"` // clients have them both ways
	if err := t.Backend.CompleteMultipart(t.Context(), key, id, int64(len(content)), quoted); err != nil {
		t.Fatal(err)
	}
	object := t.wantStored(key, content)
	if _, known := object.Checksum(track.CRC64NVME); !known || object.ContentType != flac {
		t.Errorf("head says %+v", object)
	}
	t.wantMultiparts("")

	err := t.Backend.CompleteMultipart(t.Context(), key, id, int64(len(content)), want)
	if err != nil {
		t.wantError("a second completion", err, track.ErrExists, track.ErrNotFound)
	}
	t.wantStored(key, content)
}

func testMultipartRefused(t *trial) {
	key, content := newKey(), random(track.MinPartSize+100)
	first, second := content[:track.MinPartSize], content[track.MinPartSize:]
	id := t.createMultipart(key)
	p1 := t.putPart(key, id, 1, first)
	p2 := t.putPart(key, id, 2, second)
	p4 := t.putPart(key, id, 4, second)

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
		err := t.Backend.CompleteMultipart(t.Context(), key, id, test.size, test.parts)
		t.wantError(test.name, err, track.ErrInvalidParts)
		t.wantAbsent(test.name, key)
	}

	url := t.signPart(key, id, 1)
	other := newKey()
	for name, a := range map[string]answer{
		"a changed signature": t.send(http.MethodPut, changeSignature(url), nil, second),
		"no signature":        t.send(http.MethodPut, dropQuery(url), nil, second),
		"another key":         t.send(http.MethodPut, strings.Replace(url, key, other, 1), nil, second),
		"another method":      t.send(http.MethodDelete, url, nil, nil),
	} {
		t.wantRefused(name, a)
	}
	t.wantRefused("a part of an upload of another key", t.send(http.MethodPut, t.signPart(other, id, 1), nil, second), http.StatusNotFound)
	t.diff("the parts", t.listParts(key, id), []track.Part{p1, p2, p4})

	if err := t.Backend.CompleteMultipart(t.Context(), key, id, 0, []track.Part{p1, p2}); err != nil {
		t.Fatal(err)
	}
	t.wantStored(key, content)
}

// A part's URL binds its length, and its checksum where one is declared.
func testPartsBindWhatIsDeclared(t *trial) {
	key, content := newKey(), random(track.MinPartSize+100)
	pieces := [][]byte{content[:track.MinPartSize], content[track.MinPartSize:]}
	id := t.createMultipart(key)
	var named []track.Part
	for i, piece := range pieces {
		spec := track.PartSpec{Key: key, MultipartID: id, Number: int32(i) + 1, Size: int64(len(piece)), TTL: time.Minute}
		plain, err := t.Backend.SignPart(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		sum := checksum(track.CRC64NVME, piece)
		spec.Checksum = &sum
		bound, err := t.Backend.SignPart(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		damaged := append([]byte{piece[0] ^ 1}, piece[1:]...)
		other := with(bound.Headers, track.CRC64NVME.Header(), checksum(track.CRC64NVME, damaged).Value)
		for name, a := range map[string]answer{
			"a longer part":            t.send(http.MethodPut, plain.URL, plain.Headers, append(piece[:len(piece):len(piece)], 0)),
			"a shorter part":           t.send(http.MethodPut, plain.URL, plain.Headers, piece[1:]),
			"a longer part, bound":     t.send(http.MethodPut, bound.URL, bound.Headers, append(piece[:len(piece):len(piece)], 0)),
			"a damaged part":           t.send(http.MethodPut, bound.URL, bound.Headers, damaged),
			"a damaged part that fits": t.send(http.MethodPut, bound.URL, other, damaged),
			"a part without checksum":  t.send(http.MethodPut, bound.URL, nil, piece),
		} {
			t.wantRefused(name, a)
		}
		signed := []track.SignedPut{plain, bound}[i] // an upload may have parts of both kinds
		a := t.mustSend(http.MethodPut, signed.URL, signed.Headers, piece)
		named = append(named, track.Part{Number: spec.Number, ETag: strings.Trim(a.header.Get("ETag"), `"`), Size: spec.Size})
	}
	t.diff("the parts", t.listParts(key, id), named)
	received, err := t.Backend.ListParts(t.Context(), key, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := t.Backend.CompleteMultipart(t.Context(), key, id, int64(len(content)), received); err != nil {
		t.Fatal(err)
	}
	t.wantStored(key, content)
}

func testMultipartCutOff(t *trial) {
	key, content := newKey(), random(2_000_000)
	id := t.createMultipart(key)
	for n, sent := range []int{0, 1000, len(content) - 1} {
		t.sendCutOff(t.signPart(key, id, int32(n)+1), nil, content, sent)
	}
	if parts := t.listParts(key, id); len(parts) != 0 {
		t.Errorf("parts that were cut off are listed: %v", parts)
	}
	whole := t.putPart(key, id, 1, content)
	t.sendCutOff(t.signPart(key, id, 1), nil, random(len(content)), 1000)
	t.diff("the parts", t.listParts(key, id), []track.Part{whole})
	if err := t.Backend.CompleteMultipart(t.Context(), key, id, int64(len(content)), []track.Part{whole}); err != nil {
		t.Fatal(err)
	}
	t.wantStored(key, content)
}

func testMultipartAbort(t *trial) {
	key := newKey()
	id, kept := t.createMultipart(key), t.createMultipart(key)
	part := t.putPart(key, id, 1, random(100))
	url := t.signPart(key, id, 2)
	for range 2 {
		if err := t.Backend.AbortMultipart(t.Context(), key, id); err != nil {
			t.Fatal(err)
		}
	}
	_, err := t.Backend.ListParts(t.Context(), key, id)
	t.wantError("listing an aborted upload", err, track.ErrNotFound)
	err = t.Backend.CompleteMultipart(t.Context(), key, id, 0, []track.Part{part})
	t.wantError("completing an aborted upload", err, track.ErrNotFound)
	t.wantRefused("a part of an aborted upload", t.send(http.MethodPut, url, nil, random(100)), http.StatusNotFound)
	t.wantMultiparts("", kept)
	t.wantAbsent("after an abort", key)
	if err := t.Backend.AbortMultipart(t.Context(), key, "no-such-upload"); err != nil {
		t.Error("aborting what never was:", err)
	}
	_, err = t.Backend.ListParts(t.Context(), key, "no-such-upload")
	t.wantError("listing what never was", err, track.ErrNotFound)
}

func testMultipartTaken(t *trial) {
	key, content := newKey(), random(100)
	id := t.createMultipart(key)
	part := t.putPart(key, id, 1, random(200))
	t.create(key, content)
	err := t.Backend.CompleteMultipart(t.Context(), key, id, 200, []track.Part{part})
	t.wantError("completing onto a key that is taken", err, track.ErrExists)
	t.wantStored(key, content)
}

func testManyParts(t *trial) {
	const many = 1003 // more than one page
	key := newKey()
	id := t.createMultipart(key)
	want := make([]track.Part, many)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range want {
		group.Go(func() error {
			number, content := int32(i)+1, fmt.Append(nil, i)
			signed, err := t.Backend.SignPart(t.Context(), track.PartSpec{Key: key, MultipartID: id, Number: number, TTL: time.Minute})
			if err != nil {
				return err
			}
			a, err := t.request(http.MethodPut, signed.URL, signed.Headers, content)
			want[i] = track.Part{Number: number, ETag: strings.Trim(a.header.Get("ETag"), `"`), Size: int64(len(content))}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.diff("the parts", t.listParts(key, id), want)
}
