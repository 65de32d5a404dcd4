package audiotest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"trackstore/internal/audiotest"
)

// verified has the digests of the files of two seconds and seed 7, which ffmpeg (decoding without a warning), flac -t,
// ogginfo and opusinfo found valid. Whoever changes what is made has to have it judged by them again.
var verified = map[string]string{
	"wav":  "c9cacf5d9b8fae05",
	"aiff": "62d824771f4922a7",
	"flac": "d97af4cd942d1b9b",
	"mp3":  "eafdc644ac356e03",
	"ogg":  "df40e7936da0eecf",
	"opus": "a32dd7dda9f8eb64",
	"m4a":  "bd1d006bc29b9565",
	"aac":  "9b7a56b5d39eafce",
}

func TestFilesAreThoseThatDecodersFoundValid(t *testing.T) {
	t.Parallel()
	for _, f := range audiotest.All(2, 7) {
		sum := sha256.Sum256(f.Bytes)
		if got := hex.EncodeToString(sum[:8]); got != verified[f.Ext] {
			t.Errorf("%s: digest %s is not that of the verified file, %s", f.Ext, got, verified[f.Ext])
		}
	}
}

func TestTheSeedDecidesTheBytes(t *testing.T) {
	t.Parallel()
	one, again, other := audiotest.All(1, 1), audiotest.All(1, 1), audiotest.All(1, 2)
	for i, f := range one {
		if !bytes.Equal(f.Bytes, again[i].Bytes) {
			t.Errorf("%s: one seed makes different files", f.Ext)
		}
		if bytes.Equal(f.Bytes, other[i].Bytes) {
			t.Errorf("%s: different seeds make one file", f.Ext)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	if got := len(audiotest.WAV(3, 1)); got != 44+3*88200 {
		t.Errorf("WAV of 3 s has %d bytes", got)
	}
	if got := len(audiotest.WAV(0, 1)); got != 44 {
		t.Errorf("WAV of 0 s has %d bytes", got)
	}
	if got := string(audiotest.AIFF(1, 1)[:12]); !strings.HasPrefix(got, "FORM") || !strings.HasSuffix(got, "AIFF") {
		t.Errorf("AIFF begins with %q", got)
	}
}
