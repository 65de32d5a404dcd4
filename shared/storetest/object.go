package storetest

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

func testKeys(t *testing.T, b *bench) {
	content := random(100)
	keys := []string{
		"uploads/a b/take 3 (final).flac",
		"uploads/plus+and/100%.flac",
		"uploads/percent/%20%2F%00.flac",
		"uploads/marks/#?&=;:@,'\"<>[]{}|^`~$!*.flac",
		"uploads/unicode/na\u00efve caf\u00e9 \U0001F3B5.flac",
		"uploads/unicode/nai\u0308ve cafe\u0301.flac",
		"uploads/" + strings.Repeat("x", 200) + "/" + strings.Repeat("y", 200) + ".flac",
		"uploads/dots/...flac",
	}
	for _, key := range keys {
		signed := b.signPut(track.PutSpec{Key: key, Size: int64(len(content)), ContentType: flac})
		b.mustSend(http.MethodPut, signed.URL, signed.Headers, content)
		b.wantStored(key, content)
		if a := b.mustSend(http.MethodGet, b.signGet(track.GetSpec{Key: key}), nil, nil); !bytes.Equal(a.body, content) {
			t.Errorf("%q: got %d other bytes", key, len(a.body))
		}
	}
	b.wantKeys("uploads/", keys...)
	for _, key := range keys {
		if err := b.Backend.Delete(b.ctx(), key); err != nil {
			t.Error(err)
		}
	}
	b.wantKeys("uploads/")
}

// wantKeys checks what List yields, in any order.
func (b *bench) wantKeys(prefix string, keys ...string) {
	b.t.Helper()
	var got []string
	for object, err := range b.Backend.List(b.ctx(), prefix) {
		if err != nil {
			b.t.Fatal(err)
		}
		got = append(got, object.Key)
	}
	slices.Sort(got)
	b.diff("keys under "+prefix, got, slices.Sorted(slices.Values(keys)))
}

func testCreate(t *testing.T, b *bench) {
	key, content := newKey(), random(200_000)
	create := func(sum uint64, content []byte) error {
		_, err := b.Backend.Create(b.ctx(), key, flac, sum, bytes.NewReader(content), int64(len(content)))
		return err
	}
	b.wantError("bytes that do not fit the sum", create(1, content), track.ErrMismatch)
	b.wantAbsent("after a mismatch", key)

	created := b.create(key, content)
	object := b.wantStored(key, content)
	created.ModTime = object.ModTime // not every backend knows it yet
	b.diff("what Create and Head say", created, object)

	other := random(100)
	b.wantError("a key that is taken", create(crc64nvme.Checksum(other), other), track.ErrExists)
	b.wantError("a key that is taken by the same", create(crc64nvme.Checksum(content), content), track.ErrExists)
	b.wantStored(key, content)
}

// testCreateAtOnce has several workers copy the same file, as after a lease that ran out.
func testCreateAtOnce(t *testing.T, b *bench) {
	key, content := newKey(), random(50_000)
	errs := make([]error, 8)
	var workers errgroup.Group
	for i := range errs {
		workers.Go(func() error {
			_, errs[i] = b.Backend.Create(b.ctx(), key, flac, crc64nvme.Checksum(content), bytes.NewReader(content), int64(len(content)))
			return nil
		})
	}
	_ = workers.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else {
			b.wantError("a worker", err, track.ErrExists)
		}
	}
	if created == 0 {
		t.Error("no worker created the object")
	}
	b.wantStored(key, content)
}

func testAbsent(t *testing.T, b *bench) {
	key := newKey()
	b.wantAbsent("a key that never was", key)
	_, err := b.Backend.Open(b.ctx(), key, "", 0, -1)
	b.wantError("opening an absent key", err, track.ErrNotFound)
	_, err = b.Backend.Open(b.ctx(), key, "", 5, 10)
	b.wantError("opening a range of an absent key", err, track.ErrNotFound)
	if err := b.Backend.Delete(b.ctx(), key); err != nil {
		t.Error("deleting an absent key:", err)
	}
	b.wantKeys("uploads/")
	b.wantMultiparts("")
}

func testOpen(t *testing.T, b *bench) {
	key, content := newKey(), random(1000)
	version := b.create(key, content).VersionID
	for _, test := range []struct {
		offset, length int64
		want           []byte
	}{
		{0, -1, content}, {0, 1000, content}, {0, 5000, content}, {0, 16, content[:16]}, {0, 0, nil},
		{990, -1, content[990:]}, {990, 5, content[990:995]}, {990, 50, content[990:]}, {999, 1, content[999:]},
		{1000, -1, nil}, {1000, 10, nil}, {5000, 10, nil},
	} {
		for _, v := range []string{"", version} {
			if got := b.read(key, v, test.offset, test.length); !bytes.Equal(got, test.want) {
				t.Errorf("from %d, %d bytes: got %d bytes, want %d", test.offset, test.length, len(got), len(test.want))
			}
		}
	}
}

func testDelete(t *testing.T, b *bench) {
	// Keys that begin alike, and one that was written twice where the backend lets a form do so.
	stem := strings.TrimSuffix(newKey(), ".flac")
	key, longer, shorter := stem+".flac", stem+".flac2", stem
	for _, k := range []string{longer, shorter} {
		b.create(k, random(10))
	}
	form := b.signPost(track.PutSpec{Key: key, MaxSize: 10, ContentType: flac})
	var versions []string
	for range 2 {
		if a := b.post(form.URL, form.Fields, random(10)); !a.ok() && a.status != http.StatusPreconditionFailed {
			t.Fatalf("answered %d: %s", a.status, a.body)
		}
		object, err := b.Backend.Head(b.ctx(), key, "")
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, object.VersionID)
	}
	for range 2 {
		if err := b.Backend.Delete(b.ctx(), key); err != nil {
			t.Fatal(err)
		}
		b.wantAbsent("after Delete", key)
		for _, v := range versions {
			_, err := b.Backend.Head(b.ctx(), key, v)
			b.wantError("a version after Delete", err, track.ErrNotFound)
		}
	}
	b.wantKeys("uploads/", longer, shorter)
}

func testList(t *testing.T, b *bench) {
	const many = 1003 // more than one page
	want := make([]string, many)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range want {
		want[i] = fmt.Sprintf("uploads/%d/%04d.flac", i%7, i)
		group.Go(func() error {
			content := []byte("a track")
			_, err := b.Backend.Create(b.ctx(), want[i], flac, crc64nvme.Checksum(content), bytes.NewReader(content), int64(len(content)))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	b.create("tracks/elsewhere.flac", []byte("another"))
	b.wantKeys("uploads/", want...)
	b.wantKeys("uploads/3/0", slices.DeleteFunc(slices.Clone(want), func(k string) bool { return !strings.HasPrefix(k, "uploads/3/0") })...)
	b.wantKeys("tracks/", "tracks/elsewhere.flac")
	b.wantKeys("nothing/")
	b.wantKeys("", append(want, "tracks/elsewhere.flac")...)

	seen := 0
	for object, err := range b.Backend.List(b.ctx(), "uploads/") {
		if err != nil || object.Size != 7 || object.ModTime.IsZero() {
			t.Fatalf("got %+v, %v", object, err)
		}
		if seen++; seen == 5 {
			break
		}
	}
	if seen != 5 {
		t.Errorf("stopped after %d objects", seen)
	}
}
