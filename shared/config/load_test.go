package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/config"
)

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Load[config.PresignUpload](env{
		"APP_ENV":               "production",
		"DATABASE_URL":          "mysql://root:hunter2@db/x",
		"TRACK_STORAGE_BACKEND": "S3",
		"JWT_SECRET":            "hunter3",
		"UPLOAD_MAX_BYTES":      "big",
		"LOG_LEVEL":             "loud",
		"AWS_S3_ENDPOINT":       "https://me:hunter4@s3.example.com",
	}.get)
	want := []string{"LOG_LEVEL 10", "DATABASE_URL 2", "AWS_S3_ENDPOINT 5", "TRACK_STORAGE_BACKEND 11", "JWT_SECRET 3", "UPLOAD_MAX_BYTES 7"}
	if diff := cmp.Diff(want, problems(t, err)); diff != "" {
		t.Error(diff)
	}
	message := err.Error()
	for _, part := range []string{`TRACK_STORAGE_BACKEND="S3" is neither local nor s3 (rule 11)`, `UPLOAD_MAX_BYTES="big"`, "write it like 2GiB"} {
		if !strings.Contains(message, part) {
			t.Errorf("%q is not in:\n%s", part, message)
		}
	}
	if strings.Contains(message, "hunter") {
		t.Errorf("a secret is in:\n%s", message)
	}
	var first config.Problem
	if !errors.As(err, &first) || first.Variable != "LOG_LEVEL" {
		t.Errorf("the first problem is %+v", first)
	}
}

// TestOnlyWhatIsUsed starts each function with nothing but what it uses.
func TestOnlyWhatIsUsed(t *testing.T) {
	t.Parallel()
	database := env{"DATABASE_URL": "postgres://127.0.0.1/x"}
	s3 := database.with("AWS_S3_ENABLED", "true", "AWS_S3_BUCKET", "tracks", "AWS_REGION", "eu-central-1")
	_, schema := config.Load[config.MigrateSchema](database.get)
	_, created := config.Load[config.ObjectCreated](database.get)
	_, sweep := config.Load[config.SweepUploads](database.get)
	_, command := config.Load[config.Command](database.get)
	_, migrate := config.Load[config.MigrateBatch](s3.get)
	if err := errors.Join(schema, created, sweep, command, migrate); err != nil {
		t.Error(err)
	}
	if _, err := config.Load[config.PresignUpload](database.get); !slices.Contains(problems(t, err), "JWT_SECRET 3") {
		t.Errorf("presign-upload without a token key: %v", err)
	}
	if _, err := config.Load[config.MigrateBatch](database.get); !slices.Contains(problems(t, err), "AWS_S3_ENABLED 4") {
		t.Errorf("migrate-batch without S3: %v", err)
	}
}

func TestRequireS3(t *testing.T) {
	t.Parallel()
	off, _ := config.Load[config.Command](development.get)
	if got := problems(t, off.Storage.RequireS3()); !slices.Equal(got, []string{"AWS_S3_ENABLED 4"}) {
		t.Errorf("S3 off: %v", got)
	}
	on, _ := config.Load[config.Command](production.get)
	if err := on.Storage.RequireS3(); err != nil {
		t.Error(err)
	}
}

func TestProgramsReadWhatIsDeclared(t *testing.T) {
	t.Parallel()
	read := map[string]bool{}
	for _, p := range config.Programs() {
		for _, name := range p.Variables {
			read[name] = true
		}
		if p.Name != "presign-upload" && slices.Contains(p.Variables, "JWT_SECRET") {
			t.Errorf("%s reads JWT_SECRET", p.Name)
		}
	}
	for _, v := range config.Variables() {
		if !read[v.Name] {
			t.Errorf("%s is declared and read by nothing", v.Name)
		}
		if v.Rule < 1 || v.Rule > len(config.Rules()) {
			t.Errorf("%s has rule %d", v.Name, v.Rule)
		}
		if v.Default == "" && v.Example == "" {
			t.Errorf("%s has neither default nor example", v.Name)
		}
	}
}

func TestDevAndClient(t *testing.T) {
	t.Parallel()
	dev, err := config.Load[config.Dev](env{}.get)
	if err != nil || dev.Dir != ".local" || dev.Port != 8080 {
		t.Errorf("dev is %+v, %v", dev, err)
	}
	if _, err := config.Load[config.Dev](env{"PORT": "70000"}.get); err == nil {
		t.Error("port 70000 is taken")
	}
	client, err := config.Load[config.Client](env{"TRACKSTORE_TOKEN": "t", "TRACKSTORE_URL": "http://laptop:8080/"}.get)
	if err != nil || client.URL.String() != "http://laptop:8080" || client.Token.Reveal() != "t" {
		t.Errorf("client is %v, %v", client.URL, err)
	}
}

func TestLoggerBeginsWithTheWarnings(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load[config.ObjectCreated](development.with("TRACK_STORAGE_BACKEND", "minio", "LOG_LEVEL", "warn").get)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cfg.Logger(&out).Info("not shown")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"variable":"TRACK_STORAGE_BACKEND","value":"minio","rule":11`) {
		t.Errorf("logged:\n%s", got)
	}
}

// Lambda takes a line's level from it only where it finds both by these names.
func TestLambdaUnderstandsTheLines(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load[config.ObjectCreated](production.get)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cfg.Logger(&out).Error("broken")
	var line struct {
		Level     string    `json:"level"`
		Timestamp time.Time `json:"timestamp"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Level != "ERROR" || line.Timestamp.IsZero() {
		t.Errorf("%s: %v", out.String(), err)
	}
}
