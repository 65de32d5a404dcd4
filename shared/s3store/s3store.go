// Package s3store keeps tracks' bytes in a bucket of S3, or of a server that speaks its
// protocol. It is the only package that imports the AWS SDK for S3.
//
// Every key is written once: all writes are conditional (If-None-Match: *), but for forms,
// which S3 knows no condition for.
package s3store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/track"
)

// Config says which bucket, and how it is reached.
type Config struct {
	Bucket         string
	Region         string
	Endpoint       *url.URL // nil: AWS
	PublicEndpoint *url.URL // what clients reach by the URLs that the store signs; nil: Endpoint
	ForcePathStyle bool     // bucket in the path, not in the host
	Credentials    aws.CredentialsProvider
	HTTPClient     aws.HTTPClient // nil: one that suits many requests at once
	Requests       int            // at once, at most, without HTTPClient; 0: any number
	MaxAttempts    int            // of each call, the first one counted; 0: 3

	// Prove tells whether the bucket is the one that is meant. It is asked before the first call
	// that writes, reads or signs an upload; its error is that of the call. nil: any is.
	Prove func(ctx context.Context) error
}

// Store is a bucket. It is safe for concurrent use.
type Store struct {
	cfg    Config
	bucket string
	client *s3.Client
	public *url.URL // of the bucket, as clients reach it
	signer *signer
	direct *direct

	proving  sync.Mutex
	isProven atomic.Bool
	others   sync.Map // of *Store, by the bucket's name
}

// Open returns the store that cfg describes, with the credentials and the certificates
// that access loads; requests and prove are those of Config. It sends nothing yet.
func Open(ctx context.Context, cfg config.S3, access awsaccess.Loader, requests int, prove func(context.Context) error) (*Store, error) {
	loaded, err := access(ctx)
	if err != nil {
		return nil, err
	}
	client, _ := loaded.HTTPClient.(*awshttp.BuildableClient)
	return New(Config{
		Bucket:         cfg.Bucket,
		Region:         cfg.Region,
		Endpoint:       cfg.Endpoint,
		PublicEndpoint: cfg.PublicEndpoint,
		ForcePathStyle: cfg.ForcePathStyle,
		Credentials:    loaded.Credentials,
		HTTPClient:     httpClient(client, requests),
		Prove:          prove,
	})
}

// New returns the store that cfg describes. It sends nothing yet.
func New(cfg Config) (*Store, error) {
	if cfg.Bucket == "" || cfg.Region == "" || cfg.Credentials == nil {
		return nil, errors.New("s3store: a bucket, a region and credentials are needed")
	}
	if cfg.PublicEndpoint == nil {
		cfg.PublicEndpoint = cfg.Endpoint
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = httpClient(nil, cfg.Requests)
	}
	client := impatient{cfg.HTTPClient}
	if cfg.MaxAttempts == 0 {
		cfg.MaxAttempts = 3
	}
	public, err := bucketURL(cfg, cfg.PublicEndpoint)
	if err != nil {
		return nil, fmt.Errorf("s3store: %w", err)
	}
	internal, err := bucketURL(cfg, cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("s3store: %w", err)
	}
	cfg.Credentials = aws.NewCredentialsCache(cfg.Credentials)
	signer := &signer{region: cfg.Region, credentials: cfg.Credentials}
	s := &Store{cfg: cfg, bucket: cfg.Bucket, public: public, signer: signer}
	s.direct = &direct{client: client, bucket: internal, signer: signer, prove: s.prove}
	s.client = s3.New(s3.Options{
		Region:       cfg.Region,
		BaseEndpoint: baseEndpoint(cfg.Endpoint),
		UsePathStyle: cfg.ForcePathStyle,
		Credentials:  cfg.Credentials,
		HTTPClient:   client,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = cfg.MaxAttempts
		}),
		// Only what we compute ourselves: the SDK's own CRC64NVME takes several times as long,
		// and its trailers are more than some servers understand.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}, s.proveFirst)
	return s, nil
}

// Name returns track.S3.
func (s *Store) Name() string { return track.S3 }

// Bucket returns the bucket's name.
func (s *Store) Bucket() string { return s.bucket }

// httpClient keeps as many connections as a migration has copies at once, at most: with the
// SDK's 10, most requests of 128 workers begin with a new connection. It has no more than requests
// of them at all, unless that is 0. It is the SDK's own kind of client, because only that one takes
// the certificates of AWS_CA_BUNDLE: base, if it is not nil, has them.
func httpClient(base *awshttp.BuildableClient, requests int) *awshttp.BuildableClient {
	const connections = 1024
	if base == nil {
		base = awshttp.NewBuildableClient()
	}
	return base.
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 5 * time.Second }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = connections
			t.MaxIdleConnsPerHost = connections
			t.MaxConnsPerHost = requests
			t.ResponseHeaderTimeout = 2 * time.Minute // putting parts together takes time
		})
}

// bucketURL asks the SDK's rules for the bucket's URL: its host differs by partition, and
// a name with a dot stays in the path.
func bucketURL(cfg Config, endpoint *url.URL) (*url.URL, error) {
	params := s3.EndpointParameters{
		Bucket:         &cfg.Bucket,
		Region:         &cfg.Region,
		Endpoint:       baseEndpoint(endpoint),
		ForcePathStyle: &cfg.ForcePathStyle,
	}.WithDefaults()
	resolved, err := s3.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), params)
	if err != nil {
		return nil, fmt.Errorf("URL of bucket %q: %w", cfg.Bucket, err)
	}
	u := resolved.URI
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), ""
	// Clients leave the usual port out of the Host header, which is signed.
	u.Host = strings.TrimSuffix(u.Host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	return &u, nil
}

func baseEndpoint(u *url.URL) *string {
	if u == nil {
		return nil
	}
	return aws.String(u.String())
}
