package devstack

import (
	"maps"
	"os/exec"
	"path/filepath"
	"testing"
)

// planned makes the environment of a stack that is started on port 8080 where outer is set, after a run that chose last.
func planned(t *testing.T, outer, last map[string]string) (*environment, plan) {
	t.Helper()
	e := newEnvironment(func(name string) string { return outer[name] }, last)
	p, err := e.plan("/state", 8080)
	if err != nil {
		t.Fatal(err)
	}
	return e, p
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set     map[string]string
		want    plan
		backend string // where new files go
	}{
		"nothing is set": {nil, plan{postgres: true, s3: true}, "s3"},
		"local disk":     {map[string]string{"TRACK_STORAGE_BACKEND": "local"}, plan{postgres: true}, "local"},
		"local disk, and S3 to migrate to": {
			map[string]string{"TRACK_STORAGE_BACKEND": "local", "AWS_S3_ENABLED": "true"}, plan{postgres: true, s3: true}, "local"},
		"a flag that nobody understands": {map[string]string{"TRACK_STORAGE_BACKEND": "minio"}, plan{postgres: true}, "local"},
		"the flag, and no S3":            {map[string]string{"TRACK_STORAGE_BACKEND": "s3", "AWS_S3_ENABLED": "false"}, plan{postgres: true}, "local"},
		"another S3":                     {map[string]string{"AWS_S3_ENDPOINT": "http://127.0.0.1:9001"}, plan{postgres: true}, "s3"},
		"another database":               {map[string]string{"DATABASE_URL": "postgres://db/x"}, plan{s3: true}, "s3"},
		"a database by its secret": {
			map[string]string{"DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db"}, plan{s3: true}, "s3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, got := planned(t, test.set, nil)
			if got != test.want {
				t.Errorf("the stack starts %+v, want %+v", got, test.want)
			}
			s, err := e.settings()
			if err != nil {
				t.Fatal(err)
			}
			if s.api.Storage.Backend != test.backend {
				t.Errorf("new files go to %s, want %s", s.api.Storage.Backend, test.backend)
			}
			for name, value := range test.set {
				if e.get(name) != value {
					t.Errorf("%s is %q, and was set to %q", name, e.get(name), value)
				}
			}
		})
	}
}

func TestAShellThatSourcedTheEnvFileIsNoChoiceOfTheUsers(t *testing.T) {
	t.Parallel()
	first, _ := planned(t, nil, nil)
	first.choose("DATABASE_URL", "postgres://trackstore:secret@127.0.0.1:5433/trackstore")
	first.choose("AWS_S3_ENDPOINT", "http://127.0.0.1:9001")
	shell := maps.Clone(first.chosen)

	second, p := planned(t, shell, first.chosen)
	if want := (plan{postgres: true, s3: true}); p != want {
		t.Errorf("the stack starts %+v, want %+v", p, want)
	}
	for _, name := range []string{"JWT_SECRET", "TRACK_LOCAL_SECRET", "DATABASE_URL", "AWS_S3_ENDPOINT"} {
		if second.get(name) != first.get(name) {
			t.Errorf("%s was %q, and is %q", name, first.get(name), second.get(name))
		}
	}

	shell["TRACK_STORAGE_BACKEND"] = "local"
	third, p := planned(t, shell, first.known())
	if want := (plan{postgres: true}); p != want {
		t.Errorf("on local disk the stack starts %+v, want %+v", p, want)
	}
	if v := third.get("AWS_S3_ENDPOINT"); v != "" {
		t.Errorf("AWS_S3_ENDPOINT is still %q where there is no S3", v)
	}
	if v := third.known()["AWS_S3_ENDPOINT"]; v != first.get("AWS_S3_ENDPOINT") {
		t.Errorf("a run without S3 forgot where that was: %q", v)
	}
	shell["JWT_SECRET"] = "the user's own, all of it 32 bytes long"
	fourth, _ := planned(t, shell, first.chosen)
	if v := fourth.get("JWT_SECRET"); v != shell["JWT_SECRET"] {
		t.Errorf("JWT_SECRET is %q", v)
	}
}

func TestShellQuoteSurvivesAShell(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "plain", `it's`, `a "b" $HOME $(id) \ ; & | * ~ #`, "two\nlines", "ü🎵", "'"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+shellQuote(value)).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q became %q (%v)", value, out, err)
		}
	}
}

func TestRehost(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://127.0.0.1:9000":                             "http://host.docker.internal:9000",
		"postgres://u:127.0.0.1@127.0.0.1:5433/x?sslmode=a": "postgres://u:127.0.0.1@host.docker.internal:5433/x?sslmode=a",
		"http://localhost/x":                                "http://host.docker.internal/x",
		"https://s3.example.com":                            "https://s3.example.com",
		"":                                                  "",
	} {
		if got := rehost(url, "host.docker.internal"); got != want {
			t.Errorf("%q became %q, want %q", url, got, want)
		}
		if got := rehost(url, ""); got != url {
			t.Errorf("%q became %q, and should stay", url, got)
		}
	}
}

func TestStateIsHeldByOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	first, err := openState(path)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := openState(path); err == nil {
		second.close()
		t.Error("two hold the same state")
	}
	want := map[string]string{"A": "b'\n"}
	if err := first.keepChosen(want); err != nil {
		t.Fatal(err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	second, err := openState(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if got, err := second.lastChosen(); err != nil || !maps.Equal(got, want) {
		t.Errorf("kept %v, %v; want %v", got, err, want)
	}
}
