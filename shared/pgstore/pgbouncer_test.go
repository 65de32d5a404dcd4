package pgstore_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/audiotest"
	"trackstore/internal/devstack/child"
	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/audio"
	"trackstore/shared/diskstore"
	"trackstore/shared/ingest"
	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// pgBouncer puts a PgBouncer in front of a database that hands each transaction to one of few connections. It takes
// TLS alone, with a certificate for localhost, and returns a URL that verifies it.
func pgBouncer(t *testing.T, database string, connections int) *url.URL {
	t.Helper()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/pgbouncer"); err != nil {
			testenv.Skip(t, "PgBouncer is not installed")
		}
	}
	server, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	port, err := child.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pgbouncer") // t.TempDir's parents are closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate, key := newCertificate(t)
	cert := file("cert.pem", certificate)
	ini := file("pgbouncer.ini", fmt.Sprintf(`
[databases]
* = host=%s port=%d user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 200
client_tls_sslmode = require
client_tls_cert_file = %s
client_tls_key_file = %s
`, server.Host, server.Port, server.User, server.Password, port, connections, cert, file("key.pem", key)))

	command := exec.Command(bin, ini)
	command.Dir = "/"
	if os.Getuid() == 0 { // PgBouncer refuses to run as root
		command.SysProcAttr = &syscall.SysProcAttr{Credential: nobody(t, dir)}
	}
	process, err := child.Start(command, syscall.SIGINT, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := process.Stop(ctx, syscall.SIGINT); err != nil {
			t.Error(err)
		}
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-process.Exited():
			t.Fatal(process.Failure())
		case <-time.After(5 * time.Millisecond):
		}
	}
	u := &url.URL{
		Scheme: "postgres", User: url.UserPassword("anyone", "anything"), Path: "/" + server.Database,
		Host: net.JoinHostPort("localhost", strconv.Itoa(port)),
	}
	u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {cert}}.Encode()
	return u
}

// nobody is who may read dir, instead of root.
func nobody(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	who, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	err = filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Chown(path, uid, gid))
	})
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// newCertificate makes a certificate for localhost that vouches for itself.
func newCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func withQuery(u *url.URL, name, value string) string {
	changed := *u
	query := u.Query()
	query.Set(name, value)
	changed.RawQuery = query.Encode()
	return changed.String()
}

func openStore(t *testing.T, url string) *pgstore.Store {
	t.Helper()
	store, err := pgstore.Open(t.Context(), url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// asUser takes the user's id from a header, as tokens are not what is tried here.
type asUser struct{}

func (asUser) UserID(r *http.Request) (track.ID, error) { return track.ParseID(r.Header.Get("User")) }

func (asUser) Listener(r *http.Request) (track.ID, bool, error) {
	user, err := track.ParseID(r.Header.Get("User"))
	return user, false, err
}

// Uploads, their confirmation and the migration work behind a pooler of transactions, in each of pgx's modes that such
// a pooler can serve, with more clients than it has connections.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"exec", "simple_protocol", "cache_describe"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			database := testenv.Postgres(t)
			store := openStore(t, withQuery(pgBouncer(t, database, 3), "default_query_exec_mode", mode))
			bucket := stores.OpenS3(t, testenv.S3(t))
			log := slog.New(slog.NewTextHandler(t.Output(), nil))
			confirm := ingest.New(ingest.Config{Uploads: store, Backends: map[string]ingest.Backend{track.S3: bucket}, Log: log})
			api := httptest.NewServer(upload.New(upload.Config{
				Limits: upload.Limits{MaxBytes: 1 << 30, SingleMaxBytes: 1 << 20, URLTTL: time.Minute, TTL: time.Hour, MaxPending: 100},
				Auth:   asUser{}, Store: store, Confirm: confirm, NewFiles: track.S3,
				Backends: map[string]upload.Backend{track.S3: bucket}, Log: log,
			}))
			t.Cleanup(api.Close)

			var all sync.WaitGroup
			for i := range 12 {
				all.Go(func() {
					if err := uploadOne(t.Context(), api.URL, audiotest.WAV(1, int64(i))); err != nil {
						t.Error(err)
					}
				})
			}
			root := t.TempDir()
			disk, err := diskstore.New(diskstore.Config{Root: root, Logger: log})
			if err != nil {
				t.Fatal(err)
			}
			addLocalTracks(t, database, root, 12)
			batch := &migrate.Batch{
				Ledger:  store,
				Upload:  migrate.NewUpload(migrate.Upload{Files: disk, Bucket: bucket, Large: bucket, Sniff: audio.Detect}),
				Restore: migrate.NewRestore(migrate.Restore{Disk: disk, Bucket: bucket}),
				Lease:   time.Minute, Log: log,
			}
			all.Go(func() {
				there, err := batch.Handle(t.Context(), migrate.Input{Direction: track.ToS3})
				if err != nil || there.Migrated != 12 || !there.Done {
					t.Errorf("to S3: %+v, %v", there, err)
				}
			})
			all.Wait()
			back, err := batch.Handle(t.Context(), migrate.Input{Direction: track.ToLocal})
			if err != nil || back.Migrated != 12 || !back.Done {
				t.Errorf("and back: %+v, %v", back, err)
			}
		})
	}
}

// uploadOne opens an upload, sends the bytes and completes it.
func uploadOne(ctx context.Context, api string, content []byte) error {
	user := track.NewID().String()
	call := func(path, body string) (answer struct {
		State string          `json:"state"`
		ID    track.ID        `json:"upload_id"`
		Put   track.SignedPut `json:"put"`
	}, err error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, api+path, bytes.NewReader([]byte(body)))
		if err != nil {
			return answer, err
		}
		r.Header.Set("User", user)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "once")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return answer, err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return answer, err
		}
		if resp.StatusCode >= 300 {
			return answer, fmt.Errorf("%s: %s: %s", path, resp.Status, text)
		}
		return answer, json.Unmarshal(text, &answer)
	}
	opened, err := call("/v1/uploads", fmt.Sprintf(`{"title":"x","filename":"x.wav","content_type":"audio/wav","size":%d}`, len(content)))
	if err != nil {
		return err
	}
	put, err := http.NewRequestWithContext(ctx, http.MethodPut, opened.Put.URL, bytes.NewReader(content))
	if err != nil {
		return err
	}
	for name, value := range opened.Put.Headers {
		put.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(put)
	if err != nil {
		return err
	}
	resp.Body.Close()
	done, err := call("/v1/uploads/"+opened.ID.String()+"/complete", "")
	if err == nil && done.State != string(track.UploadStored) {
		err = fmt.Errorf("the upload is %s", done.State)
	}
	return err
}

// addLocalTracks makes n tracks with files on disk, past the pooler.
func addLocalTracks(t *testing.T, database, root string, n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for i := range n {
		name := fmt.Sprintf("%d.flac", i)
		if err := os.WriteFile(filepath.Join(root, name), audiotest.FLAC(1, int64(i)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', $2)`, track.NewID(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// What the mode is for: pgx's default one keeps named statements in connections that a pooler hands to somebody else.
func TestPgBouncerBreaksNamedStatements(t *testing.T) {
	t.Parallel()
	u := pgBouncer(t, testenv.Postgres(t), 1)
	var failed error
	for range 2 { // clients of one connection
		store := openStore(t, u.String())
		_, err := store.Track(t.Context(), track.NewID(), track.NewID())
		if !errors.Is(err, track.ErrNotFound) {
			failed = err
		}
	}
	if failed == nil {
		t.Error("the default mode works too: then DATABASE_URL needs no default_query_exec_mode")
	}
}

func TestServerCertificateIsVerified(t *testing.T) {
	t.Parallel()
	u := pgBouncer(t, testenv.Postgres(t), 1)
	if err := openStore(t, u.String()).Ping(t.Context()); err != nil {
		t.Fatalf("with the right certificate: %v", err)
	}
	otherName := *u
	otherName.Host = net.JoinHostPort("127.0.0.1", u.Port()) // the certificate is for localhost
	certificate, _ := newCertificate(t)
	other := filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(other, []byte(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{
		"another name":   otherName.String(),
		"another issuer": withQuery(u, "sslrootcert", other),
		"no TLS":         withQuery(u, "sslmode", "disable"),
	} {
		if err := openStore(t, url).Ping(t.Context()); err == nil {
			t.Errorf("%s: connected", name)
		}
	}
}
