package s3store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"trackstore/shared/track"
)

// CreateMultipart begins an upload in parts, which need no checksums of their own: S3
// computes that of the whole, a CRC64NVME, or a CRC32C where one was declared.
func (s *Store) CreateMultipart(ctx context.Context, key, contentType string, declared *track.Checksum) (string, error) {
	input := &s3.CreateMultipartUploadInput{
		Bucket:      &s.bucket,
		Key:         &key,
		ContentType: optional(contentType),
	}
	if declared.OfParts() == track.CRC32C {
		input.ChecksumAlgorithm, input.ChecksumType = types.ChecksumAlgorithmCrc32c, types.ChecksumTypeFullObject
	}
	return s.createMultipart(ctx, input)
}

func (s *Store) createMultipart(ctx context.Context, input *s3.CreateMultipartUploadInput) (string, error) {
	out, err := s.client.CreateMultipartUpload(ctx, input)
	if err != nil {
		return "", failure(ctx, "create a multipart upload of", *input.Key, err)
	}
	return aws.ToString(out.UploadId), nil
}

// ListParts returns all the parts that S3 has, by number.
func (s *Store) ListParts(ctx context.Context, key, multipartID string) ([]track.Part, error) {
	var parts []track.Part
	pages := s3.NewListPartsPaginator(s.client, &s3.ListPartsInput{Bucket: &s.bucket, Key: &key, UploadId: &multipartID})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, "list the parts of", key, err)
		}
		for _, p := range page.Parts {
			part := track.Part{Number: aws.ToInt32(p.PartNumber), ETag: unquote(p.ETag), Size: aws.ToInt64(p.Size)}
			if p.ChecksumCRC32C != nil {
				part.Checksum = &track.Checksum{Algorithm: track.CRC32C, Value: *p.ChecksumCRC32C}
			}
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// CompleteMultipart makes an object of the parts, which must be in the order of their
// numbers and, the last apart, have track.MinPartSize. Where size is not 0, they must add up
// to it. track.ErrExists and track.ErrNotFound may both follow a completion that was carried
// out, though its answer was lost: Head tells.
func (s *Store) CompleteMultipart(ctx context.Context, key, multipartID string, size int64, parts []track.Part) error {
	input := &s3.CompleteMultipartUploadInput{Key: &key, UploadId: &multipartID}
	if size > 0 {
		input.MpuObjectSize = &size
	}
	_, err := s.complete(ctx, input, parts)
	return err
}

// complete makes an object of the parts of the upload that input names.
func (s *Store) complete(ctx context.Context, input *s3.CompleteMultipartUploadInput, parts []track.Part) (versionID string, err error) {
	completed := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		completed[i] = types.CompletedPart{PartNumber: aws.Int32(p.Number), ETag: aws.String(p.ETag)}
		switch {
		case p.Checksum == nil:
		case p.Checksum.Algorithm == track.CRC32C:
			completed[i].ChecksumCRC32C = &p.Checksum.Value
		default:
			completed[i].ChecksumCRC64NVME = &p.Checksum.Value
		}
	}
	input.Bucket, input.IfNoneMatch = &s.bucket, aws.String("*")
	input.MultipartUpload = &types.CompletedMultipartUpload{Parts: completed}
	out, err := s.client.CompleteMultipartUpload(ctx, input)
	switch codeOf(err) {
	case "InvalidRequest", "MalformedXML": // too small altogether, or too few: nothing else in it can be wrong
		err = fmt.Errorf("%w: %w", track.ErrInvalidParts, err)
	}
	if err != nil {
		return "", failure(ctx, "complete the multipart upload of", *input.Key, err)
	}
	return aws.ToString(out.VersionId), nil
}

// AbortMultipart gives up an upload and its parts. One that is not there is no error.
func (s *Store) AbortMultipart(ctx context.Context, key, multipartID string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: &key, UploadId: &multipartID})
	if err := failure(ctx, "abort the multipart upload of", key, err); !errors.Is(err, track.ErrNotFound) {
		return err
	}
	return nil
}

// ListMultiparts yields the uploads in parts that are neither completed nor aborted, of all
// keys that begin with prefix. It ends after an error.
func (s *Store) ListMultiparts(ctx context.Context, prefix string) iter.Seq2[track.Multipart, error] {
	return func(yield func(track.Multipart, error) bool) {
		input := &s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: &prefix}
		for {
			page, err := s.client.ListMultipartUploads(ctx, input)
			if input.UploadIdMarker != nil && codeOf(err) == "InvalidArgument" {
				// versitygw refuses its own marker. Without it the next key follows: other uploads of
				// the last one, if they did not fit the page, are passed over this time.
				input.UploadIdMarker = nil
				continue
			}
			if err != nil {
				yield(track.Multipart{}, failure(ctx, "list the multipart uploads of", prefix, err))
				return
			}
			for _, u := range page.Uploads {
				m := track.Multipart{Key: aws.ToString(u.Key), ID: aws.ToString(u.UploadId), Started: aws.ToTime(u.Initiated)}
				if !yield(m, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				return
			}
			input.KeyMarker, input.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		}
	}
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
