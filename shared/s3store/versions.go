package s3store

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/track"
)

// Versions yields every version of all objects whose keys begin with prefix, delete markers left
// out, in the order of their keys and from the key after "after" on; with key, version, size and
// time only. It ends after an error, and yields nothing where the server keeps no versions.
func (s *Store) Versions(ctx context.Context, prefix, after string) iter.Seq2[track.Object, error] {
	return func(yield func(track.Object, error) bool) {
		pages := s3.NewListObjectVersionsPaginator(s.client, &s3.ListObjectVersionsInput{
			Bucket: &s.bucket, Prefix: &prefix, KeyMarker: optional(after),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if isUnsupported(err) {
				return
			}
			if err != nil {
				yield(track.Object{}, failure(ctx, "list the versions of", prefix, err))
				return
			}
			for _, v := range page.Versions {
				object := track.Object{
					Key: aws.ToString(v.Key), VersionID: aws.ToString(v.VersionId), Size: aws.ToInt64(v.Size), ModTime: aws.ToTime(v.LastModified),
				}
				if !yield(object, nil) {
					return
				}
			}
		}
	}
}

// RemoveVersion removes one version of an object; one that is not there is no error.
func (s *Store) RemoveVersion(ctx context.Context, key, versionID string) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key, VersionId: &versionID})
	if isGone(err) {
		return nil
	}
	if err := failure(ctx, "delete a version of", key, err); !errors.Is(err, track.ErrNotFound) {
		return err
	}
	return nil
}

// isGone reports whether err says that a version which was listed is not there any more: S3 says
// nothing of that, versitygw does.
func isGone(err error) bool {
	return slices.Contains([]string{"NoSuchVersion", "InvalidArgument"}, codeOf(err))
}
