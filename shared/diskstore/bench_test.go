package diskstore_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"trackstore/shared/diskstore"
	"trackstore/shared/track"
)

// BenchmarkPut sends files to the disk server. "plain/ours" sets it beside the least that
// durable storage takes: writing the same bytes to a file and syncing it.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{64 << 10, 8 << 20} {
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) {
			root := b.TempDir()
			store := open(b, diskstore.Config{Root: root})
			content := bytes.Repeat([]byte("x"), size)
			b.SetBytes(int64(size))
			for b.Loop() {
				signed, err := store.SignPut(b.Context(), track.PutSpec{
					Key: "uploads/" + track.NewID().String(), Size: int64(size), ContentType: "audio/flac", TTL: time.Minute,
				})
				if err != nil {
					b.Fatal(err)
				}
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPut, signed.URL, bytes.NewReader(content))
				if err != nil {
					b.Fatal(err)
				}
				for name, value := range signed.Headers {
					r.Header.Set(name, value)
				}
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					b.Fatal(response.Status)
				}
			}
			b.StopTimer()
			const rounds = 20
			started := time.Now()
			for i := range rounds {
				if err := writePlain(filepath.Join(root, strconv.Itoa(i)), content); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(time.Since(started))/rounds/(float64(b.Elapsed())/float64(b.N)), "plain/ours")
		})
	}
}

func writePlain(name string, content []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

func BenchmarkSign(b *testing.B) {
	store := open(b, diskstore.Config{})
	spec := track.PutSpec{Key: track.UploadKey(track.NewID(), track.NewID(), "x.flac"), Size: 1, ContentType: "audio/flac", TTL: time.Minute}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.SignPut(b.Context(), spec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenFile(b *testing.B) {
	root := b.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a/b"), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "a/b/c.flac"), []byte("x"), 0o600); err != nil {
		b.Fatal(err)
	}
	store := open(b, diskstore.Config{Root: root})
	for name, path := range map[string]string{"relative": "a/b/c.flac", "absolute": filepath.Join(root, "a/b/c.flac")} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f, err := store.OpenFile(path)
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
