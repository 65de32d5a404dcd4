package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/config"
)

// env is an environment; with adds to it without changing it.
type env map[string]string

func (e env) get(name string) string { return e[name] }

func (e env) with(pairs ...string) env {
	all := env{}
	for k, v := range e {
		all[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return all
}

const key32 = "0123456789abcdef0123456789abcdef"

// production is a sound production environment, with s3.
var production = env{
	"APP_ENV":               "production",
	"DATABASE_URL":          "postgres://app:hunter2@db.internal/platform?sslmode=verify-full",
	"JWT_SECRET":            key32,
	"TRACK_STORAGE_BACKEND": "s3",
	"AWS_S3_ENABLED":        "true",
	"AWS_S3_BUCKET":         "platform-tracks",
	"AWS_REGION":            "eu-central-1",
}

// development is the least that the API starts with.
var development = env{
	"DATABASE_URL": "postgres://postgres@127.0.0.1/trackstore",
	"JWT_SECRET":   key32,
}

func problems(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var all *config.Error
	if !errors.As(err, &all) {
		t.Fatalf("%v is no *config.Error", err)
	}
	return lines(all.Problems)
}

// lines reduces problems to their variables and rules.
func lines(ps []config.Problem) []string {
	var s []string
	for _, p := range ps {
		s = append(s, fmt.Sprintf("%s %d", p.Variable, p.Rule))
	}
	return s
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load[config.PresignUpload](development.get)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Env != config.Development || cfg.LogLevel != slog.LevelInfo {
		t.Errorf("base is %+v", cfg.Base)
	}
	if s := cfg.Storage; s.Backend != "local" || s.LocalDir != ".local/tracks" || s.S3.Enabled || s.S3.Endpoint != nil {
		t.Errorf("storage is %+v", s)
	}
	want := config.Uploads{
		MaxBytes: 2 << 30, SingleMaxBytes: 64 << 20, URLTTL: 15 * time.Minute, TTL: 24 * time.Hour, MaxPending: 50,
		PlaybackURLTTL: 4 * time.Hour,
	}
	if diff := cmp.Diff(want, cfg.Uploads); diff != "" {
		t.Error(diff)
	}
	sweep, err := config.Load[config.SweepUploads](development.get)
	if err != nil {
		t.Fatal(err)
	}
	if sweep.Retention.Grace != 168*time.Hour || sweep.Retention.UploadTTL != 24*time.Hour {
		t.Errorf("sweep is %+v", sweep)
	}
	command, err := config.Load[config.Command](development.get)
	if err != nil || command.Migration.Lease != 2*time.Minute {
		t.Errorf("command is %+v, %v", command, err)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load[config.PresignUpload](production.with(
		"AWS_S3_ENDPOINT", "https://s3.example.com/",
		"TRACK_LOCAL_URL", "https://disk.example.com/files/", "TRACK_LOCAL_SECRET", key32,
		"CORS_ALLOWED_ORIGINS", " https://a.example.com ,http://localhost:3000,,",
		"UPLOAD_MAX_BYTES", "1.5 GiB", "UPLOAD_SINGLE_MAX_BYTES", "1000000",
		"UPLOAD_URL_TTL", "1h30m", "LOG_LEVEL", "DEBUG",
		"JWT_ISSUER", "https://login.example.com/", "JWT_AUDIENCE", "trackstore",
	).get)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"endpoint":        {cfg.Storage.S3.Endpoint.String(), "https://s3.example.com"},
		"public endpoint": {cfg.Storage.S3.PublicEndpoint.String(), "https://s3.example.com"},
		"disk server":     {cfg.DiskServer.URL.String(), "https://disk.example.com/files"},
		"origins":         {strings.Join(cfg.Uploads.AllowedOrigins, " "), "https://a.example.com http://localhost:3000"},
		"max bytes":       {cfg.Uploads.MaxBytes, int64(3 << 29)},
		"single":          {cfg.Uploads.SingleMaxBytes, int64(1_000_000)},
		"url ttl":         {cfg.Uploads.URLTTL, 90 * time.Minute},
		"level":           {cfg.LogLevel, slog.LevelDebug},
		"secret":          {cfg.Auth.Secret.Reveal(), key32},
		"issuer":          {cfg.Auth.Issuer, "https://login.example.com/"},
		"backend":         {cfg.Storage.Backend, "s3"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, not %v", name, pair[0], pair[1])
		}
	}
}
