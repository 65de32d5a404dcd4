package s3store

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/track"
)

// SignPost signs one form. Its policy binds the key, the content type, the exact length
// (or 1 to spec.MaxSize bytes where spec.Size is 0) and the checksum where one is declared.
// A form can be sent again while its policy lasts: S3 has no condition against that.
func (s *Store) SignPost(ctx context.Context, spec track.PutSpec) (track.SignedPost, error) {
	least, most := spec.Size, spec.Size
	if spec.Size == 0 {
		least, most = 1, spec.MaxSize
	}
	fields := map[string]string{
		"Content-Type":          spec.ContentType,
		"success_action_status": "201",
	}
	if c := spec.Checksum; c != nil {
		fields[c.Algorithm.Header()] = c.Value
	}
	conditions := []any{[]any{"content-length-range", least, most}}
	for name, value := range fields {
		conditions = append(conditions, map[string]string{name: value})
	}
	input := &s3.PutObjectInput{Bucket: &s.bucket, Key: aws.String(spec.Key)}
	signed, err := s.forms.PresignPostObject(ctx, input, func(o *s3.PresignPostOptions) {
		o.Expires = spec.TTL
		o.Conditions = conditions
	})
	if err != nil {
		return track.SignedPost{}, failure(ctx, "sign a form for", spec.Key, err)
	}
	for name, value := range signed.Values {
		fields[name] = value
	}
	return track.SignedPost{URL: signed.URL, Fields: fields}, nil
}
