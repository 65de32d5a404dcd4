package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/config"
)

const secretARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf"

// TestRules breaks one thing at a time of a sound environment of presign-upload.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		set  []string // variable, value, …; an empty value unsets
		// What is refused. What only production refuses, development warns about, but for
		// URLs in the clear, which are normal there.
		production, development []string
	}{
		{"nothing broken", nil, nil, nil},

		{"unknown environment", []string{"APP_ENV", "prod"}, []string{"APP_ENV 1"}, []string{"APP_ENV 1"}},

		{"no database", []string{"DATABASE_URL", ""}, []string{"DATABASE_URL 2"}, []string{"DATABASE_URL 2"}},
		{"database by secret", []string{"DATABASE_URL", "", "DATABASE_SECRET_ARN", secretARN}, nil, nil},
		{"database by both", []string{"DATABASE_URL", "postgres://u:p@db/x?sslmode=require", "DATABASE_SECRET_ARN", secretARN}, []string{"DATABASE_URL 2"}, []string{"DATABASE_URL 2"}},
		{"password by secret", []string{"DATABASE_URL", "postgres://db/x?sslmode=require", "DATABASE_SECRET_ARN", secretARN}, nil, nil},
		{"another database", []string{"DATABASE_URL", "mysql://db/x"}, []string{"DATABASE_URL 2"}, []string{"DATABASE_URL 2"}},
		{"no URL", []string{"DATABASE_URL", "postgres://u:p%zz@db/x"}, []string{"DATABASE_URL 2"}, []string{"DATABASE_URL 2"}},
		{"a secret's name", []string{"DATABASE_URL", "", "DATABASE_SECRET_ARN", "my-secret"}, []string{"DATABASE_SECRET_ARN 2"}, []string{"DATABASE_SECRET_ARN 2"}},

		{"no token key", []string{"JWT_SECRET", ""}, []string{"JWT_SECRET 3"}, []string{"JWT_SECRET 3"}},
		{"short token key", []string{"JWT_SECRET", "short"}, []string{"JWT_SECRET 3"}, nil},
		{"JWKS", []string{"JWT_SECRET", "", "JWT_JWKS_URL", "https://login.example.com/jwks?x=1"}, nil, nil},
		{"JWKS beside a secret", []string{"JWT_JWKS_URL", "https://login.example.com/jwks"}, nil, nil},
		{"JWKS in the clear", []string{"JWT_JWKS_URL", "http://login.example.com/jwks"}, []string{"JWT_JWKS_URL 3"}, nil},
		{"JWKS on this machine", []string{"JWT_JWKS_URL", "http://127.0.0.1:9000/jwks"}, nil, nil},
		{"JWKS that is no URL", []string{"JWT_SECRET", "", "JWT_JWKS_URL", "login.example.com/jwks"}, []string{"JWT_JWKS_URL 3"}, []string{"JWT_JWKS_URL 3"}},

		{"enabled without bucket and region", []string{"AWS_S3_ENABLED", "true", "AWS_S3_BUCKET", "", "AWS_REGION", ""}, []string{"AWS_S3_BUCKET 4", "AWS_REGION 4"}, []string{"AWS_S3_BUCKET 4", "AWS_REGION 4"}},
		{"bad bucket", []string{"AWS_S3_ENABLED", "true", "AWS_S3_BUCKET", "My_Bucket", "AWS_REGION", "eu-central-1"}, []string{"AWS_S3_BUCKET 4"}, []string{"AWS_S3_BUCKET 4"}},
		{"bad region", []string{"AWS_S3_ENABLED", "true", "AWS_S3_BUCKET", "tracks", "AWS_REGION", "Frankfurt (EU)"}, []string{"AWS_REGION 4"}, []string{"AWS_REGION 4"}},
		{"bad boolean", []string{"AWS_S3_FORCE_PATH_STYLE", "on"}, []string{"AWS_S3_FORCE_PATH_STYLE 4"}, []string{"AWS_S3_FORCE_PATH_STYLE 4"}},

		{"endpoint without scheme", []string{"AWS_S3_ENDPOINT", "s3.example.com"}, []string{"AWS_S3_ENDPOINT 5"}, []string{"AWS_S3_ENDPOINT 5"}},
		{"endpoint with a user", []string{"AWS_S3_ENDPOINT", "https://me:pw@s3.example.com"}, []string{"AWS_S3_ENDPOINT 5"}, []string{"AWS_S3_ENDPOINT 5"}},
		{"endpoint with a query", []string{"AWS_S3_ENDPOINT", "https://s3.example.com/?a=b"}, []string{"AWS_S3_ENDPOINT 5"}, []string{"AWS_S3_ENDPOINT 5"}},
		{"endpoint in the clear", []string{"AWS_S3_PUBLIC_ENDPOINT", "http://s3.example.com"}, []string{"AWS_S3_PUBLIC_ENDPOINT 5"}, nil},
		{"endpoint on this machine", []string{"AWS_S3_ENDPOINT", "http://localhost:9000"}, nil, nil},

		{"local without a disk server", []string{"TRACK_STORAGE_BACKEND", "local", "TRACK_LOCAL_URL", "", "TRACK_LOCAL_SECRET", ""}, []string{"TRACK_LOCAL_URL 6"}, nil},
		{"disk server without a key", []string{"TRACK_LOCAL_URL", "https://disk.example.com", "TRACK_LOCAL_SECRET", ""}, []string{"TRACK_LOCAL_SECRET 6"}, []string{"TRACK_LOCAL_SECRET 6"}},
		{"disk server's key alone", []string{"TRACK_LOCAL_URL", "", "TRACK_LOCAL_SECRET", key32}, []string{"TRACK_LOCAL_URL 6"}, []string{"TRACK_LOCAL_URL 6"}},
		{"disk server's key is short", []string{"TRACK_LOCAL_URL", "https://disk.example.com", "TRACK_LOCAL_SECRET", "short"}, []string{"TRACK_LOCAL_SECRET 6"}, nil},

		{"zero size", []string{"UPLOAD_MAX_BYTES", "0"}, []string{"UPLOAD_MAX_BYTES 7"}, []string{"UPLOAD_MAX_BYTES 7"}},
		{"negative size", []string{"UPLOAD_MAX_BYTES", "-5MiB"}, []string{"UPLOAD_MAX_BYTES 7"}, []string{"UPLOAD_MAX_BYTES 7"}},
		{"no size", []string{"UPLOAD_MAX_BYTES", "lots"}, []string{"UPLOAD_MAX_BYTES 7"}, []string{"UPLOAD_MAX_BYTES 7"}},
		{"more than S3 takes", []string{"UPLOAD_MAX_BYTES", "6TiB", "UPLOAD_SINGLE_MAX_BYTES", "5.1GiB"}, []string{"UPLOAD_MAX_BYTES 7", "UPLOAD_SINGLE_MAX_BYTES 7"}, []string{"UPLOAD_MAX_BYTES 7", "UPLOAD_SINGLE_MAX_BYTES 7"}},
		{"beyond 64 bits", []string{"UPLOAD_MAX_BYTES", "15EiB"}, []string{"UPLOAD_MAX_BYTES 7"}, []string{"UPLOAD_MAX_BYTES 7"}},
		{"nothing may be open", []string{"UPLOAD_MAX_PENDING", "0"}, []string{"UPLOAD_MAX_PENDING 7"}, []string{"UPLOAD_MAX_PENDING 7"}},

		{"no duration", []string{"UPLOAD_URL_TTL", "15"}, []string{"UPLOAD_URL_TTL 8"}, []string{"UPLOAD_URL_TTL 8"}},
		{"URL lives too long", []string{"UPLOAD_URL_TTL", "169h", "UPLOAD_TTL", "200h"}, []string{"UPLOAD_URL_TTL 8"}, []string{"UPLOAD_URL_TTL 8"}},
		{"URL lives too short", []string{"UPLOAD_URL_TTL", "500ms"}, []string{"UPLOAD_URL_TTL 8"}, []string{"UPLOAD_URL_TTL 8"}},
		{"negative life", []string{"UPLOAD_TTL", "-1h"}, []string{"UPLOAD_TTL 8"}, []string{"UPLOAD_TTL 8"}},
		{"URL outlives its upload", []string{"UPLOAD_TTL", "2s"}, []string{"UPLOAD_TTL 8"}, nil},

		{"origin with a path", []string{"CORS_ALLOWED_ORIGINS", "https://a.example.com/app"}, []string{"CORS_ALLOWED_ORIGINS 10"}, []string{"CORS_ALLOWED_ORIGINS 10"}},
		{"origin without scheme", []string{"CORS_ALLOWED_ORIGINS", "*,a.example.com"}, []string{"CORS_ALLOWED_ORIGINS 10"}, []string{"CORS_ALLOWED_ORIGINS 10"}},
		{"every origin", []string{"CORS_ALLOWED_ORIGINS", "*"}, nil, nil},
		{"no level", []string{"LOG_LEVEL", "loud"}, []string{"LOG_LEVEL 10"}, []string{"LOG_LEVEL 10"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load[config.PresignUpload](production.with(test.set...).get)
			if diff := cmp.Diff(test.production, problems(t, err)); diff != "" {
				t.Error("production:", diff)
			}
			sound := production.with("APP_ENV", "development")
			cfg, err := config.Load[config.PresignUpload](sound.with(test.set...).get)
			if diff := cmp.Diff(test.development, problems(t, err)); diff != "" {
				t.Error("development:", diff)
			}
			if len(test.development) == 0 && !strings.Contains(test.name, "in the clear") {
				if diff := cmp.Diff(test.production, lines(cfg.Warnings)); diff != "" {
					t.Error("development's warnings:", diff)
				}
			}
		})
	}
}

// TestRule11 is the rule on where new files go.
func TestRule11(t *testing.T) {
	t.Parallel()
	const rule = "TRACK_STORAGE_BACKEND 11"
	disk := []string{"TRACK_LOCAL_URL", "https://disk.example.com", "TRACK_LOCAL_SECRET", key32}
	for _, test := range []struct {
		backend, enabled string
		want             string // the backend; "" is a fault
	}{
		{"", "false", "local"},
		{"local", "false", "local"},
		{"local", "true", "local"},
		{"s3", "true", "s3"},
		{"s3", "false", ""},
		{"s3", "", ""},
		{"S3", "true", ""},
		{"minio", "true", ""},
		{"Local", "true", ""},
		{" s3", "true", ""},
		{"s3 ", "true", ""},
		{"s3,local", "true", ""},
	} {
		t.Run(test.backend+" "+test.enabled, func(t *testing.T) {
			t.Parallel()
			e := production.with(disk...).with("TRACK_STORAGE_BACKEND", test.backend, "AWS_S3_ENABLED", test.enabled)

			cfg, err := config.Load[config.PresignUpload](e.get)
			switch {
			case test.want == "" && strings.Join(problems(t, err), ",") != rule:
				t.Errorf("production answers %v", err)
			case test.want != "" && (err != nil || cfg.Storage.Backend != test.want):
				t.Errorf("production uses %q, %v", cfg.Storage.Backend, err)
			}

			for _, lenient := range []string{"", "development", "staging", "test"} {
				cfg, err := config.Load[config.PresignUpload](e.with("APP_ENV", lenient).get)
				if err != nil {
					t.Fatalf("%s: %v", lenient, err)
				}
				warnings := strings.Join(lines(cfg.Warnings), ",")
				switch {
				case test.want == "" && (cfg.Storage.Backend != "local" || warnings != rule):
					t.Errorf("%s uses %q and warns of %q", lenient, cfg.Storage.Backend, warnings)
				case test.want != "" && (cfg.Storage.Backend != test.want || warnings != ""):
					t.Errorf("%s uses %q and warns of %q", lenient, cfg.Storage.Backend, warnings)
				}
			}
		})
	}
}

// TestRule11Everywhere shows that no program that touches tracks starts with the fault.
func TestRule11Everywhere(t *testing.T) {
	t.Parallel()
	get := production.with("TRACK_STORAGE_BACKEND", "S3").get
	_, presign := config.Load[config.PresignUpload](get)
	_, created := config.Load[config.ObjectCreated](get)
	_, migrate := config.Load[config.MigrateBatch](get)
	_, sweep := config.Load[config.SweepUploads](get)
	_, command := config.Load[config.Command](get)
	for name, err := range map[string]error{"presign": presign, "created": created, "migrate": migrate, "sweep": sweep, "command": command} {
		if got := strings.Join(problems(t, err), ","); !strings.Contains(got, "TRACK_STORAGE_BACKEND 11") {
			t.Errorf("%s starts: %q", name, got)
		}
	}
}

// TestRule9 has variables that presign-upload does not read.
func TestRule9(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                    string
		set                     []string
		production, development []string
	}{
		{"grace shorter than uploads", []string{"STORAGE_GRACE", "1s", "MIGRATE_LEASE", "1s"}, []string{"STORAGE_GRACE 9"}, nil},
		{"grace shorter than leases", []string{"STORAGE_GRACE", "1m", "UPLOAD_TTL", "1s"}, []string{"STORAGE_GRACE 9"}, nil},
		{"no grace", []string{"STORAGE_GRACE", "0s", "UPLOAD_TTL", "1s", "MIGRATE_LEASE", "1s"}, []string{"STORAGE_GRACE 9", "STORAGE_GRACE 9"}, nil},
		{"negative grace", []string{"STORAGE_GRACE", "-1h"}, []string{"STORAGE_GRACE 9"}, []string{"STORAGE_GRACE 9"}},
		{"lease too short", []string{"MIGRATE_LEASE", "10ms"}, []string{"MIGRATE_LEASE 9"}, []string{"MIGRATE_LEASE 9"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load[config.SweepUploads](production.with(test.set...).get)
			if diff := cmp.Diff(test.production, problems(t, err)); diff != "" {
				t.Error("production:", diff)
			}
			_, err = config.Load[config.SweepUploads](production.with("APP_ENV", "test").with(test.set...).get)
			if diff := cmp.Diff(test.development, problems(t, err)); diff != "" {
				t.Error("test:", diff)
			}
		})
	}
}

func TestClearTextDatabaseWarnsInProduction(t *testing.T) {
	t.Parallel()
	for url, warns := range map[string]bool{
		"postgres://u:p@db.internal/x":                    true,
		"postgres://u:p@db.internal/x?sslmode=disable":    true,
		"postgres://u:p@db.internal/x?sslmode=require":    false,
		"postgres://u:p@127.0.0.1:5432/x":                 false,
		"postgres://u:p@[::1]/x?sslmode=disable":          false,
		"postgresql:///x?host=/var/run/postgresql&user=u": false,
	} {
		cfg, err := config.Load[config.MigrateSchema](env{"APP_ENV": "production", "DATABASE_URL": url}.get)
		if err != nil || len(cfg.Warnings) > 0 != warns {
			t.Errorf("%s: %v, %v", url, cfg.Warnings, err)
		}
	}
}
