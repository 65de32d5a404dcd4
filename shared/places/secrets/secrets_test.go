package secrets_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5"

	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/places/secrets"
)

const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf"

// manager speaks the part of Secrets Manager's protocol that is used: it answers every
// request for arn with one field.
func manager(t *testing.T, field string, value any) awsaccess.Loader {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ SecretId string } //nolint:revive // the protocol's name
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		switch err := json.NewDecoder(r.Body).Decode(&asked); {
		case err != nil, r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue":
			w.WriteHeader(http.StatusBadRequest)
		case !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/secretsmanager/"):
			t.Errorf("signed as %s", r.Header.Get("Authorization"))
			w.WriteHeader(http.StatusForbidden)
		case asked.SecretId != arn:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"ResourceNotFoundException","Message":"no such secret"}`))
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"ARN": arn, field: value})
		}
	}))
	t.Cleanup(server.Close)
	return func(context.Context) (aws.Config, error) {
		return aws.Config{
			Credentials:  credentials.NewStaticCredentialsProvider("id", "key", ""),
			BaseEndpoint: &server.URL,
			Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
		}, nil
	}
}

const (
	oddPassword = `p@s:s/w?o#r d%2F"ü&`
	oddJSON     = `"username":"app user","password":"p@s:s/w?o#r d%2F\"ü&"`
)

func TestDatabaseURL(t *testing.T) {
	t.Parallel()
	type want struct {
		host, database, user, password string
		port                           uint16
		verified                       bool
	}
	for _, test := range []struct {
		name, base, value string
		want              want
	}{
		{"of RDS", "", `{` + oddJSON + `,"engine":"postgres","host":"db.internal","port":5433,"dbname":"platform","dbInstanceIdentifier":"x"}`,
			want{"db.internal", "platform", "app user", oddPassword, 5433, true}},
		{"port as text, Aurora", "", `{` + oddJSON + `,"engine":"aurora-postgresql","host":"db.internal","port":"5433","dbname":"platform"}`,
			want{"db.internal", "platform", "app user", oddPassword, 5433, true}},
		{"no port", "", `{` + oddJSON + `,"host":"db.internal","dbname":"platform"}`,
			want{"db.internal", "platform", "app user", oddPassword, 5432, true}},
		{"IPv6", "", `{` + oddJSON + `,"host":"fd00::1","dbname":"platform"}`,
			want{"fd00::1", "platform", "app user", oddPassword, 5432, true}},
		{"this machine", "", `{` + oddJSON + `,"host":"127.0.0.1","dbname":"platform"}`,
			want{"127.0.0.1", "platform", "app user", oddPassword, 5432, false}},
		{"encryption without verification", "", `{` + oddJSON + `,"host":"db.internal","dbname":"platform","sslmode":"require"}`,
			want{"db.internal", "platform", "app user", oddPassword, 5432, false}},
		{"user and password alone", "postgres://proxy.internal:6432/platform?sslmode=verify-full", `{` + oddJSON + `}`,
			want{"proxy.internal", "platform", "app user", oddPassword, 6432, true}},
		{"a proxy before the database of the secret", "postgres://proxy.internal:6432/platform?sslmode=verify-full", `{` + oddJSON + `,"host":"db.internal","port":5432,"dbname":"other"}`,
			want{"proxy.internal", "platform", "app user", oddPassword, 6432, true}},
		{"a URL", "", "postgres://u:p%40@db.internal:5433/platform?sslmode=verify-full\n",
			want{"db.internal", "platform", "u", "p@", 5433, true}},
		{"a URL in JSON", "", `{"url":"postgresql://u:p@db.internal/platform?sslmode=require"}`,
			want{"db.internal", "platform", "u", "p", 5432, false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := config.Database{URL: config.NewSecret(test.base), SecretARN: arn}
			secret, err := secrets.DatabaseURL(t.Context(), db, manager(t, "SecretString", test.value))
			if err != nil {
				t.Fatal(err)
			}
			c, err := pgx.ParseConfig(secret.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			verified := c.TLSConfig != nil && !c.TLSConfig.InsecureSkipVerify && c.TLSConfig.ServerName == c.Host && len(c.Fallbacks) == 0
			if got := (want{c.Host, c.Database, c.User, c.Password, c.Port, verified}); got != test.want {
				t.Errorf("connects to %+v, not %+v", got, test.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, base, value, want string }{
		{"empty", "", "", "has no username"},
		{"a password alone", "", "hunter2", "neither JSON nor a postgres:// URL"},
		{"broken JSON", "", `{"password":"hunter2"`, "not valid JSON"},
		{"JSON of another shape", "", `{"password":["hunter2"]}`, "not valid JSON"},
		{"another engine", "", `{"engine":"mysql","username":"u","password":"hunter2","host":"h","dbname":"d"}`, "another engine"},
		{"no host", "", `{"username":"u","password":"hunter2"}`, "has no host"},
		{"no database", "", `{"username":"u","password":"hunter2","host":"h"}`, "has no dbname"},
		{"no password", "", `{"username":"hunter2","host":"h","dbname":"d"}`, "no password"},
		{"no password for a base", "postgres://h/d", `{"username":"hunter2"}`, "DATABASE_URL leaves them to it"},
		{"a URL of something else", "", "mysql://u:hunter2@h/d", "neither JSON nor a postgres:// URL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := config.Database{URL: config.NewSecret(test.base), SecretARN: arn}
			_, err := secrets.DatabaseURL(t.Context(), db, manager(t, "SecretString", test.value))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "DATABASE_SECRET_ARN") {
				t.Fatalf("the error is %v", err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestBinarySecret(t *testing.T) {
	t.Parallel()
	secret, err := secrets.DatabaseURL(t.Context(), config.Database{SecretARN: arn}, manager(t, "SecretBinary", []byte("postgres://u:p@h/d")))
	if err != nil || secret.Reveal() != "postgres://u:p@h/d" {
		t.Errorf("%q, %v", secret.Reveal(), err)
	}
}

func TestUnknownSecret(t *testing.T) {
	t.Parallel()
	_, err := secrets.DatabaseURL(t.Context(), config.Database{SecretARN: arn + "x"}, manager(t, "SecretString", ""))
	if err == nil || !strings.Contains(err.Error(), "DATABASE_SECRET_ARN") || !strings.Contains(err.Error(), "no such secret") {
		t.Errorf("the error is %v", err)
	}
}

// TestNothingIsAsked has no secret to read: the URL comes back without a call.
func TestNothingIsAsked(t *testing.T) {
	t.Parallel()
	url := config.NewSecret("postgres://u:p@h/d")
	got, err := secrets.DatabaseURL(t.Context(), config.Database{URL: url}, func(context.Context) (aws.Config, error) {
		t.Error("AWS is asked")
		return aws.Config{}, nil
	})
	if err != nil || got != url {
		t.Errorf("%q, %v", got.Reveal(), err)
	}
}

// Without a way to Secrets Manager nothing answers, and a function is to say so while it may.
func TestSilence(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // connections wait in its queue for ever
	endpoint := "http://" + listener.Addr().String()
	access := func(context.Context) (aws.Config, error) {
		return aws.Config{Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), BaseEndpoint: &endpoint}, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second) // before Lambda ends it
	defer cancel()
	_, err = secrets.DatabaseURL(ctx, config.Database{SecretARN: arn}, access)
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "DATABASE_SECRET_ARN") {
		t.Errorf("%v, with %v", err, ctx.Err())
	}
}
