package functions_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"trackstore/internal/testenv"
	"trackstore/shared/track"
)

// What goes wrong, whichever function and however early, is a JSON line of level ERROR with the cause under err: that is what
// the filter in docs/operations.md shows.
func TestFailuresAreLinesOfLevelError(t *testing.T) {
	t.Parallel()
	p := &programs{dir: t.TempDir()}
	w := newWorld(t, testenv.Postgres(t))
	env := w.env()
	with := func(variables ...string) []string { return append(env[:len(env):len(env)], variables...) }
	away := with("DATABASE_URL=postgres://user:password@127.0.0.1:1/away")
	onDisk(w) // or nothing says that this folder is the tracks'
	w.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', '../outside.flac')`, track.NewID())

	for name, failure := range map[string]struct {
		function, event string
		env             []string
		msg             string
	}{
		"a function that cannot start":    {"sweep-uploads", `{}`, with("APP_ENV=prod"), "the function cannot start"},
		"another one":                     {"presign-upload", `{}`, with("JWT_SECRET="), "the function cannot start"},
		"an event that nobody can read":   {"object-created", `{"unknown":1}`, env, "the function failed"},
		"a batch without its database":    {"migrate-batch", `{}`, away, "the function failed"},
		"a batch with a bad request":      {"migrate-batch", `{"direction":"sideways"}`, env, "the function failed"},
		"a track that could not be moved": {"migrate-batch", `{}`, env, "track was not moved"},
		"a sweep without its database":    {"sweep-uploads", `{}`, away, ""},
		"a health check without it":       {"presign-upload", `{"version":"2.0","rawPath":"/healthz","requestContext":{"http":{"method":"GET","path":"/healthz"}}}`, away, "request"},
		"a schema that cannot come up":    {"migrate-schema", `{}`, away, "the resource could not be made"},
		"a schema without configuration":  {"migrate-schema", `{}`, with("DATABASE_URL="), "the resource could not be made"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			function := p.serve(t, failure.function, failure.env...)
			function.invoke([]byte(failure.event), 20*time.Second)
			log := function.logged()
			found := false
			for line := range strings.Lines(log) {
				fields, err := readLine(line)
				if err != nil {
					t.Errorf("%v: %s", err, line)
				}
				cause, _ := fields["err"].(string)
				found = found || fields["level"] == "ERROR" && cause != "" && (failure.msg == "" || fields["msg"] == failure.msg)
			}
			if !found {
				t.Errorf("no line of level ERROR says %q, and why:\n%s", failure.msg, log)
			}
		})
	}
}

// Each line of a whole upload's way is JSON with a time, a level and a message, has no key twice, and a request's has its time.
func TestLinesOfRequests(t *testing.T) {
	t.Parallel()
	p := &programs{dir: t.TempDir()}
	w := newWorld(t, testenv.Postgres(t))
	s := &apiClient{t: t, api: p.serve(t, "presign-upload", w.env()...)}
	s.call(200, "GET", "/healthz", nil, "")
	s.call(401, "GET", "/v1/uploads/x", nil, "")
	s.call(404, "GET", "/nowhere", nil, "")
	requests := 0
	for line := range strings.Lines(s.api.logged()) {
		fields, err := readLine(line)
		if err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if fields["msg"] == "request" {
			requests++
			if _, is := fields["duration_ms"].(float64); !is {
				t.Errorf("no duration_ms: %s", line)
			}
		}
	}
	if requests != 3 {
		t.Errorf("%d lines for 3 requests", requests)
	}
}

// readLine reads a line of a log, and refuses one that has a key twice.
func readLine(line string) (map[string]any, error) {
	decoder := json.NewDecoder(strings.NewReader(line))
	if opened, err := decoder.Token(); err != nil || opened != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	fields := map[string]any{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		if _, twice := fields[key.(string)]; twice {
			return fields, errors.New(key.(string) + " is there twice")
		}
		fields[key.(string)] = value
	}
	if _, err := decoder.Token(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, key := range []string{"timestamp", "level", "msg"} {
		if fields[key] == nil {
			return fields, errors.New("no " + key)
		}
	}
	return fields, nil
}
