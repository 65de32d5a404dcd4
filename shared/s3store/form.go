package s3store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"trackstore/shared/track"
)

// SignPost signs one form. Its policy binds the key, the content type, the exact length
// (or 1 to spec.MaxSize bytes where spec.Size is 0) and the checksum where one is declared.
// A form can be sent again while its policy lasts: S3 has no condition against that.
func (s *Store) SignPost(ctx context.Context, spec track.PutSpec) (track.SignedPost, error) {
	if err := s.prove(ctx); err != nil {
		return track.SignedPost{}, failure(ctx, "sign a form for", spec.Key, err)
	}
	now, err := s.signer.begin(ctx)
	if err != nil {
		return track.SignedPost{}, failure(ctx, "sign a form for", spec.Key, err)
	}
	fields := map[string]string{
		"key":                   spec.Key,
		"Content-Type":          spec.ContentType,
		"success_action_status": "201",
		"X-Amz-Algorithm":       algorithm,
		"X-Amz-Credential":      now.credential,
		"X-Amz-Date":            now.date,
	}
	if c := spec.Checksum; c != nil {
		fields[c.Algorithm.Header()] = c.Value
	}
	if now.token != "" {
		fields["X-Amz-Security-Token"] = now.token
	}
	least, most := spec.Size, spec.Size
	if spec.Size == 0 {
		least, most = 1, spec.MaxSize
	}
	// Each field is a condition too, for S3 refuses others.
	conditions := []any{map[string]string{"bucket": s.bucket}, []any{"content-length-range", least, most}}
	for name, value := range fields {
		conditions = append(conditions, map[string]string{name: value})
	}
	policy, err := json.Marshal(map[string]any{
		"expiration": now.at.Add(now.life(spec.TTL)).Format(time.RFC3339),
		"conditions": conditions,
	})
	if err != nil {
		return track.SignedPost{}, failure(ctx, "sign a form for", spec.Key, err)
	}
	fields["policy"] = base64.StdEncoding.EncodeToString(policy)
	fields["X-Amz-Signature"] = now.sign(fields["policy"])
	return track.SignedPost{URL: s.public.String(), Fields: fields}, nil
}
