package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"trackstore/shared/config"
)

func TestSecretDoesNotPrint(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2"
	s := config.NewSecret(hidden)
	holder := struct{ key config.Secret }{s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "s", s, "holder", map[string]any{"s": s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "s", s)
	asJSON, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	printed := map[string]string{"json": string(asJSON), "slog": log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T", "%10s", "%w"} {
		printed[verb] = fmt.Sprintf(verb, s)
		printed["pointer "+verb] = fmt.Sprintf(verb, &s)
		printed["unexported "+verb] = fmt.Sprintf(verb, holder)
	}
	cfg, err := config.Load[config.PresignUpload](production.get)
	if err != nil {
		t.Fatal(err)
	}
	printed["configuration"] = fmt.Sprintf("%+v %#v", cfg, cfg)
	for how, text := range printed {
		for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), key32} {
			if strings.Contains(text, form) {
				t.Errorf("%s prints %s", how, text)
			}
		}
	}
	if printed["%v"] != "[redacted]" || s.Reveal() != hidden {
		t.Errorf("%%v prints %s, Reveal gives %q", printed["%v"], s.Reveal())
	}
}
