package devstack

import (
	"context"
	"time"

	"trackstore/shared/track"
)

// tokenLife is how long the token in the env file lives; a new one is written at every start.
const tokenLife = 30 * 24 * time.Hour

// announce tells everybody where the stack is: programs by the env file, which is written only now that all is up, and
// the person in front of it.
func (s *stack) announce(port int) error {
	token, err := demoToken(s.settings.api.Auth, tokenLife)
	if err != nil {
		return err
	}
	s.env.chosen["TRACKSTORE_URL"], s.env.chosen["TRACKSTORE_TOKEN"] = apiURL(port), token
	if endpoint := s.env.get("AWS_S3_ENDPOINT"); endpoint != "" {
		s.env.fixed["AWS_ENDPOINT_URL_S3"] = endpoint
	}
	// What was chosen is kept first: the next start must know it again when it meets it in a shell.
	if err := s.state.keepChosen(s.env.chosen); err != nil {
		return err
	}
	host := ""
	if s.Containers {
		host = "host.docker.internal"
	}
	s.onStop("the env file", func(context.Context) error { return s.state.remove(envFile, samEnvFile) })
	if err := s.env.writeEnv(s.state, host); err != nil {
		return err
	}
	storage := s.settings.api.Storage
	s.say("")
	s.say("trackstore is up: %s", apiURL(port))
	s.say("")
	if storage.Backend == track.S3 {
		s.say("  new uploads  S3, bucket %s", storage.S3.Bucket)
	} else {
		s.say("  new uploads  %s", storage.LocalDir)
	}
	s.say("  state, logs  %s", s.state.path)
	s.say("  stop         Ctrl-C")
	s.say("")
	s.say("In another shell:")
	s.say("")
	s.say("  set -a; . %s; set +a", shellQuote(s.state.join(envFile)))
	s.say("  %s upload FILE", "bin/trackstore")
	if storage.S3.Enabled {
		s.say("  %s migrate-storage plan", "bin/trackstore")
	}
	return nil
}
