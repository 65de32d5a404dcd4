package s3store

import (
	"context"
	"io"

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

// PutPart sends one part, which S3 checks against spec.Digest. It may be called for several parts
// at once, and again for a part whose answer was lost. The body is read once more where a
// request is tried again.
func (s *Store) PutPart(ctx context.Context, spec track.NewPart, body io.ReadSeeker) (track.Part, error) {
	checksum := track.NewCRC64NVME(spec.Digest.CRC64NVME)
	out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket:            &s.bucket,
		Key:               &spec.Key,
		UploadId:          &spec.MultipartID,
		PartNumber:        &spec.Number,
		ContentLength:     &spec.Digest.Size,
		ChecksumCRC64NVME: &checksum.Value,
		Body:              body,
	}, unsignedPayload)
	if err != nil {
		return track.Part{}, failure(ctx, "put a part of", spec.Key, err)
	}
	return track.Part{Number: spec.Number, ETag: unquote(out.ETag), Size: spec.Digest.Size, Checksum: &checksum}, nil
}

// CompleteLarge is CompleteMultipart, with the size and the CRC64NVME of the whole, which
// S3 compares with those of the parts that PutPart returned.
func (s *Store) CompleteLarge(
	ctx context.Context, spec track.ObjectSpec, multipartID string, parts []track.Part,
) (track.Object, error) {
	key, size := spec.Key, spec.Digest.Size
	checksum := track.NewCRC64NVME(spec.Digest.CRC64NVME)
	versionID, err := s.complete(ctx, &s3.CompleteMultipartUploadInput{
		Key: &key, UploadId: &multipartID, MpuObjectSize: &size,
		ChecksumCRC64NVME: &checksum.Value, ChecksumType: types.ChecksumTypeFullObject,
	}, parts)
	if err != nil {
		return track.Object{}, err
	}
	return track.Object{Key: key, VersionID: versionID, Size: size, Checksums: []track.Checksum{checksum}}, nil
}
