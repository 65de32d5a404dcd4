package track_test

import (
	"testing"

	"trackstore/shared/track"
)

func TestParseTable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                           "tracks",
		"tracks":                     "tracks",
		"Tracks":                     "tracks", // SQL folds it
		`"Tracks"`:                   `"Tracks"`,
		`"tracks"`:                   "tracks",
		"media.tracks":               "media.tracks",
		`"Media".Tracks`:             `"Media".tracks`,
		`media."my tracks"`:          `media."my tracks"`,
		`"a""b"`:                     `"a""b"`,
		`"a.b".c`:                    `"a.b".c`,
		`"user"`:                     `"user"`,
		"_t$1":                       `"_t$1"`,
		`"x; DROP TABLE tracks; --"`: `"x; DROP TABLE tracks; --"`,
	} {
		got, err := track.ParseTable(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
		if again, err := track.ParseTable(got.String()); err != nil || again.String() != want {
			t.Errorf("%s, read again: %s, %v", got, again, err)
		}
	}
	for _, text := range []string{
		" tracks", "tracks ", "my tracks", "a.b.c", ".tracks", "tracks.", `"tracks`, `""`, `""."x"`, "tracks;", "1tracks",
		"tracks--", `"a"b`, "a'b", "a\x00", "\"a\x00b\"",
		"a234567890123456789012345678901234567890123456789012345678901234",
	} {
		if got, err := track.ParseTable(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}
