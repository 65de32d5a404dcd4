package functions_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

// TestLogsHoldNoSecrets takes an upload its whole way, and several wrong ones, through the functions at their most
// talkative, and then looks in all that they wrote for tokens, keys, passwords, and the signatures of every URL and form
// that was handed out.
func TestLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	const databasePassword = "a-password-of-a-database"
	p := &programs{dir: t.TempDir()}
	w := newWorld(t, testenv.Postgres(t))
	env := append(w.env(), "LOG_LEVEL=debug", "CORS_ALLOWED_ORIGINS=https://app.example.com", "MIGRATE_LEASE=2s", "STORAGE_GRACE=1s", "UPLOAD_TTL=1h")
	s := &apiClient{t: t, api: p.serve(t, "presign-upload", env...)}
	ingest, migrate, sweep := p.serve(t, "object-created", env...), p.serve(t, "migrate-batch", env...), p.serve(t, "sweep-uploads", env...)
	user := track.NewID()
	token, err := auth.Sign(config.Auth{Secret: config.NewSecret(secret)}, user, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	database, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := database.User.Password()
	s.secrets = []string{secret, w.bucket.SecretKey, password, databasePassword, token}
	bearer := map[string]string{"authorization": "Bearer " + token, "content-type": "application/json"}

	// An upload, all the way to its audio.
	content := audiotest.FLAC(1, 1)
	ticket := fmt.Sprintf(`{"title":"x","filename":"x.flac","content_type":"audio/flac","size":%d`, len(content))
	opened := s.call(201, "POST", "/v1/uploads", bearer, ticket+`}`)
	put := opened["put"].(map[string]any)
	s.put(put["url"].(string), put["headers"].(map[string]any), content)
	id, trackID := opened["upload_id"].(string), opened["track_id"].(string)
	created := func(upload map[string]any) string {
		return fmt.Sprintf(`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":%q},"object":{"key":"uploads/%s/%s.flac"}}}]}`,
			w.bucket.Name, upload["track_id"], upload["upload_id"])
	}
	s.invoke(ingest, created(opened))
	if got := s.call(200, "GET", "/v1/uploads/"+id, bearer, ""); got["state"] != "stored" {
		t.Fatalf("the upload is %v", got)
	}
	s.call(302, "GET", "/v1/tracks/"+trackID+"/audio", bearer, "")

	// The other ways to send one, and to give one up.
	form := s.call(201, "POST", "/v1/uploads", bearer, ticket+`,"method":"post"}`)
	parts := s.call(201, "POST", "/v1/uploads", bearer, ticket+`,"method":"multipart"}`)
	partsID := parts["upload_id"].(string)
	s.call(200, "POST", "/v1/uploads/"+partsID+"/parts", bearer, `{"part_numbers":[1]}`)
	s.call(422, "POST", "/v1/uploads/"+partsID+"/complete", bearer, `{"parts":[{"part_number":1,"etag":"none"}]}`)
	s.call(204, "DELETE", "/v1/uploads/"+partsID, bearer, "")

	// A companion session, whose token stands in the path.
	companion, err := url.Parse(s.call(201, "POST", "/v1/companion-sessions", bearer, "")["companion_url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	s.secrets = append(s.secrets, strings.Split(companion.Path, "/")[2])
	s.call(200, "GET", companion.Path+"/s3/params?filename=a.flac&type=audio%2Fflac", nil, "")
	s.call(200, "POST", companion.Path+"/s3/multipart", map[string]string{"content-type": "application/json"}, `{"filename":"b.flac","type":"audio/flac","metadata":{}}`)
	s.call(0, "GET", companion.Path+"/s3/nonsense", nil, "")

	// Requests that go wrong, with secrets in odd places.
	s.call(401, "GET", "/v1/uploads/"+id, map[string]string{"authorization": "Bearer " + token + "x"}, "")
	s.call(400, "POST", "/v1/uploads", bearer, `{"title":"`+token)
	s.call(422, "POST", "/v1/uploads", bearer, ticket+`,"`+token+`":1}`)
	s.call(404, "GET", "/nowhere/"+token+"?X-Amz-Signature=0123&token="+token, bearer, "")
	s.call(404, "GET", "/v1/uploads/"+token, bearer, "")

	// The migration, and the sweep.
	if err := os.WriteFile(filepath.Join(w.disk, "old.flac"), audiotest.FLAC(1, 2), 0o644); err != nil {
		t.Fatal(err)
	}
	w.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', 'old.flac'), ($2, $1, 'x', 'lost.flac')`, track.NewID(), track.NewID())
	s.invoke(migrate, `{}`)
	s.invoke(sweep, `{}`)

	// Nothing is where the configuration says.
	lost := append(slices.Clone(env), "DATABASE_URL=postgres://user:"+databasePassword+"@127.0.0.1:1/lost")
	faulty := &apiClient{t: t, api: p.serve(t, "presign-upload", lost...)}
	faulty.call(503, "GET", "/healthz", nil, "")
	faulty.call(503, "POST", "/v1/uploads", bearer, ticket+`}`)
	withoutS3 := append(slices.Clone(env), "AWS_S3_ENDPOINT=http://127.0.0.1:1")
	unstored := p.serve(t, "object-created", withoutS3...)
	unstored.invoke([]byte(created(form)), 3*time.Second)
	broken := append(slices.Clone(env), "APP_ENV=production", "JWT_SECRET=too-short-a-key", "DATABASE_URL=mysql://user:"+databasePassword+"@127.0.0.1/x")
	unstarted := p.serve(t, "presign-upload", broken...)
	unstarted.invoke([]byte(`{}`), 5*time.Second)

	if len(s.secrets) < 12 {
		t.Errorf("only %d secrets were handed out", len(s.secrets))
	}
	secrets := append(s.secrets, "too-short-a-key", "X-Amz-Credential", "X-Amz-Signature=")
	for name, function := range map[string]*service{
		"presign-upload": s.api, "object-created": ingest, "migrate-batch": migrate, "sweep-uploads": sweep,
		"presign-upload without its database": faulty.api, "object-created without S3": unstored, "presign-upload, misconfigured": unstarted,
	} {
		log := function.logged() + function.metrics.String()
		if log == "" {
			t.Errorf("%s wrote no log", name)
		}
		for _, hidden := range secrets {
			if hidden == "" || strings.Contains(log, hidden) {
				t.Errorf("the log of %s holds %q:\n%s", name, hidden, log)
			}
		}
	}
}
