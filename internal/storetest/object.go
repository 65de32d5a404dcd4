package storetest

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

func testKeys(t *trial) {
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
		signed := t.signPut(track.PutSpec{Key: key, Size: int64(len(content)), ContentType: flac})
		t.mustSend(http.MethodPut, signed.URL, signed.Headers, content)
		t.wantStored(key, content)
		if a := t.mustSend(http.MethodGet, t.signGet(track.GetSpec{Key: key}), nil, nil); !bytes.Equal(a.body, content) {
			t.Errorf("%q: got %d other bytes", key, len(a.body))
		}
	}
	t.wantKeys("uploads/", keys...)
	for _, key := range keys {
		if err := t.Backend.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	t.wantKeys("uploads/")
}

// wantKeys checks what List yields, in any order.
func (t *trial) wantKeys(prefix string, keys ...string) {
	t.Helper()
	var got []string
	for object, err := range t.Backend.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, object.Key)
	}
	slices.Sort(got)
	t.diff("keys under "+prefix, got, slices.Sorted(slices.Values(keys)))
}

func testCreate(t *trial) {
	key, content := newKey(), random(200_000)
	create := func(sum uint64, content []byte) error {
		spec := specOf(key, content)
		spec.Digest.CRC64NVME = sum
		_, err := t.Backend.Create(t.Context(), spec, bytes.NewReader(content))
		return err
	}
	t.wantError("bytes that do not fit the sum", create(1, content), track.ErrMismatch)
	t.wantAbsent("after a mismatch", key)

	created := t.create(key, content)
	object := t.wantStored(key, content)
	created.ModTime = object.ModTime // not every backend knows it yet
	t.diff("what Create and Head say", created, object)

	other := random(100)
	t.wantError("a key that is taken", create(crc64nvme.Checksum(other), other), track.ErrExists)
	t.wantError("a key that is taken by the same", create(crc64nvme.Checksum(content), content), track.ErrExists)
	t.wantStored(key, content)
}

// testCreateAtOnce has several workers copy the same file, as after a lease that ran out.
func testCreateAtOnce(t *trial) {
	key, content := newKey(), random(50_000)
	errs := make([]error, 8)
	var workers errgroup.Group
	for i := range errs {
		workers.Go(func() error {
			_, errs[i] = t.Backend.Create(t.Context(), specOf(key, content), bytes.NewReader(content))
			return nil
		})
	}
	_ = workers.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else {
			t.wantError("a worker", err, track.ErrExists)
		}
	}
	if created == 0 {
		t.Error("no worker created the object")
	}
	t.wantStored(key, content)
}

func testAbsent(t *trial) {
	key := newKey()
	t.wantAbsent("a key that never was", key)
	_, err := t.Backend.Open(t.Context(), key, "", 0, -1)
	t.wantError("opening an absent key", err, track.ErrNotFound)
	_, err = t.Backend.Open(t.Context(), key, "", 5, 10)
	t.wantError("opening a range of an absent key", err, track.ErrNotFound)
	if err := t.Backend.Delete(t.Context(), key); err != nil {
		t.Error("deleting an absent key:", err)
	}
	t.wantKeys("uploads/")
	t.wantMultiparts("")
}

func testOpen(t *trial) {
	key, content := newKey(), random(1000)
	version := t.create(key, content).VersionID
	for _, test := range []struct {
		offset, length int64
		want           []byte
	}{
		{0, -1, content}, {0, 1000, content}, {0, 5000, content}, {0, 16, content[:16]}, {0, 0, nil},
		{990, -1, content[990:]}, {990, 5, content[990:995]}, {990, 50, content[990:]}, {999, 1, content[999:]},
		{1000, -1, nil}, {1000, 10, nil}, {5000, 10, nil},
	} {
		for _, v := range []string{"", version} {
			if got := t.read(key, v, test.offset, test.length); !bytes.Equal(got, test.want) {
				t.Errorf("from %d, %d bytes: got %d bytes, want %d", test.offset, test.length, len(got), len(test.want))
			}
		}
	}
}

func testDelete(t *trial) {
	// Keys that begin alike, and one that was written twice where the backend lets a form do so.
	stem := strings.TrimSuffix(newKey(), ".flac")
	key, longer, shorter := stem+".flac", stem+".flac2", stem
	for _, k := range []string{longer, shorter} {
		t.create(k, random(10))
	}
	form := t.signPost(track.PutSpec{Key: key, MaxSize: 10, ContentType: flac})
	var versions []string
	for range 2 {
		if a := t.post(form.URL, form.Fields, random(10)); !a.ok() && a.status != http.StatusPreconditionFailed {
			t.Fatalf("answered %d: %s", a.status, a.body)
		}
		object, err := t.Backend.Head(t.Context(), key, "")
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, object.VersionID)
	}
	for range 2 {
		if err := t.Backend.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		t.wantAbsent("after Delete", key)
		for _, v := range versions {
			_, err := t.Backend.Head(t.Context(), key, v)
			t.wantError("a version after Delete", err, track.ErrNotFound)
		}
	}
	t.wantKeys("uploads/", longer, shorter)
}

func testList(t *trial) {
	const many = 1003 // more than one page
	want := make([]string, many)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range want {
		want[i] = fmt.Sprintf("uploads/%d/%04d.flac", i%7, i)
		group.Go(func() error {
			content := []byte("a track")
			_, err := t.Backend.Create(t.Context(), specOf(want[i], content), bytes.NewReader(content))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.create("tracks/elsewhere.flac", []byte("another"))
	t.wantKeys("uploads/", want...)
	t.wantKeys("uploads/3/0", slices.DeleteFunc(slices.Clone(want), func(k string) bool { return !strings.HasPrefix(k, "uploads/3/0") })...)
	t.wantKeys("tracks/", "tracks/elsewhere.flac")
	t.wantKeys("nothing/")
	t.wantKeys("", append(want, "tracks/elsewhere.flac")...)

	seen := 0
	for object, err := range t.Backend.List(t.Context(), "uploads/") {
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
