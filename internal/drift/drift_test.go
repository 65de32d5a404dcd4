package drift_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"trackstore/internal/drift"
	"trackstore/shared/config"
)

var update = flag.Bool("update", false, "write the generated files")

const root = "../.."

func TestProjectHasNoDrift(t *testing.T) {
	t.Parallel()
	if *update {
		for file, content := range map[string]string{drift.DocsFile: drift.Markdown(), drift.EnvTemplateFile: drift.EnvTemplate()} {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	found, err := drift.Check(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// project is a project without drift.
func project() fstest.MapFS {
	return fstest.MapFS{
		drift.DocsFile:        file(drift.Markdown()),
		drift.EnvTemplateFile: file(drift.EnvTemplate()),
		"template.yaml":       file(soundTemplate()),
		"functions/presign-upload/main.go": file(`package main
			func main() { config.Load[config.PresignUpload](os.Getenv) }`),
	}
}

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// soundTemplate gives each function what it reads, APP_ENV by way of Globals.
func soundTemplate() string {
	ids := map[string]string{
		"presign-upload": "PresignUploadFunction", "object-created": "ObjectCreatedFunction", "migrate-batch": "MigrateBatchFunction",
		"sweep-uploads": "SweepUploadsFunction", "migrate-schema": "MigrateSchemaFunction", "deliver-events": "DeliverEventsFunction",
	}
	var b strings.Builder
	b.WriteString("Globals: {Function: {Environment: {Variables: {APP_ENV: !Ref Stage}}}}\nResources:\n")
	for _, p := range config.Programs() {
		id, ok := ids[p.Name]
		if !ok {
			continue
		}
		b.WriteString("  " + id + ":\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: bootstrap\n      Environment:\n        Variables:\n")
		for _, v := range p.Variables {
			if v != "APP_ENV" && v != "AWS_REGION" {
				b.WriteString("          " + v + ": !Sub '${Value}'\n")
			}
		}
	}
	return b.String()
}

func TestFindings(t *testing.T) {
	t.Parallel()
	replace := func(name, old, new string) func(fstest.MapFS) {
		return func(p fstest.MapFS) {
			content := strings.Replace(string(p[name].Data), old, new, 1)
			if content == string(p[name].Data) {
				panic(old + " is not in " + name)
			}
			p[name] = file(content)
		}
	}
	for _, test := range []struct {
		name   string
		damage func(fstest.MapFS)
		want   string // in the only finding; "" is none
	}{
		{"sound", func(fstest.MapFS) {}, ""},
		{"docs edited by hand", replace(drift.DocsFile, "`24h`", "`12h`"), "docs/ENV_VARIABLES.md: line"},
		{"docs cut off", func(p fstest.MapFS) { p[drift.DocsFile] = file(drift.Markdown()[:200]) }, "docs/ENV_VARIABLES.md: "},
		{"docs missing", func(p fstest.MapFS) { delete(p, drift.DocsFile) }, "docs/ENV_VARIABLES.md: is missing"},
		{"another default", replace(drift.EnvTemplateFile, "TRACK_STORAGE_BACKEND=local", "TRACK_STORAGE_BACKEND=s3"), `.env.template: line`},
		{"one more variable", func(p fstest.MapFS) { p[drift.EnvTemplateFile] = file(drift.EnvTemplate() + "MORE=1\n") }, ".env.template: "},
		{"no template", func(p fstest.MapFS) { delete(p, "template.yaml") }, ""},
		{"variable not passed", replace("template.yaml", "          JWT_SECRET: !Sub '${Value}'\n", ""), "PresignUploadFunction reads JWT_SECRET and is not given it"},
		{"unknown variable passed", replace("template.yaml", "          JWT_SECRET:", "          JWT_SECRETS: x\n          JWT_SECRET:"), "PresignUploadFunction is given JWT_SECRETS and does not read it"},
		{"needless variable", replace("template.yaml", "MIGRATE_LEASE:", "UPLOAD_MAX_BYTES: x\n          MIGRATE_LEASE:"), "MigrateBatchFunction is given UPLOAD_MAX_BYTES and does not read it"},
		{"unknown global", replace("template.yaml", "{APP_ENV:", "{APP_ENVIRONMENT: x, APP_ENV:"), "Globals gives APP_ENVIRONMENT, which no function reads"},
		{"function missing", replace("template.yaml", "  SweepUploadsFunction:", "  SweepFunction:"), "has no function SweepUploadsFunction"},
		{"undeclared in code", replace("functions/presign-upload/main.go", "main() {", "main() { os.Getenv(`JWT_SEKRET`);"), "functions/presign-upload/main.go:2: reads JWT_SEKRET, which is not declared"},
		{"undeclared getenv", replace("functions/presign-upload/main.go", "main() {", "main() { _ = c.getenv(\"BUCKET\");"), "reads BUCKET, which is not declared"},
		{"undeclared flag", replace("functions/presign-upload/main.go", "main() {", "main() { var _ struct { URL string `env:\"TRACK_URL\"` };"), "reads TRACK_URL, which is not declared"},
		{"declared in code", replace("functions/presign-upload/main.go", "main() {", "main() { os.Getenv(`PORT`);"), ""},
		{"in a helper of tests", func(p fstest.MapFS) {
			p["shared/pgtest/pgtest.go"] = file("package pgtest\nimport \"testing\"\nfunc f(testing.TB) { os.Getenv(`TEST_PG`) }")
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := project()
			test.damage(p)
			found, err := drift.Check(p)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case test.want == "" && len(found) == 0:
			case test.want != "" && len(found) == 1 && strings.Contains(found[0].String(), test.want):
			default:
				t.Errorf("found %v, not %q", found, test.want)
			}
		})
	}
}

func TestGlobalSecretReachesOthers(t *testing.T) {
	t.Parallel()
	p := project()
	p["template.yaml"] = file(strings.Replace(soundTemplate(), "{APP_ENV:", "{JWT_SECRET: x, APP_ENV:", 1))
	found, err := drift.Check(p)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 5 { // every function but presign-upload
		t.Errorf("found %v", found)
	}
}

func TestBrokenFilesAreErrors(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"template.yaml": "a: [", "functions/presign-upload/main.go": "package"} {
		p := project()
		p[name] = file(content)
		if _, err := drift.Check(p); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
