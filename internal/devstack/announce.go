package devstack

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"trackstore/shared/track"
)

// tokenLife is how long the token in the env file lives; a new one is written at every start.
const tokenLife = 30 * 24 * time.Hour

// announce tells everybody where the stack is: programs by the env file, which is written only now that all is up, and
// the person in front of it.
func (s *stack) announce() error {
	token, err := demoToken(s.settings.api.Auth, tokenLife)
	if err != nil {
		return err
	}
	s.env.chosen["TRACKSTORE_URL"], s.env.chosen["TRACKSTORE_TOKEN"] = s.url, token
	if endpoint := s.env.get("AWS_S3_ENDPOINT"); endpoint != "" {
		s.env.fixed["AWS_ENDPOINT_URL_S3"] = endpoint
	}
	// What was chosen is kept first: the next start must know it again when it meets it in a shell.
	if err := s.state.keepChosen(s.env.known()); err != nil {
		return err
	}
	host := ""
	if s.Containers {
		host = "host.docker.internal"
	}
	s.handlers = append(s.handlers, part{"announcing", func(context.Context) error { return s.state.remove(envFile, samEnvFile) }})
	if err := s.env.writeEnv(s.state, host); err != nil {
		return err
	}
	storage := s.settings.api.Storage
	where := storage.LocalDir
	if storage.Backend == track.S3 {
		where = "S3, bucket " + storage.S3.Bucket
	}
	s.say("\ntrackstore is up: %s\n", s.url)
	s.say("  new uploads  %s", where)
	s.say("  state, logs  %s", s.state.path)
	s.say("  stop         Ctrl-C\n")
	if storage.S3.Enabled && !s.plan.s3 {
		s.say("Events of that S3 server do not come here: uploads are confirmed by the client's call, or by the sweep, every %s.\n", sweepEvery)
	}
	s.say("In another shell:\n")
	s.say("  set -a; . %s; set +a", shellQuote(short(s.state.join(envFile))))
	s.say("  bin/trackstore upload FILE")
	if storage.S3.Enabled {
		s.say("  bin/trackstore migrate-storage plan")
	}
	return nil
}

// short is a path as it is written from here, where that is below.
func short(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
		return "./" + rel // with a slash, or a shell would look for it along PATH
	}
	return path
}
