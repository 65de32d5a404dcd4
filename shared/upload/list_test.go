package upload_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/minio/crc64nvme"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

func TestUploadsAreListed(t *testing.T) {
	t.Parallel()
	s := start(t)
	if got := s.call("GET", "/v1/uploads?state=pending", nil).want(200); got["next"] != nil || got["uploads"] == nil || len(got.list("uploads")) != 0 {
		t.Errorf("nothing: %v", got)
	}
	s.as(track.NewID()).open(100)
	var opened []string // newest first
	for i := range 7 {
		opened = append(opened, s.open(100+i, "method", []string{"put", "post", "multipart"}[i%3]).str("upload_id"))
	}
	stored := s.stored(audiotest.WAV(1, 1))
	aborted := s.open(1).str("upload_id")
	s.call("DELETE", "/v1/uploads/"+aborted, nil).want(204)
	slices.Reverse(opened)
	all := append([]string{aborted, stored.str("upload_id")}, opened...)

	for query, want := range map[string][]string{
		"": all, "state=pending": opened, "state=stored": {stored.str("upload_id")}, "state=aborted": {aborted}, "state=failed": nil, "state=expired": nil,
	} {
		for limit := 1; limit <= 10; limit++ {
			var got []string
			path, pages := fmt.Sprintf("/v1/uploads?%s&limit=%d", query, limit), 0
			for next := ""; pages < 20; pages++ {
				page := s.call("GET", path+next, nil).want(200)
				if n := len(page.list("uploads")); n > limit || n < limit && page["next"] != nil {
					t.Fatalf("%s: a page of %d", path+next, n)
				}
				for _, u := range page.list("uploads") {
					got = append(got, u.str("upload_id"))
				}
				if page["next"] == nil {
					break
				}
				next = "&after=" + page.str("next")
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %d at a time: %v, want %v", query, limit, got, want)
			}
		}
	}
	// Each is as it is alone, but for its parts.
	for _, u := range s.call("GET", "/v1/uploads", nil).want(200).list("uploads") {
		alone := s.call("GET", "/v1/uploads/"+u.str("upload_id"), nil).want(200)
		delete(alone, "parts")
		if fmt.Sprint(alone) != fmt.Sprint(u) {
			t.Errorf("listed as %v, alone %v", u, alone)
		}
	}
	for query, field := range map[string]string{
		"state=open": "state", "state=Pending": "state", "limit=0": "limit", "limit=101": "limit", "limit=-1": "limit", "limit=x": "limit",
		"after=x": "after", "after=" + track.NewID().String(): "after",
	} {
		s.call("GET", "/v1/uploads?"+query, nil).refused(422, upload.InvalidRequest, field)
	}
	s.as(track.NewID()).call("GET", "/v1/uploads?after="+aborted, nil).refused(422, upload.InvalidRequest, "after")
}

// A page costs what it shows, however many uploads a user has had and others have.
func TestAListIsReadFromItsIndex(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.sql(`INSERT INTO track_uploads (id, track_id, user_id, state, method, backend, storage_key, max_size, format, content_type, expires_at, finished_at)
		SELECT gen_random_uuid(), gen_random_uuid(), CASE WHEN n % 2 = 0 THEN $1::text::uuid ELSE gen_random_uuid() END,
			'stored', 'put', 's3', 'uploads/' || n, 1, 'wav', 'audio/wav', now(), now()
		FROM generate_series(1, 20000) n`, s.user.String())
	s.sql("ANALYZE track_uploads")
	page := s.call("GET", "/v1/uploads", nil).want(200)
	if len(page.list("uploads")) != 100 || page["next"] == nil {
		t.Fatalf("a page of %d", len(page.list("uploads")))
	}
	s.sql("SELECT pg_stat_force_next_flush()")
	before := s.sql("SELECT (seq_scan)::text FROM pg_stat_user_tables WHERE relname = 'track_uploads'")
	s.call("GET", "/v1/uploads?after="+page.str("next"), nil).want(200)
	s.sql("SELECT pg_stat_force_next_flush()")
	if after := s.sql("SELECT (seq_scan)::text FROM pg_stat_user_tables WHERE relname = 'track_uploads'"); after != before {
		t.Errorf("the table was read from end to end")
	}
}

func TestAnUploadSaysHowItIsSent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		for method, want := range map[string]string{
			"put": "put <nil> <nil> <nil>", "post": "post <nil> <nil> <nil>", "multipart": "multipart 1.6777216e+07 3 <nil>",
		} {
			o := s.open(40<<20, "method", method)
			u := s.call("GET", "/v1/uploads/"+o.str("upload_id"), nil).want(200)
			if got := fmt.Sprint(u["method"], " ", u["part_size"], " ", u["part_count"], " ", u["detail"]); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

// What is optional may be null, and is then absent.
func TestNullIsAbsent(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.call("POST", "/v1/uploads", `{"track_id":null,"title":"x","filename":"x.wav","content_type":"audio/wav","size":100,"checksum":null,"method":null}`).want(201)
	s.complete(o, `{"parts":null}`).refused(409, upload.NotUploaded)
	parts := s.open(100, "method", "multipart")
	s.call("POST", "/v1/uploads/"+parts.str("upload_id")+"/parts", `{"part_numbers":null,"parts":[{"part_number":1,"checksum":null}]}`).want(200)
	again := s.call("POST", "/v1/uploads", answer{"track_id": o["track_id"], "title": nil, "filename": "x.wav", "content_type": "audio/wav", "size": 1}).want(201)
	if again["track_id"] != o["track_id"] {
		t.Errorf("opened %v", again)
	}
	for _, field := range []string{"title", "filename", "size"} {
		body := file(1)
		body[field] = nil
		s.call("POST", "/v1/uploads", body).refused(422, upload.InvalidRequest, field, "is required")
	}
}

func checksumOf(content []byte) track.Checksum {
	return track.NewCRC64NVME(crc64nvme.Checksum(content))
}

// Each of a multipart's parts may have a checksum, which the storage then insists on.
func TestPartsWithChecksums(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(100, 1)
		o := s.open(len(content), "method", "multipart")
		path := "/v1/uploads/" + o.str("upload_id")
		sum := checksumOf(content)
		signed := s.call("POST", path+"/parts", answer{"parts": []answer{{"part_number": 1, "checksum": sum.Value}}}).want(200).list("parts")
		if len(signed) != 1 || signed[0]["part_number"] != 1.0 || signed[0].obj("headers")["x-amz-checksum-crc64nvme"] != sum.Value {
			t.Fatalf("signed: %v", signed)
		}
		damaged := append([]byte{}, content...)
		damaged[len(damaged)/2] ^= 1
		if r := s.sendPart(signed[0], damaged); r.status != 400 {
			t.Errorf("a damaged part: %d %s", r.status, r.body)
		}
		if r := s.sendPart(o.obj("multipart").list("parts")[0], append(content[:len(content):len(content)], 0)); r.status < 400 {
			t.Errorf("a longer part: %d %s", r.status, r.body)
		}
		part := s.putPart(signed[0], content)
		if done := s.complete(o, answer{"parts": []answer{part}}).want(200); done["state"] != "stored" {
			t.Errorf("completed: %v", done)
		}

		o = s.open(100, "method", "multipart")
		path = "/v1/uploads/" + o.str("upload_id") + "/parts"
		for body, field := range map[string]string{
			`{}`: "part_numbers", `{"parts":[{}]}`: "parts[0].part_number", `{"parts":[{"part_number":1}],"part_numbers":[1]}`: "parts",
			`{"parts":[{"part_number":1,"checksum":"x"}]}`: "parts[0].checksum", `{"parts":[{"part_number":1,"checksum":7}]}`: "parts[0].checksum",
			`{"parts":[{"part_number":2}]}`: "part_number", `{"parts":[{"part_number":1},{"part_number":1}]}`: "part_number",
			`{"parts":[{"part_number":1,"size":7}]}`: "parts[0].size",
		} {
			s.call("POST", path, body).refused(422, upload.InvalidRequest, field)
		}
	})
}

func TestARefusalForNowSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := start(t, maxPending(1))
	s.open(100)
	r := s.call("POST", "/v1/uploads", file(100))
	if r.refused(429, upload.TooManyPending); r.header.Get("Retry-After") != "10" {
		t.Errorf("Retry-After: %v", r.header)
	}
}
