package s3store

import (
	"context"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"trackstore/shared/track"
)

// CreateLarge begins an upload in parts for bytes whose checksum is known by the time
// the last part is sent: each part carries its CRC64NVME, and CompleteLarge declares that
// of the whole.
func (s *Store) CreateLarge(ctx context.Context, key, contentType string) (multipartID string, err error) {
	return s.createMultipart(ctx, &s3.CreateMultipartUploadInput{
		Bucket:            &s.bucket,
		Key:               &key,
		ContentType:       optional(contentType),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
		ChecksumType:      types.ChecksumTypeFullObject,
	})
}

// PutPart sends one part, which S3 checks against sum. It may be called for several parts
// at once, and again for a part whose answer was lost. The body is read once more where a
// request is tried again.
func (s *Store) PutPart(
	ctx context.Context, key, multipartID string, number int32, sum uint64, body io.ReadSeeker, size int64,
) (track.Part, error) {
	checksum := track.NewCRC64NVME(sum)
	out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:            &s.bucket,
		Key:               &key,
		UploadId:          &multipartID,
		PartNumber:        &number,
		ContentLength:     &size,
		ChecksumCRC64NVME: &checksum.Value,
		Body:              body,
	}, unsignedPayload)
	if err != nil {
		return track.Part{}, failure(ctx, "put a part of", key, err)
	}
	return track.Part{Number: number, ETag: unquote(out.ETag), Size: size, Checksum: &checksum}, nil
}

// CompleteLarge is CompleteMultipart, with the size and the CRC64NVME of the whole, which
// S3 compares with those of the parts that PutPart returned.
func (s *Store) CompleteLarge(
	ctx context.Context, key, multipartID string, size int64, sum uint64, parts []track.Part,
) (track.Object, error) {
	checksum := track.NewCRC64NVME(sum)
	versionID, err := s.complete(ctx, key, multipartID, size, parts, func(input *s3.CompleteMultipartUploadInput) {
		input.ChecksumCRC64NVME = aws.String(checksum.Value)
		input.ChecksumType = types.ChecksumTypeFullObject
	})
	if err != nil {
		return track.Object{}, err
	}
	return track.Object{Key: key, VersionID: versionID, Size: size, Checksums: []track.Checksum{checksum}}, nil
}
