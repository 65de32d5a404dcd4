package upload_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

type lister interface {
	ListMultiparts(ctx context.Context, prefix string) iter.Seq2[track.Multipart, error]
}

// write makes a file of the storage without asking the API.
func (s *stage) write(key string, content []byte) {
	s.t.Helper()
	var err error
	if s.root == "" {
		_, err = s.bucket.Client().PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: &s.bucket.Name, Key: &key, Body: bytes.NewReader(content)})
	} else {
		path := filepath.Join(s.root, key)
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// multiparts counts what is under way on the backend.
func (s *stage) multiparts() (n int) {
	s.t.Helper()
	for _, err := range s.backend.(lister).ListMultiparts(s.t.Context(), track.UploadsPrefix) {
		if err != nil {
			s.t.Fatal(err)
		}
		n++
	}
	return n
}

// putPart sends a part and returns what complete takes of it.
func (s *stage) putPart(part answer, content []byte) answer {
	s.t.Helper()
	sent := s.sendPart(part, content)
	if sent.status != http.StatusOK {
		s.t.Fatalf("part: %d %s", sent.status, sent.body)
	}
	return answer{"part_number": part["part_number"], "etag": sent.header.Get("ETag")}
}

func (s *stage) sendPart(part answer, content []byte) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "PUT", part.str("url"), bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range part.obj("headers") {
		r.Header.Set(name, value.(string))
	}
	return send(s.t, r)
}

func cut(content []byte, size, number int) []byte {
	return content[(number-1)*size : min(number*size, len(content))]
}

// A CRC32C of the whole is the storage's own work, from what it has of each part: nothing is read for it, however large.
func TestTheStorageMakesTheCRC32COfParts(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := audiotest.WAV(200, 1) // two parts
	sum := func(b []byte) track.Checksum {
		value := binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		return track.Checksum{Algorithm: track.CRC32C, Value: base64.StdEncoding.EncodeToString(value)}
	}
	for _, c := range []struct {
		declared track.Checksum
		ofParts  bool
		want     string
	}{{sum(content), true, "stored"}, {sum(content), false, "stored"}, {sum(content[1:]), true, "failed"}} {
		o := s.open(len(content), "method", "multipart", "checksum", c.declared)
		parts, size := o.obj("multipart").list("parts"), int(o.obj("multipart")["part_size"].(float64))
		named := make([]answer, len(parts))
		for i, part := range parts {
			piece := cut(content, size, i+1)
			if c.ofParts {
				path := "/v1/uploads/" + o.str("upload_id") + "/parts"
				wanted := answer{"part_number": i + 1, "checksum": sum(piece).Value}
				part = s.call("POST", path, answer{"parts": []answer{wanted}}).want(200).list("parts")[0]
				damaged := bytes.Clone(piece)
				damaged[100] ^= 1
				if r := s.sendPart(part, damaged); r.status < 400 {
					t.Errorf("a damaged part: %d", r.status)
				}
				wanted["checksum"] = checksumOf(piece).Value
				s.call("POST", path, answer{"parts": []answer{wanted}}).refused(422, upload.InvalidRequest, "parts[0].checksum", "CRC32C")
			}
			named[i] = s.putPart(part, piece)
		}
		if done := s.complete(o, answer{"parts": named}).want(200); done["state"] != c.want {
			t.Errorf("%+v: %v", c, done)
		}
		key := s.sql("SELECT storage_key FROM track_uploads WHERE id = $1", o.str("upload_id"))
		head, err := s.bucket.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket.Name, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		if head.ChecksumType != types.ChecksumTypeFullObject || *head.ChecksumCRC32C != sum(content).Value {
			t.Errorf("the storage has a CRC32C of type %s", head.ChecksumType)
		}
	}
}

func TestAFileIsSentInParts(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(400, 1) // 33.6 MiB
		o := s.open(len(content), "method", "multipart")
		m := o.obj("multipart")
		size := int(m["part_size"].(float64))
		parts := m.list("parts")
		if size != 16<<20 || m["part_count"] != 3.0 || len(parts) != 3 || o["put"] != nil {
			t.Fatalf("opened: %v", o)
		}
		path := "/v1/uploads/" + o.str("upload_id")
		if got := s.call("GET", path, nil).want(200); len(got["parts"].([]any)) != 0 {
			t.Errorf("parts before: %v", got)
		}
		named := []answer{2: s.putPart(parts[2], cut(content, size, 3)), 0: s.putPart(parts[0], cut(content, size, 1))}
		// Interrupted: what is there is listed, and the rest signed anew.
		listed := s.call("GET", path, nil).want(200).list("parts")
		if len(listed) != 2 || listed[0]["part_number"] != 1.0 || listed[1]["part_number"] != 3.0 ||
			listed[1]["size"] != float64(len(content)-2*size) || strings.Contains(listed[0].str("etag"), `"`) {
			t.Errorf("parts: %v", listed)
		}
		again := s.call("POST", path+"/parts", answer{"part_numbers": []int{2}}).want(200).list("parts")
		if len(again) != 1 || again[0]["part_number"] != 2.0 {
			t.Fatalf("signed: %v", again)
		}
		s.complete(o, answer{"parts": []answer{named[0], named[2]}}).refused(422, upload.InvalidParts, fmt.Sprint(len(content)))
		named[1] = s.putPart(again[0], cut(content, size, 2))

		for _, c := range []struct {
			name string
			list []answer
			word string
		}{
			{"part twice", []answer{named[0], named[1], named[2], named[1]}, "part 2"},
			{"unknown part", []answer{named[0], named[1], {"part_number": 9, "etag": "x"}}, "part 9"},
			{"other etag", []answer{named[0], {"part_number": 2, "etag": named[0]["etag"]}, named[2]}, "part 2"},
			{"other size", []answer{named[0], {"part_number": 2, "etag": named[1]["etag"], "size": 3}, named[2]}, "part 2"},
		} {
			t.Log(c.name)
			s.complete(o, answer{"parts": c.list}).refused(422, upload.InvalidParts, c.word)
		}
		for _, body := range []any{nil, `{}`, `{"parts":[]}`, `{"parts":null}`, `{"parts":[1]}`, `{"parts":[{"part_number":1}]}`,
			`{"parts":[{"part_number":0,"etag":"x"}]}`, `{"parts":[{"part_number":10001,"etag":"x"}]}`, `{"parts":[{"part_number":"1","etag":"x"}]}`} {
			s.complete(o, body).refused(422, upload.InvalidRequest, "parts")
		}
		if got := s.call("GET", path, nil).want(200); got["state"] != "pending" {
			t.Errorf("after refused lists: %v", got)
		}

		// In any order, with quotes or without.
		named[0]["etag"] = strings.Trim(named[0].str("etag"), `"`)
		for _, list := range [][]answer{{named[2], named[0], named[1]}, {named[0]}} {
			if done := s.complete(o, answer{"parts": list}).want(200); done["state"] != "stored" {
				t.Fatalf("complete: %v", done)
			}
		}
		if got := s.audio(o.str("track_id")); !bytes.Equal(got.body, content) {
			t.Errorf("the audio has %d other bytes", len(got.body))
		}
		s.call("POST", path+"/parts", answer{"part_numbers": []int{1}}).refused(409, upload.AlreadyStored)
		s.call("DELETE", path, nil).refused(409, upload.AlreadyStored)
		if n := s.multiparts(); n != 0 {
			t.Errorf("%d multipart uploads are left", n)
		}
	})
}

func TestPartSizes(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *upload.Config) { c.Limits.MaxBytes = 5 << 40 })
	for _, c := range []struct{ size, partSize, count, signed int }{
		{1, 16 << 20, 1, 1},
		{16 << 20, 16 << 20, 1, 1},
		{16<<20 + 1, 16 << 20, 2, 2},
		{16 << 20 * 10_000, 16 << 20, 10_000, 100},
		{16<<20*10_000 + 1, 17 << 20, 9412, 100},
		{5 << 40, 525 << 20, 9987, 100},
	} {
		o := s.open(c.size, "method", "multipart")
		m := o.obj("multipart")
		if m["part_size"] != float64(c.partSize) || m["part_count"] != float64(c.count) || len(m.list("parts")) != c.signed {
			t.Errorf("%d bytes: %v parts of %v, %d signed; want %+v", c.size, m["part_count"], m["part_size"], len(m.list("parts")), c)
		}
		if c.partSize < track.MinPartSize || c.partSize > track.MaxPartSize || c.count > track.MaxParts || c.partSize*c.count < c.size {
			t.Errorf("%+v breaks a limit of S3's", c)
		}
		s.call("DELETE", "/v1/uploads/"+o.str("upload_id"), nil).want(204)
	}
}

func TestPartsAreSignedOnRequest(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.open(2<<30, "method", "multipart") // 128 parts
	path := "/v1/uploads/" + o.str("upload_id") + "/parts"
	all := make([]int, 128)
	for i := range all {
		all[i] = 128 - i
	}
	if got := s.call("POST", path, answer{"part_numbers": all}).want(200).list("parts"); len(got) != 128 || got[0]["part_number"] != 128.0 {
		t.Errorf("signed %d parts", len(got))
	}
	for _, c := range []struct {
		body   any
		status int
		code   upload.Code
	}{
		{nil, 400, upload.BadRequest},
		{`[1]`, 400, upload.BadRequest},
		{`{}`, 422, upload.InvalidRequest},
		{`{"part_numbers":[]}`, 422, upload.InvalidRequest},
		{`{"part_numbers":1}`, 422, upload.InvalidRequest},
		{`{"part_numbers":[0]}`, 422, upload.InvalidRequest},
		{`{"part_numbers":[-1]}`, 422, upload.InvalidRequest},
		{`{"part_numbers":[129]}`, 422, upload.InvalidRequest},
		{`{"part_numbers":[4294967297]}`, 422, upload.InvalidRequest},
		{`{"part_numbers":[1,1]}`, 422, upload.InvalidRequest},
		{`{"part_numbers":["1"]}`, 422, upload.InvalidRequest},
		{`{"part_numbers":[1.5]}`, 422, upload.InvalidRequest},
		{`{"part_numbers":[null]}`, 422, upload.InvalidRequest},
		{answer{"part_numbers": make([]int, 1001)}, 422, upload.InvalidRequest},
		{`{"part_numbers":[1],"x":1}`, 422, upload.InvalidRequest},
	} {
		s.call("POST", path, c.body).refused(c.status, c.code)
	}
	single := s.open(100)
	s.call("POST", "/v1/uploads/"+single.str("upload_id")+"/parts", answer{"part_numbers": []int{1}}).refused(422, upload.InvalidRequest, "put")
	s.complete(single, answer{"parts": []answer{{"part_number": 1, "etag": "x"}}}).refused(422, upload.InvalidRequest, "parts")

	s.sql("UPDATE track_uploads SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' WHERE id = $1", o.str("upload_id"))
	s.call("POST", path, answer{"part_numbers": []int{1}}).refused(409, upload.NotPending)
}

// The list of 10,000 parts is longer than other bodies may be.
func TestCompleteTakesTenThousandParts(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.open(100, "method", "multipart")
	list := make([]answer, 10_000)
	for i := range list {
		list[i] = answer{"part_number": i + 1, "etag": `"` + strings.Repeat("0", 32) + `"`}
	}
	s.complete(o, answer{"parts": list}).refused(422, upload.InvalidParts, "part 1")
	s.complete(o, `{"parts":[`+strings.Repeat(" ", 1<<20)+`]}`).refused(413, upload.PayloadTooLarge)
}

func TestAbort(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(1, 1)
		for _, method := range []string{"put", "multipart"} {
			o := s.open(len(content), "method", method)
			path := "/v1/uploads/" + o.str("upload_id")
			if method == "multipart" {
				s.putPart(o.obj("multipart").list("parts")[0], content)
			}
			for range 2 {
				s.call("DELETE", path, nil).want(204)
			}
			if got := s.call("GET", path, nil).want(200); got["state"] != "aborted" || got["parts"] != nil {
				t.Errorf("aborted: %v", got)
			}
			if got := s.call("GET", "/v1/tracks/"+o.str("track_id"), nil).want(200); got["status"] != "failed" {
				t.Errorf("a new track without a file: %v", got)
			}
			s.complete(o, nil).refused(409, upload.NotPending)
			s.call("POST", path+"/parts", answer{"part_numbers": []int{1}})
			if got := s.sql("SELECT reason || ' ' || storage_key FROM track_discards WHERE track_id = $1", o.str("track_id")); got != "aborted uploads/"+o.str("track_id")+"/"+o.str("upload_id")+".wav" {
				t.Errorf("discarded: %q", got)
			}
		}
		if n := s.multiparts(); n != 0 {
			t.Errorf("%d multipart uploads are left", n)
		}
	})
}

// Each of the two sees the other still open while it is at work.
func TestAbortsOfAllTicketsOfANewTrackAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	for range 20 {
		first := s.open(100)
		second := s.open(100, "title", nil, "track_id", first.str("track_id"))
		for _, r := range together(2, func(i int) reply {
			return s.call("DELETE", "/v1/uploads/"+[]answer{first, second}[i].str("upload_id"), nil)
		}) {
			r.want(204)
		}
		if got := s.call("GET", "/v1/tracks/"+first.str("track_id"), nil).want(200); got["status"] != "failed" {
			t.Fatalf("the track without a file or a ticket: %v", got)
		}
	}
}

// Whatever the order in which an abort and a confirmation come, one of them wins, and a
// stored track keeps its bytes.
func TestAbortRacesWithComplete(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := audiotest.WAV(1, 1)
	for range 10 {
		o := s.open(len(content))
		s.put(o, content)
		replies := together(2, func(i int) reply {
			if i == 0 {
				return s.call("DELETE", "/v1/uploads/"+o.str("upload_id"), nil)
			}
			return s.complete(o, nil)
		})
		state := s.sql("SELECT state FROM track_uploads WHERE id = $1", o.str("upload_id"))
		discards := s.sql("SELECT count(*) FROM track_discards WHERE track_id = $1", o.str("track_id"))
		got := fmt.Sprint(state, " ", discards, " ", replies[0].status, " ", replies[1].status)
		if got != "stored 0 409 200" && got != "aborted 1 204 409" {
			t.Errorf("state, discards, abort, complete: %s", got)
		}
		if state == "stored" && !bytes.Equal(s.audio(o.str("track_id")).body, content) {
			t.Error("the stored track lost its bytes")
		}
	}
}

// CompleteMultipartUpload may take effect without saying so, and may be called twice.
func TestAnUnclearCompletionIsSettledByALook(t *testing.T) {
	t.Parallel()
	faulty := &failing{}
	s := start(t, func(c *upload.Config) {
		faulty.Backend = c.Backends[track.S3]
		c.Backends = map[string]upload.Backend{track.S3: faulty}
	})
	content := audiotest.WAV(1, 1)
	open := func() (answer, answer) {
		o := s.open(len(content), "method", "multipart")
		return o, answer{"parts": []answer{s.putPart(o.obj("multipart").list("parts")[0], content)}}
	}

	o, list := open()
	faulty.complete = track.ErrUnavailable // it had no effect
	s.complete(o, list).refused(503, upload.Unavailable)
	faulty.complete = nil
	if done := s.complete(o, list).want(200); done["state"] != "stored" {
		t.Errorf("tried again: %v", done)
	}

	for _, err := range []error{track.ErrUnavailable, track.ErrNotFound, track.ErrExists} {
		faulty.completed = err // it had its effect
		o, list = open()
		if done := s.complete(o, list).want(200); done["state"] != "stored" {
			t.Errorf("%v: %v", err, done)
		}
	}
}

// mortal is a change of the API by which nobody lives to look at a file for the first time.
func mortal(c *upload.Config) { c.Confirm = &dying{Confirmer: c.Confirm} }

type dying struct {
	upload.Confirmer
	died sync.Map // by upload
}

func (d *dying) Confirm(ctx context.Context, ids ...track.ID) ([]track.Upload, error) {
	if _, again := d.died.LoadOrStore(ids[0], true); !again {
		return nil, track.ErrUnavailable
	}
	return d.Confirmer.Confirm(ctx, ids...)
}

// The parts are put together, and nobody lives to look at the file: whatever a client does next settles the upload.
func TestWhatADeadServerPutTogetherIsSettled(t *testing.T) {
	t.Parallel()
	content, noise := audiotest.WAV(1, 1), bytes.Repeat([]byte("noise"), 1000)
	other := answer{"parts": []answer{{"part_number": 9, "etag": "x"}}}
	onEach(t, func(t *testing.T, s *stage) {
		for _, next := range []struct {
			name string
			call func(o, list answer) reply
		}{
			{"GET", func(o, _ answer) reply { return s.call("GET", "/v1/uploads/"+o.str("upload_id"), nil) }},
			{"complete, again", func(o, list answer) reply { return s.complete(o, list) }},
			{"complete without a list", func(o, _ answer) reply { return s.complete(o, nil) }},
			{"complete with another list", func(o, _ answer) reply { return s.complete(o, other) }},
		} {
			for _, c := range []struct {
				content  []byte
				declared any
				state    string
				reason   any
			}{
				{content, nil, "stored", nil},
				{content, checksumOf(content), "stored", nil},
				{content, checksumOf(noise), "failed", "checksum_mismatch"},
				{noise, nil, "failed", "not_audio"},
			} {
				o := s.open(len(c.content), "method", "multipart", "checksum", c.declared)
				list := answer{"parts": []answer{s.putPart(o.obj("multipart").list("parts")[0], c.content)}}
				r := s.complete(o, list)
				if r.status == http.StatusUnprocessableEntity { // the storage knows the checksum, and keeps the parts
					continue
				}
				r.refused(503, upload.Unavailable)
				if got := s.sql("SELECT state FROM track_uploads WHERE id = $1", o.str("upload_id")); got != "pending" {
					t.Fatalf("the dead server left it %s", got)
				}
				done := next.call(o, list).want(200)
				if done["state"] != c.state || done["reason"] != c.reason || done["parts"] != nil {
					t.Errorf("%s, of %.10q, declared %v: %v", next.name, c.content, c.declared, done)
				}
			}
		}
	}, mortal)
}

// A file stands beside parts that a dying server did not remove any more: no list of parts is in its way.
func TestWhatIsThereNeedsNoParts(t *testing.T) {
	t.Parallel()
	content := audiotest.WAV(1, 1)
	onEach(t, func(t *testing.T, s *stage) {
		for _, list := range []any{nil, `{}`, answer{"parts": []answer{{"part_number": 1, "etag": "x"}}}} {
			o := s.open(len(content), "method", "multipart")
			s.putPart(o.obj("multipart").list("parts")[0], content)
			s.complete(o, list).want(422)
			s.write(s.sql("SELECT storage_key FROM track_uploads WHERE id = $1", o.str("upload_id")), content)
			if done := s.complete(o, list).want(200); done["state"] != "stored" {
				t.Errorf("%v: %v", list, done)
			}
		}
	})
}

// A pending multipart whose parts the storage does not take, and that is no file, says so by having none.
func TestPartsThatAreGone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		o := s.open(100, "method", "multipart")
		for m, err := range s.backend.(lister).ListMultiparts(t.Context(), track.UploadsPrefix) {
			if err == nil {
				err = s.backend.AbortMultipart(t.Context(), m.Key, m.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := s.call("GET", "/v1/uploads/"+o.str("upload_id"), nil).want(200); got["state"] != "pending" || got["parts"] != nil {
			t.Errorf("%v", got)
		}
		s.complete(o, nil).refused(409, upload.NotUploaded)
	})
}

// Putting a large file together takes a while, in which the storage has neither its parts
// nor the file.
func TestCompleteIsCalledAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(400, 1)
		o := s.open(len(content), "method", "multipart")
		var named []answer
		for i, part := range o.obj("multipart").list("parts") {
			named = append(named, s.putPart(part, cut(content, 16<<20, i+1)))
		}
		for _, r := range together(8, func(int) reply { return s.complete(o, answer{"parts": named}) }) {
			if done := r.want(200); done["state"] != "stored" {
				t.Errorf("complete: %v", done)
			}
		}
	})
}

// The process dies between the row and the backend: the upload can still be used.
func TestAnUploadThatWasNotBegunIsBegunLater(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := audiotest.WAV(1, 1)
	o := s.open(len(content), "method", "multipart")
	s.sql("UPDATE track_uploads SET multipart_id = NULL")
	if got := s.call("GET", "/v1/uploads/"+o.str("upload_id"), nil).want(200); len(got["parts"].([]any)) != 0 {
		t.Errorf("parts: %v", got)
	}
	s.complete(o, answer{"parts": []answer{{"part_number": 1, "etag": "x"}}}).refused(409, upload.NotUploaded)
	parts := s.call("POST", "/v1/uploads/"+o.str("upload_id")+"/parts", answer{"part_numbers": []int{1}}).want(200).list("parts")
	if done := s.complete(o, answer{"parts": []answer{s.putPart(parts[0], content)}}).want(200); done["state"] != "stored" {
		t.Errorf("complete: %v", done)
	}
}

// What is overdue but not settled yet counts if its bytes are there.
func TestCompleteOfAnOverdueUpload(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := audiotest.WAV(1, 1)
	o, late := s.open(len(content)), s.open(len(content))
	s.put(o, content)
	s.sql("UPDATE track_uploads SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'")
	if done := s.complete(o, nil).want(200); done["state"] != "stored" {
		t.Errorf("complete: %v", done)
	}
	s.complete(late, nil).refused(409, upload.Expired)
	s.sql("UPDATE track_uploads SET state = 'expired', finished_at = now() WHERE id = $1", late.str("upload_id"))
	s.complete(late, nil).refused(409, upload.Expired)
	s.call("DELETE", "/v1/uploads/"+late.str("upload_id"), nil).want(204)
	s.complete(late, nil).refused(409, upload.NotPending)
}
