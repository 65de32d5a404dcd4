package stores

import (
	"context"
	"io"
	"log/slog"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"trackstore/internal/testenv"
	"trackstore/shared/config"
	"trackstore/shared/places"
)

// OpenPlaces opens root and bucket over the set's database, as a new process would: they prove who they are.
func (s Set) OpenPlaces(root string, bucket testenv.Bucket, meant places.Meant) *places.Places {
	s.T.Helper()
	endpoint, err := url.Parse(bucket.Endpoint)
	if err != nil {
		s.T.Fatal(err)
	}
	p, err := places.Open(s.T.Context(), places.Config{
		Places: config.Places{
			Database: config.Database{URL: config.NewSecret(s.URL)},
			Storage: config.Storage{LocalDir: root, S3: config.S3{
				Enabled: true, Bucket: bucket.Name, Region: bucket.Region, Endpoint: endpoint, PublicEndpoint: endpoint, ForcePathStyle: true,
			}},
		},
		Access: func(context.Context) (aws.Config, error) {
			return aws.Config{Credentials: credentials.NewStaticCredentialsProvider(bucket.AccessKey, bucket.SecretKey, "")}, nil
		},
		Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
		Meant: meant,
	})
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(p.Close)
	return p
}
