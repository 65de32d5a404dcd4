package functions_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trackstore/internal/testenv"
)

// BenchmarkFirstURL measures what a client waits for whose request meets a cold start of presign-upload, and where that
// time goes, in milliseconds; each is the median of processes that start one after the other.
//
//	start        until the function asks for its first event, with the database's URL in its environment
//	secret       what that takes longer where the URL is read from Secrets Manager: TLS, a signature, an answer
//	first        the first ticket: a connection to Postgres, a statement that is prepared, a signed URL
//	warm         the second
func BenchmarkFirstURL(b *testing.B) {
	p, w := &programs{dir: b.TempDir()}, newWorld(b, testenv.Postgres(b))
	open := w.event("presign-upload/events/open-put.json")
	plain := append(w.env(), "UPLOAD_MAX_PENDING=1000") // they stay open
	secret := slices.DeleteFunc(slices.Clone(plain), func(variable string) bool { return strings.HasPrefix(variable, "DATABASE_URL=") })
	secret = append(secret, newSecretsManager(b, w.url)...)
	var starts, withSecret, first, warm []time.Duration
	for b.Loop() {
		for _, env := range [][]string{plain, secret} {
			s := p.serve(b, "presign-upload", env...)
			began := time.Now()
			one := func() time.Duration {
				if got := s.invoke(open, time.Minute); got.failed || !strings.Contains(got.body, `"statusCode":201`) {
					b.Fatalf("%s\n%s", got.body, s.logged())
				}
				took := time.Since(began)
				began = time.Now()
				return took
			}
			all := one()
			started := s.polled(began.Add(-all))
			if len(env) == len(plain) {
				starts = append(starts, started)
			} else {
				withSecret = append(withSecret, started)
			}
			first, warm = append(first, all-started), append(warm, one())
			s.kill()
		}
	}
	b.ReportMetric(0, "ns/op")
	milliseconds := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	b.ReportMetric(milliseconds(median(starts)), "ms-start")
	b.ReportMetric(milliseconds(median(withSecret)-median(starts)), "ms-secret")
	b.ReportMetric(milliseconds(median(first)), "ms-first")
	b.ReportMetric(milliseconds(median(warm)), "ms-warm")
}

// newSecretsManager starts a stand-in that knows one secret, and returns the environment that leads there: over TLS, by the
// name that AWS has for it.
func newSecretsManager(b *testing.B, value string) []string {
	b.Helper()
	const host = "secretsmanager.eu-central-1.amazonaws.com"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	trusted := filepath.Join(b.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600); err != nil {
		b.Fatal(err)
	}
	manager := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": value})
	}))
	manager.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	manager.StartTLS()
	b.Cleanup(manager.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		to, err := net.Dial("tcp", manager.Listener.Addr().String())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer to.Close()
		w.WriteHeader(http.StatusOK)
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		go func() { _, _ = io.Copy(to, from) }()
		_, _ = io.Copy(from, to)
	}))
	b.Cleanup(proxy.Close)
	return []string{
		"DATABASE_SECRET_ARN=arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf",
		"HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + trusted,
	}
}
