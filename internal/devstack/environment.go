package devstack

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"strconv"

	"trackstore/shared/config"
	"trackstore/shared/track"
)

// environment is what everything in the stack is configured by, as the functions are by theirs: the variables that
// were set when the stack was started, and for the others what is chosen here.
type environment struct {
	outer  func(string) string
	last   map[string]string // what the last run chose
	chosen map[string]string
	fixed  map[string]string // overrides what the user set
}

func newEnvironment(outer func(string) string, last map[string]string) *environment {
	return &environment{outer, last, make(map[string]string), make(map[string]string)}
}

// given returns what the user set. What the last run chose is not that: it stands in the environment of a shell that
// sourced the env file, and would keep the stack from choosing anew.
func (e *environment) given(name string) string {
	if v := e.outer(name); v != e.last[name] {
		return v
	}
	return ""
}

// choose sets a variable unless the user did.
func (e *environment) choose(name, value string) {
	if e.given(name) == "" {
		e.chosen[name] = value
	}
}

// keep chooses what the last run chose, or if it did not, a new value.
func (e *environment) keep(name string, fresh func() string) {
	e.choose(name, cmp.Or(e.last[name], fresh()))
}

// known is what was ever chosen. A run without S3, say, does not make the next one forget where that was.
func (e *environment) known() map[string]string {
	all := make(map[string]string)
	maps.Copy(all, e.last)
	maps.Copy(all, e.chosen)
	return all
}

// get is the environment's os.Getenv.
func (e *environment) get(name string) string {
	return cmp.Or(e.fixed[name], e.chosen[name], e.given(name))
}

// demoDatabase is the database in a Postgres server of the stack's own.
const demoDatabase = "trackstore"

// plan says which servers the stack starts itself.
type plan struct{ postgres, s3 bool }

// plan chooses everything that can be known before a server runs. Addresses of servers that the stack will start
// are those of the last run, or placeholders.
func (e *environment) plan(stateDir string, port int) (plan, error) {
	p := plan{postgres: e.given("DATABASE_URL") == "" && e.given("DATABASE_SECRET_ARN") == ""}
	if p.postgres {
		e.keep("DATABASE_URL", func() string { return "postgres://127.0.0.1/" + demoDatabase })
	}

	e.choose("TRACK_STORAGE_BACKEND", track.S3)
	e.choose("AWS_S3_ENABLED", strconv.FormatBool(e.get("TRACK_STORAGE_BACKEND") == track.S3))
	if s3, err := strconv.ParseBool(e.get("AWS_S3_ENABLED")); err == nil && s3 {
		p.s3 = e.given("AWS_S3_ENDPOINT") == ""
		e.choose("AWS_S3_BUCKET", "trackstore")
		e.choose("AWS_REGION", "us-east-1")
		e.choose("AWS_S3_FORCE_PATH_STYLE", "true")
		if p.s3 {
			e.keep("AWS_S3_ENDPOINT", func() string { return "http://127.0.0.1" })
			e.choose("AWS_S3_PUBLIC_ENDPOINT", e.get("AWS_S3_ENDPOINT"))
		}
	}

	// The other commands may run elsewhere, and read it from the env file.
	dir, err := filepath.Abs(cmp.Or(e.given("TRACK_LOCAL_DIR"), filepath.Join(stateDir, "tracks")))
	if err != nil {
		return p, err
	}
	e.fixed["TRACK_LOCAL_DIR"] = dir
	e.choose("TRACK_LOCAL_URL", apiURL(port)+"/disk")
	e.keep("TRACK_LOCAL_SECRET", newSecret)
	e.keep("JWT_SECRET", newSecret)
	if e.given("EVENTS_WEBHOOK_URL") == "" && e.given("EVENTS_BUS") == "" { // the stack tells itself
		e.choose("EVENTS_WEBHOOK_URL", apiURL(port)+"/console/events")
		e.keep("EVENTS_WEBHOOK_SECRET", newWebhookSecret)
	}
	// Tokens travel in a header, never in a cookie: another origin's page gains nothing from being let in.
	e.choose("CORS_ALLOWED_ORIGINS", "*")
	return p, nil
}

func apiURL(port int) string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func newSecret() string { return rand.Text() + rand.Text() } // 52 characters, 260 bits

func newWebhookSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// portOf returns the port of a URL, 0 where there is none.
func portOf(rawURL string) int {
	u, err := url.Parse(rawURL)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0
	}
	return port
}

// settings is the environment, read as the functions and commands read it.
type settings struct {
	api     config.PresignUpload
	command config.Command
	events  config.DeliverEvents
}

// settings reads everything, and reports every problem at once.
func (e *environment) settings() (settings, error) {
	var s settings
	var apiErr, commandErr, eventsErr error
	s.api, apiErr = config.Load[config.PresignUpload](e.get)
	s.command, commandErr = config.Load[config.Command](e.get)
	s.events, eventsErr = config.Load[config.DeliverEvents](e.get)
	return s, merge(apiErr, commandErr, eventsErr)
}

// merge makes one error of several of package config, with each problem once.
func merge(errs ...error) error {
	var all config.Error
	seen := make(map[string]bool)
	for _, err := range errs {
		var problems *config.Error
		if err == nil {
			continue
		}
		if !errors.As(err, &problems) {
			return fmt.Errorf("configuration: %w", err)
		}
		for _, p := range problems.Problems {
			if !seen[p.Error()] {
				seen[p.Error()] = true
				all.Problems = append(all.Problems, p)
			}
		}
	}
	if len(all.Problems) == 0 {
		return nil
	}
	return &all
}
