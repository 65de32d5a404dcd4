package schema_test

import (
	"io/fs"
	"strconv"
	"testing"

	"trackstore/migrations"
	"trackstore/shared/schema"
	"trackstore/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyPostgres(t)
	up := schema.Change{From: 0, To: latest}
	for _, step := range []struct {
		name string
		run  func() (schema.Change, error)
		want schema.Change
	}{
		{"up", func() (schema.Change, error) { return schema.Up(t.Context(), url) }, up},
		{"up again", func() (schema.Change, error) { return schema.Up(t.Context(), url) }, schema.Change{From: latest, To: latest}},
		{"one down", func() (schema.Change, error) { return schema.Down(t.Context(), url, 1) }, schema.Change{From: latest, To: latest - 1}},
		{"all down", func() (schema.Change, error) { return schema.Down(t.Context(), url, 99) }, schema.Change{From: latest - 1, To: 0}},
		{"down again", func() (schema.Change, error) { return schema.Down(t.Context(), url, 1) }, schema.Change{}},
		{"up after down", func() (schema.Change, error) { return schema.Up(t.Context(), url) }, up},
	} {
		got, err := step.run()
		if err != nil || got != step.want {
			t.Fatalf("%s: got %+v, %v, want %+v", step.name, got, err, step.want)
		}
		version, dirty, err := schema.Version(t.Context(), url)
		if err != nil || dirty || version != got.To {
			t.Errorf("version after %s: got %d, dirty %t, %v", step.name, version, dirty, err)
		}
	}
}

// latest is the newest migration's version.
var latest = newest()

func newest() (version uint) {
	names, _ := fs.Glob(migrations.FS, "*.up.sql")
	for _, name := range names {
		v, _ := strconv.ParseUint(name[:6], 10, 32)
		version = max(version, uint(v))
	}
	return version
}
