package s3store_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// The SDK's signer, asked for the same request at the same moment, must come to the same signature.
func TestSignaturesAreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	sum := track.NewCRC64NVME(12345)
	for _, token := range []string{"", "a session/token+with=marks"} {
		keys := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token)
		store, err := s3store.New(s3store.Config{Bucket: "tracks", Region: "eu-central-1", Credentials: keys})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"uploads/a/b.flac", "uploads/a b+c%20/#?&=;:@,'\"*~(ü)\U0001F3B5.flac"} {
			put, err := store.SignPut(t.Context(), track.PutSpec{Key: key, Size: 1 << 20, ContentType: "audio/flac", Checksum: &sum, TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			wantSDKSignature(t, http.MethodPut, put.URL, put.Headers, 1<<20, keys)

			get, err := store.SignGet(t.Context(), track.GetSpec{
				Key: key, VersionID: "v/1+2=", ContentType: "audio/flac", Disposition: `attachment; filename="a b.flac"`, TTL: time.Hour,
			})
			if err != nil {
				t.Fatal(err)
			}
			wantSDKSignature(t, http.MethodGet, get.URL, nil, 0, keys)

			parts := []track.PartSpec{{}, {Size: 1 << 20}, {Size: 1 << 20, Checksum: &sum}}
			for _, spec := range parts {
				spec.Key, spec.MultipartID, spec.Number, spec.TTL = key, "an id/with+marks", 17, time.Hour
				part, err := store.SignPart(t.Context(), spec)
				if err != nil {
					t.Fatal(err)
				}
				wantSDKSignature(t, http.MethodPut, part.URL, part.Headers, spec.Size, keys)
			}
		}
	}
}

// Credentials of a role are replaced while the program runs.
func TestSignaturesFollowTheCredentials(t *testing.T) {
	t.Parallel()
	current := credentials.NewStaticCredentialsProvider("AKIDFIRST", "first secret", "first token")
	store, err := s3store.New(s3store.Config{
		Bucket: "tracks", Region: "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			value, err := current.Retrieve(ctx)
			value.CanExpire, value.Expires = true, time.Now()
			return value, err
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []string{"second", "third"} {
		signed, err := store.SignGet(t.Context(), track.GetSpec{Key: "k", TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		wantSDKSignature(t, http.MethodGet, signed.URL, nil, 0, current)
		current = credentials.NewStaticCredentialsProvider("AKID"+next, next+" secret", next+" token")
	}
}

func wantSDKSignature(t *testing.T, method, signed string, headers map[string]string, length int64, keys credentials.StaticCredentialsProvider) {
	t.Helper()
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	date, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	bare := url.Values{}
	for name, values := range query {
		if !strings.HasPrefix(name, "X-Amz-") || name == "X-Amz-Expires" {
			bare[name] = values
		}
	}
	u.RawQuery = bare.Encode()
	r, err := http.NewRequestWithContext(t.Context(), method, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = length
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	value, err := keys.Retrieve(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	want, _, err := signer.PresignHTTP(t.Context(), value, r, "UNSIGNED-PAYLOAD", "s3", "eu-central-1", date)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := url.Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := query.Get("X-Amz-Signature"), parsed.Query().Get("X-Amz-Signature"); got != want {
		t.Errorf("%s: the signature is %s, the SDK's is %s", signed, got, want)
	}
}

func TestURLsNameTheHostThatClientsReach(t *testing.T) {
	t.Parallel()
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, test := range map[string]struct {
		cfg  s3store.Config
		want string
	}{
		"AWS":               {s3store.Config{Bucket: "tracks"}, "https://tracks.s3.eu-central-1.amazonaws.com/k"},
		"AWS, path":         {s3store.Config{Bucket: "tracks", ForcePathStyle: true}, "https://s3.eu-central-1.amazonaws.com/tracks/k"},
		"a dot in the name": {s3store.Config{Bucket: "my.tracks"}, "https://s3.eu-central-1.amazonaws.com/my.tracks/k"},
		"China":             {s3store.Config{Bucket: "tracks", Region: "cn-north-1"}, "https://tracks.s3.cn-north-1.amazonaws.com.cn/k"},
		"another server":    {s3store.Config{Bucket: "tracks", Endpoint: parse("http://127.0.0.1:9000"), ForcePathStyle: true}, "http://127.0.0.1:9000/tracks/k"},
		"its usual port":    {s3store.Config{Bucket: "tracks", Endpoint: parse("https://s3.example:443")}, "https://tracks.s3.example/k"},
		"another name outside": {
			s3store.Config{Bucket: "tracks", Endpoint: parse("http://minio:9000"), PublicEndpoint: parse("https://media.example/store"), ForcePathStyle: true},
			"https://media.example/store/tracks/k",
		},
	} {
		if test.cfg.Region == "" {
			test.cfg.Region = "eu-central-1"
		}
		test.cfg.Credentials = credentials.NewStaticCredentialsProvider("a", "b", "")
		store, err := s3store.New(test.cfg)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := store.SignGet(t.Context(), track.GetSpec{Key: "k", TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(signed.URL, "?"); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
		form, err := store.SignPost(t.Context(), track.PutSpec{Key: "k", Size: 1, ContentType: "audio/flac", TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if form.URL != strings.TrimSuffix(test.want, "/k") {
			t.Errorf("%s: the form goes to %s", name, form.URL)
		}
	}
}

func TestTTLKeepsToWhatS3Takes(t *testing.T) {
	t.Parallel()
	store, err := s3store.New(s3store.Config{
		Bucket: "tracks", Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	for ttl, want := range map[time.Duration]string{
		0: "1", time.Millisecond: "1", 1500 * time.Millisecond: "2", 15 * time.Minute: "900", 1000 * time.Hour: "604800",
	} {
		signed, err := store.SignGet(t.Context(), track.GetSpec{Key: "k", TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(signed.URL, "X-Amz-Expires="+want+"&") {
			t.Errorf("%s: %s does not say %s seconds", ttl, signed.URL, want)
		}
	}
}

// A URL dies with the keys that signed it, whatever it says.
func TestAURLOutlivesNoKeys(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	store, err := s3store.New(s3store.Config{
		Bucket: "tracks", Region: "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b", SessionToken: "c", CanExpire: true, Expires: ends}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, ttl := range []time.Duration{time.Minute, 4 * time.Hour} {
		signed, err := store.SignGet(t.Context(), track.GetSpec{Key: "k", TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed.URL)
		if err != nil {
			t.Fatal(err)
		}
		began, err := time.Parse("20060102T150405Z", u.Query().Get("X-Amz-Date"))
		if err != nil {
			t.Fatal(err)
		}
		life, err := time.ParseDuration(u.Query().Get("X-Amz-Expires") + "s")
		if err != nil || !began.Add(life).Equal(signed.ExpiresAt) {
			t.Errorf("the URL ends at %s, and ExpiresAt is %s, %v", began.Add(life), signed.ExpiresAt, err)
		}
		if want := min(ttl, ends.Sub(began)); life != want {
			t.Errorf("asked for %s: lives %s, want %s", ttl, life, want)
		}
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := s3store.New(s3store.Config{Bucket: "tracks"}); err == nil || !strings.Contains(err.Error(), "region") {
		t.Errorf("got %v", err)
	}
}
