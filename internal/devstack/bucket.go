package devstack

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"trackstore/shared/config"
)

// ensureBucket creates the bucket if it is absent. What it creates it sets up, and one that is there only where own
// is set, which means that the server belongs to the stack: versioned, and open to pages of the given origins.
func ensureBucket(ctx context.Context, client *s3.Client, cfg config.S3, origins []string, own bool) error {
	_, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &cfg.Bucket})
	var absent *types.NotFound
	switch {
	case errors.As(err, &absent):
		if err := createBucket(ctx, client, cfg); err != nil {
			return fmt.Errorf("create bucket %s: %w", cfg.Bucket, err)
		}
	case err != nil:
		return fmt.Errorf("look for bucket %s: %w", cfg.Bucket, err)
	case !own:
		return nil
	}
	_, err = client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  &cfg.Bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		return fmt.Errorf("have bucket %s keep versions: %w", cfg.Bucket, err)
	}
	_, err = client.PutBucketCors(ctx, &s3.PutBucketCorsInput{
		Bucket: &cfg.Bucket,
		CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{
			AllowedOrigins: origins,
			AllowedMethods: []string{"PUT", "POST"},
			AllowedHeaders: []string{"*"},
			ExposeHeaders:  []string{"ETag", "Location"},
			MaxAgeSeconds:  aws.Int32(3600),
		}, { // after the API's redirect a browser calls a page's origin "null"
			AllowedOrigins: []string{"*"},
			AllowedMethods: []string{"GET", "HEAD"},
			AllowedHeaders: []string{"*"},
			ExposeHeaders:  []string{"ETag", "Accept-Ranges", "Content-Range"},
			MaxAgeSeconds:  aws.Int32(3600),
		}}},
	})
	if err != nil {
		return fmt.Errorf("let pages of %v use bucket %s: %w", origins, cfg.Bucket, err)
	}
	return nil
}

func createBucket(ctx context.Context, client *s3.Client, cfg config.S3) error {
	in := &s3.CreateBucketInput{Bucket: &cfg.Bucket}
	if cfg.Region != "us-east-1" { // which must not be named
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(cfg.Region)}
	}
	_, err := client.CreateBucket(ctx, in)
	return err
}
