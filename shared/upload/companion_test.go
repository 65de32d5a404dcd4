package upload_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// companion returns a stage that calls the endpoints of a new session, as the plugin does: without a JWT.
func (s *stage) companion() *stage {
	s.t.Helper()
	session := s.call("POST", "/v1/companion-sessions", nil).want(201)
	if life := time.Until(parseTime(s.t, session.str("expires_at"))); life < 23*time.Hour || life > 24*time.Hour {
		s.t.Errorf("the session lives %v", life)
	}
	other := *s
	other.url, other.token = session.str("companion_url"), ""
	return &other
}

// complains fails the test unless the answer is an error as Companion has it.
func (a reply) complains(status int, words ...string) {
	a.t.Helper()
	got := a.want(status)
	if got.str("error") == "" || len(got) != 1 {
		a.t.Errorf("%s: %s", a.what, a.body)
	}
	for _, word := range words {
		if !strings.Contains(got.str("error"), word) {
			a.t.Errorf("%s: %s lacks %q", a.what, a.body, word)
		}
	}
}

func TestUppySendsAForm(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.MP3(1, 1)
		uppy := s.companion()
		query := url.Values{"filename": {"Für Elise.mp3"}, "type": {"audio/mp3"}, "metadata[name]": {"Für Elise.mp3"}, "metadata[type]": {"audio/mp3"}}
		form := uppy.call("GET", "/s3/params?"+query.Encode(), nil).want(200)
		fields := form.obj("fields")
		if form["method"] != "POST" || fields.str("success_action_status") != "201" || fields.str("Content-Type") != "audio/mpeg" {
			t.Errorf("params: %v", form)
		}
		for _, name := range []string{"file", "redirect", "success_action_redirect"} {
			if _, there := fields[name]; there {
				t.Errorf("the plugin forbids the field %s", name)
			}
		}
		if r := s.post(form, content); r.status != 201 || r.header.Get("ETag") == "" {
			t.Fatalf("POST: %d %s", r.status, r.body)
		}
		ids := strings.Split(strings.TrimSuffix(fields.str("key"), ".mp3"), "/")
		status := s.complete(answer{"upload_id": ids[2]}, nil).want(200)
		if status["state"] != "stored" || status["track_id"] != ids[1] || status["size"] != nil {
			t.Errorf("complete: %v", status)
		}
		if got := s.call("GET", "/v1/tracks/"+ids[1], nil).want(200); got["title"] != "Für Elise" || got["size"] != float64(len(content)) {
			t.Errorf("track: %v", got)
		}
	})
}

func TestAskingForTheHeadOfAFormOpensNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.companion().call("HEAD", "/s3/params?filename=a.wav", nil)
	if r.status != 405 || r.header.Get("Allow") != "GET, OPTIONS" {
		t.Errorf("answered %d, Allow %q", r.status, r.header.Get("Allow"))
	}
	if n := s.sql("SELECT count(*)::text FROM track_uploads"); n != "0" {
		t.Errorf("%s uploads are open", n)
	}
}

func TestUppySendsParts(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		const size = 5 << 20
		content := audiotest.WAV(150, 1) // 12.6 MiB
		uppy := s.companion()
		made := uppy.call("POST", "/s3/multipart", answer{"filename": "a.wav", "type": "audio/x-wav", "metadata": answer{"name": "a.wav"}}).want(200)
		path := "/s3/multipart/" + made.str("uploadId")
		key := "?key=" + url.QueryEscape(made.str("key"))
		list := func() (parts []answer) {
			t.Helper()
			r := uppy.call("GET", path+key, nil)
			if err := json.Unmarshal(r.body, &parts); err != nil || r.status != 200 || parts == nil {
				t.Fatalf("list: %d %s", r.status, r.body)
			}
			return parts
		}
		if parts := list(); len(parts) != 0 {
			t.Errorf("parts: %v", parts)
		}
		first := uppy.call("GET", path+"/1"+key, nil).want(200)
		sent := []answer{s.putPart(first, content[:size])}
		if parts := list(); len(parts) != 1 || parts[0]["PartNumber"] != 1.0 || parts[0]["Size"] != float64(size) || parts[0]["ETag"] != sent[0]["etag"] {
			t.Errorf("parts: %v, sent %v", parts, sent)
		}
		batch := uppy.call("GET", path+"/batch"+key+"&partNumbers=2,3", nil).want(200).obj("presignedUrls")
		sent = append(sent, s.putPart(answer{"url": batch["2"]}, content[size:2*size]), s.putPart(answer{"url": batch["3"]}, content[2*size:]))
		parts := []answer{}
		for i, p := range sent {
			parts = append(parts, answer{"PartNumber": i + 1, "ETag": p["etag"], "location": "ignored"})
		}
		for range 2 {
			done := uppy.call("POST", path+"/complete"+key, answer{"parts": parts}).want(200)
			if done["key"] != made["key"] || done["bucket"] != s.backend.Bucket() || !strings.HasPrefix(done.str("location"), s.url+"/v1/tracks/") {
				t.Errorf("complete: %v", done)
			}
		}
		trackID := strings.Split(made.str("key"), "/")[1]
		if got := s.audio(trackID); string(got.body) != string(content) {
			t.Error("the audio has other bytes")
		}
	})
}

// What comes after complete went wrong is a press on Retry: the plugin lists the parts, sends those that are not listed,
// and completes. It was stored, or put together by a server that died.
func TestUppyTriesAgainAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*upload.Config){"the answer": func(*upload.Config) {}, "the server": mortal} {
		onEach(t, func(t *testing.T, s *stage) {
			t.Log(name)
			const size = 5 << 20
			content := audiotest.WAV(150, 1)
			uppy := s.companion()
			made := uppy.call("POST", "/s3/multipart", answer{"filename": "a.wav", "type": "audio/wav"}).want(200)
			path, key := "/s3/multipart/"+made.str("uploadId"), "?key="+url.QueryEscape(made.str("key"))
			parts := make([]answer, 3)
			for i := range parts {
				sent := s.putPart(uppy.call("GET", fmt.Sprintf("%s/%d%s", path, i+1, key), nil).want(200), cut(content, size, i+1))
				parts[i] = answer{"PartNumber": i + 1, "ETag": sent["etag"]}
			}
			if r := uppy.call("POST", path+"/complete"+key, answer{"parts": parts}); r.status != 200 && r.status != 503 {
				t.Errorf("complete: %d %s", r.status, r.body)
			}
			for range 2 {
				r := uppy.call("GET", path+key, nil)
				var listed []answer
				if err := json.Unmarshal(r.body, &listed); err != nil || r.status != 200 || len(listed) < len(parts) {
					t.Fatalf("list: %d %s", r.status, r.body)
				}
				for i := range parts {
					if parts[i] = listed[i]; parts[i]["PartNumber"] != float64(i+1) || parts[i].str("ETag") == "" {
						t.Errorf("listed %v", parts[i])
					}
				}
				if done := uppy.call("POST", path+"/complete"+key, answer{"parts": parts}).want(200); done["key"] != made["key"] {
					t.Errorf("complete: %v", done)
				}
			}
			if got := s.audio(strings.Split(made.str("key"), "/")[1]); string(got.body) != string(content) {
				t.Error("the audio has other bytes")
			}
		}, change)
	}
}

func TestUppyAborts(t *testing.T) {
	t.Parallel()
	s := start(t)
	uppy := s.companion()
	made := uppy.call("POST", "/s3/multipart", answer{"filename": "a.wav", "type": "", "metadata": answer{}}).want(200)
	path := "/s3/multipart/" + made.str("uploadId") + "?key=" + url.QueryEscape(made.str("key"))
	for range 2 {
		if r := uppy.call("DELETE", path, nil); r.status != 200 || strings.TrimSpace(string(r.body)) != "{}" {
			t.Errorf("abort: %d %s", r.status, r.body)
		}
	}
	uppy.call("GET", path, nil).complains(400, "aborted")
	if n := s.multiparts(); n != 0 {
		t.Errorf("%d multipart uploads are left", n)
	}
}

func TestUppyIsToldOfWhatIsNoAudio(t *testing.T) {
	t.Parallel()
	s := start(t)
	uppy := s.companion()
	made := uppy.call("POST", "/s3/multipart", answer{"filename": "notes.wav", "type": "audio/wav"}).want(200)
	path, key := "/s3/multipart/"+made.str("uploadId"), "?key="+url.QueryEscape(made.str("key"))
	part := s.putPart(uppy.call("GET", path+"/1"+key, nil).want(200), []byte("dear diary"))
	uppy.call("POST", path+"/complete"+key, answer{"parts": []answer{{"PartNumber": 1, "ETag": part["etag"]}}}).complains(400, "not_audio")
}

func TestCompanionDerivesTheType(t *testing.T) {
	t.Parallel()
	s := start(t)
	uppy := s.companion()
	for _, c := range [][3]string{
		{"a.opus", "application/octet-stream", "audio/ogg"}, {"a.flac", "", "audio/flac"}, {"a.aiff", "audio/x-aiff", "audio/aiff"}, {"a.mp3", "audio/mp3", "audio/mpeg"},
	} {
		form := uppy.call("GET", "/s3/params?filename="+c[0]+"&type="+c[1], nil).want(200)
		if got := form.obj("fields").str("Content-Type"); got != c[2] {
			t.Errorf("%v: signed as %s", c, got)
		}
	}
	for filename, title := range map[string]string{".mp3": ".mp3", "a.b.mp3": "a.b", " .mp3": " .mp3"} {
		form := uppy.call("GET", "/s3/params?filename="+url.QueryEscape(filename), nil).want(200)
		if got := s.sql("SELECT title FROM tracks JOIN track_uploads u ON track_id = tracks.id WHERE u.storage_key = $1", form.obj("fields").str("key")); got != title {
			t.Errorf("%q: title %q", filename, got)
		}
	}
}

func TestCompanionRefuses(t *testing.T) {
	t.Parallel()
	s := start(t)
	uppy := s.companion()
	for _, query := range []string{"", "?filename=a.txt&type=text/plain", "?filename=a.wav&type=text/html", "?filename=a", "?filename=a%00.wav",
		"?filename=a%0a.wav", "?filename=%ff.wav%00", "?filename=" + strings.Repeat("a", 300) + ".wav"} {
		uppy.call("GET", "/s3/params"+query, nil).complains(400)
	}
	for _, body := range []any{nil, "", "{", "[]", "7", `{"filename":7}`, `{"filename":"a.txt"}`, `{}`, answer{"filename": strings.Repeat("a", 70_000)}} {
		uppy.call("POST", "/s3/multipart", body).complains(400)
	}
	uppy.call("POST", "/s3/multipart", `{"filename":"a.wav"}`, "Content-Type", "text/plain").complains(400)

	made := uppy.call("POST", "/s3/multipart", answer{"filename": "a.wav"}).want(200)
	path, key := "/s3/multipart/"+made.str("uploadId"), "?key="+url.QueryEscape(made.str("key"))
	for _, part := range []string{"0", "-1", "411", "x", "1.5", "1,2", "99999999999999999999"} { // 2 GiB in parts of 5 MiB are 410
		if part != "1,2" {
			uppy.call("GET", path+"/"+part+key, nil).complains(400)
			uppy.call("GET", path+"/batch"+key+"&partNumbers="+part, nil).complains(400)
		}
	}
	uppy.call("GET", path+"/batch"+key, nil).complains(400)
	uppy.call("GET", path+"/batch"+key+"&partNumbers=1,1", nil).complains(400)
	for _, body := range []any{nil, "{", `{"parts":[]}`, `{"parts":[{"PartNumber":1,"ETag":"x"}]}`, `{"parts":7}`} {
		uppy.call("POST", path+"/complete"+key, body).complains(400)
	}

	stranger := s.as(track.NewID()).companion()
	single := s.open(100)
	ownKey := s.sql("SELECT storage_key FROM track_uploads WHERE id = $1", single.str("upload_id"))
	for _, c := range []struct {
		who        *stage
		path, what string
	}{
		{uppy, path, "no key"}, {uppy, path + "?key=x", "another key"},
		{stranger, path + key, "a stranger"}, {uppy, "/s3/multipart/7" + key, "no UUID"},
		{uppy, "/s3/multipart/" + track.NewID().String() + key, "unknown"},
		{uppy, "/s3/multipart/" + single.str("upload_id") + "?key=" + url.QueryEscape(ownKey), "no multipart"},
	} {
		t.Log(c.what)
		c.who.call("GET", c.path, nil).complains(400)
		c.who.call("DELETE", c.path, nil).complains(400)
	}
}

func TestASessionsTokenOpensNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t)
	uppy := s.companion()
	token := uppy.url[strings.LastIndex(uppy.url, "/")+1:]
	s.call("POST", "/v1/uploads", file(100), "Authorization", "Bearer "+token).refused(401, upload.Unauthorized)
	if n := s.sql("SELECT count(*) FROM companion_sessions WHERE position($1 in token_hash::text) > 0 OR token_hash = $1::bytea", token); n != "0" {
		t.Error("the database holds the token itself")
	}
	for _, bad := range []string{"x", strings.Repeat("A", 43), token[:42], token + "A", token[:42] + "~", strings.ToUpper(token), s.token, "%00", strings.Repeat("a", 10_000)} {
		for _, path := range []string{"/s3/params?filename=a.wav", "/s3/multipart/" + track.NewID().String() + "?key=x"} {
			r := s.call("GET", "/u/"+bad+path, nil, "Origin", "https://app.example.com")
			r.complains(401)
			if r.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
				t.Errorf("no CORS headers: %v", r.header)
			}
		}
		s.call("POST", "/u/"+bad+"/s3/multipart", answer{"filename": "a.wav"}).complains(401)
	}
	s.sql("UPDATE companion_sessions SET created_at = now() - interval '2 days', expires_at = now() - interval '1 second'")
	uppy.call("GET", "/s3/params?filename=a.wav", nil).complains(401)
	s.companion()
	if n := s.sql("SELECT count(*) FROM companion_sessions"); n != "1" {
		t.Errorf("%s sessions: those that are over stay", n)
	}
	if strings.Contains(s.log.String(), token) || strings.Contains(s.log.String(), "Signature") {
		t.Error("the log holds a token or a signature")
	}
}

func TestTheCompanionURLIsWhereTheClientCame(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range []struct{ host, proto, want string }{
		{"api.example.com", "https,http", "https://api.example.com/u/"}, {"api.example.com:8443", "", "http://api.example.com:8443/u/"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/companion-sessions", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		r.Header = http.Header{"Authorization": {"Bearer " + s.token}, "X-Forwarded-Proto": {c.proto}}
		if got := send(t, r).want(201).str("companion_url"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, %s: %s", c.host, c.proto, got)
		}
	}
}

func TestSixtyFilesOfUppys(t *testing.T) {
	t.Parallel()
	s := start(t, maxPending(20))
	uppy := s.companion()
	content := audiotest.MP3(1, 1)
	lanes := together(6, func(lane int) error {
		for i := range 10 {
			r := uppy.call("GET", fmt.Sprintf("/s3/params?filename=%d-%d.mp3", lane, i), nil)
			if r.status != 200 {
				return fmt.Errorf("file %d of lane %d: %d %s", i, lane, r.status, r.body)
			}
			s.post(r.want(200), content)
		}
		return nil
	})
	for _, err := range lanes {
		if err != nil {
			t.Error(err)
		}
	}
}

// setFileMeta(id, {name}), which the Dashboard's own rename calls too, gives the track its title; the format is
// still the file's.
func TestUppysNameOfAFileIsTheTitle(t *testing.T) {
	t.Parallel()
	s := start(t)
	uppy := s.companion()
	for name, title := range map[string]string{
		"Für Elise": "Für Elise", "Nocturne Op.9": "Nocturne Op.9", "take 3.wav": "take 3", "other.mp3": "other", ".wav": ".wav", "": "file",
	} {
		query := url.Values{"filename": {"file.wav"}, "type": {"audio/wav"}, "metadata[name]": {name}}
		form := uppy.call("GET", "/s3/params?"+query.Encode(), nil).want(200).obj("fields")
		parts := uppy.call("POST", "/s3/multipart", answer{"filename": "file.wav", "type": "audio/wav", "metadata": answer{"name": name, "n": 7, "x": nil}}).want(200)
		for _, key := range []string{form.str("key"), parts.str("key")} {
			id := strings.Split(key, "/")[1]
			if got := s.call("GET", "/v1/tracks/"+id, nil).want(200); got["title"] != title || !strings.HasSuffix(key, ".wav") {
				t.Errorf("%q: %v, %s", name, got, key)
			}
		}
	}
	uppy.call("GET", "/s3/params?filename=a.wav&metadata[name]=a%0ab", nil).complains(400, "name")
	uppy.call("POST", "/s3/multipart", answer{"filename": "a.wav", "metadata": answer{"name": strings.Repeat("x", 256)}}).complains(400, "name")
	uppy.call("POST", "/s3/multipart", answer{"filename": "a.wav", "metadata": answer{"name": 7}}).want(200)
}

// A proxy's word on the host counts only where it is trusted: otherwise anybody's would.
func TestTheURLOfASessionBehindAProxy(t *testing.T) {
	t.Parallel()
	trusting := start(t, func(c *upload.Config) { c.Limits.TrustForwarded = true })
	wary := start(t)
	for _, test := range []struct {
		name, value, want string
	}{
		{"X-Forwarded-Host", "music.example.com", "http://music.example.com"},
		{"X-Forwarded-Host", "music.example.com:8443, inner", "http://music.example.com:8443"},
		{"Forwarded", `for=1.2.3.4;host=music.example.com;proto=https, for=5.6.7.8;host=inner`, "https://music.example.com"},
		{"Forwarded", `Host="music.example.com:8443"; Proto=HTTPS`, "https://music.example.com:8443"},
		{"X-Forwarded-Host", "evil.example.com/path", trusting.url},
		{"X-Forwarded-Host", "me@evil.example.com", trusting.url},
		{"X-Forwarded-Host", "", trusting.url},
		{"Forwarded", "for=1.2.3.4", trusting.url},
	} {
		got := trusting.call("POST", "/v1/companion-sessions", nil, test.name, test.value).want(201).str("companion_url")
		if !strings.HasPrefix(got, test.want+"/u/") {
			t.Errorf("%s: %s: %s", test.name, test.value, got)
		}
		got = wary.call("POST", "/v1/companion-sessions", nil, test.name, test.value).want(201).str("companion_url")
		if !strings.HasPrefix(got, wary.url+"/u/") {
			t.Errorf("not trusted, %s: %s: %s", test.name, test.value, got)
		}
	}
}
