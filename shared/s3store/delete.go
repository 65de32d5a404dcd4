package s3store

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/track"
)

// Delete removes every version of exactly this key, delete markers too. A key that is not
// there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.Remove(ctx, key, func(context.Context) error { return nil })
}

// Remove is Delete for bytes that somebody may have come to need: it looks what is there, and
// removes that, each version only if mayGo, asked right before, returns no error; else it
// returns that error. What is written meanwhile is another version, and stays, however long
// this process is stopped on the way. Where the server keeps no versions, mayGo alone stands
// between.
func (s *Store) Remove(ctx context.Context, key string, mayGo func(context.Context) error) error {
	versions, err := s.versions(ctx, key)
	if err != nil {
		return failure(ctx, "list the versions of", key, err)
	}
	for _, v := range versions {
		if err := mayGo(ctx); err != nil {
			return err
		}
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key, VersionId: v.id})
		if v.id != nil && isGone(err) {
			continue
		}
		if err := failure(ctx, "delete", key, err); err != nil && !errors.Is(err, track.ErrNotFound) {
			return err
		}
	}
	return nil
}

type version struct {
	id       *string // nil: whatever is there
	created  time.Time
	isMarker bool // a delete marker, which has no bytes
}

// versions returns all of a key, the oldest first: a crash between their deletions then
// leaves the newest, and never an older one in its place.
func (s *Store) versions(ctx context.Context, key string) ([]version, error) {
	var all []version
	pages := s3.NewListObjectVersionsPaginator(s.client, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &key})
	for longer := false; !longer && pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if isUnsupported(err) {
			return []version{{}}, nil
		}
		if err != nil {
			return nil, err
		}
		add := func(found *string, v version) {
			if aws.ToString(found) == key {
				all = append(all, v)
			} else {
				longer = true // they come by key: after the first longer one there are no more
			}
		}
		for _, v := range page.Versions {
			add(v.Key, version{v.VersionId, aws.ToTime(v.LastModified), false})
		}
		for _, marker := range page.DeleteMarkers {
			add(marker.Key, version{marker.VersionId, aws.ToTime(marker.LastModified), true})
		}
	}
	slices.SortStableFunc(all, func(a, b version) int { return a.created.Compare(b.created) })
	return all, nil
}

// isUnsupported reports whether the server knows no versions at all.
func isUnsupported(err error) bool {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		return false
	}
	status := response.HTTPStatusCode()
	return status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed
}

// RemoveDeleteMarkers takes the delete markers off a key that came after a version, if nothing else did: then the version is
// the key's current one. Else it removes nothing, and reports false. With dryRun it only reports. A marker has no bytes:
// nothing is lost by removing it, however often.
func (s *Store) RemoveDeleteMarkers(ctx context.Context, key, versionID string, dryRun bool) (bool, error) {
	all, err := s.versions(ctx, key)
	if err != nil {
		return false, failure(ctx, "list the versions of", key, err)
	}
	is := func(v version) bool { return aws.ToString(v.id) == versionID }
	at := slices.IndexFunc(all, is)
	if at < 0 {
		return false, nil
	}
	pinned := all[at].created
	// Of two that came within one second S3 does not say which was first: then this is not provably safe.
	if slices.ContainsFunc(all, func(v version) bool { return !v.isMarker && !is(v) && !v.created.Before(pinned) }) {
		return false, nil
	}
	// One that came before the version hides nothing of it, and may go, too: a server that moves a version aside
	// gives it a later time than the marker's.
	for _, v := range all {
		if !v.isMarker || dryRun {
			continue
		}
		if err := s.RemoveVersion(ctx, key, *v.id); err != nil {
			return false, err
		}
	}
	return slices.ContainsFunc(all, func(v version) bool { return v.isMarker }), nil
}
