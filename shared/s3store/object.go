package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"trackstore/shared/track"
)

// Head describes an object, with the checksums of the whole that S3 has. An empty versionID
// is the current version. Without permission to list the bucket, S3 answers "forbidden" of
// an object that is not there.
func (s *Store) Head(ctx context.Context, key, versionID string) (track.Object, error) {
	if versionID == "" {
		if object, ok := s.direct.head(ctx, key); ok {
			return object, nil
		}
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket:       &s.bucket,
		Key:          &key,
		VersionId:    optional(versionID),
		ChecksumMode: types.ChecksumModeEnabled,
	})
	if err == nil && aws.ToString(out.ETag) == "" {
		err = errNotS3
	}
	if err != nil {
		return track.Object{}, failure(ctx, "head", key, err)
	}
	object := track.Object{
		Key:         key,
		VersionID:   aws.ToString(out.VersionId),
		Size:        aws.ToInt64(out.ContentLength),
		ContentType: aws.ToString(out.ContentType),
		ModTime:     aws.ToTime(out.LastModified),
		Headers: addedHeaders(map[string]string{
			"Content-Encoding": aws.ToString(out.ContentEncoding),
			"Content-Language": aws.ToString(out.ContentLanguage),
		}),
	}
	if out.ChecksumType != types.ChecksumTypeComposite { // a composite one is of the parts' sums
		object.Checksums = checksums(map[track.Algorithm]*string{
			track.CRC64NVME: out.ChecksumCRC64NVME,
			track.CRC32C:    out.ChecksumCRC32C,
			track.SHA256:    out.ChecksumSHA256,
		})
	}
	return object, nil
}

// addedHeaders returns those that an object has. What the signatures of GETs override, and
// what says nothing, is not among them.
func addedHeaders(values map[string]string) map[string]string {
	var added map[string]string
	for name, value := range values {
		if value == "" || name == "Content-Encoding" && strings.EqualFold(value, "identity") {
			continue
		}
		if added == nil {
			added = make(map[string]string)
		}
		added[name] = value
	}
	return added
}

func checksums(values map[track.Algorithm]*string) []track.Checksum {
	var all []track.Checksum
	for _, algorithm := range []track.Algorithm{track.CRC64NVME, track.CRC32C, track.SHA256} {
		c := track.Checksum{Algorithm: algorithm, Value: aws.ToString(values[algorithm])}
		if c.Validate() == nil {
			all = append(all, c)
		}
	}
	return all
}

// Read describes the current version of an object as Head does, and reads it from its beginning, as a rule in one
// request. Its errors are those of both, and of reading those of Open.
func (s *Store) Read(ctx context.Context, key string) (track.Object, io.ReadCloser, error) {
	if object, bytes, ok := s.direct.get(ctx, key); ok {
		return object, &body{bytes, ctx, key}, nil
	}
	object, err := s.Head(ctx, key, "")
	if err != nil {
		return object, nil, err
	}
	bytes, err := s.Open(ctx, key, object.VersionID, 0, -1)
	return object, bytes, err
}

// Open reads length bytes of an object from offset, to its end where length is negative or
// reaches beyond. From the end on there is nothing to read. Reading fails with
// track.ErrUnavailable where the connection breaks or falls silent.
func (s *Store) Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error) {
	if length == 0 {
		return http.NoBody, nil
	}
	input := &s3.GetObjectInput{Bucket: &s.bucket, Key: &key, VersionId: optional(versionID)}
	switch {
	case length > 0:
		input.Range = aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		input.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	out, err := s.client.GetObject(ctx, input)
	if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) &&
		response.HTTPStatusCode() == http.StatusRequestedRangeNotSatisfiable {
		return http.NoBody, nil
	}
	if err != nil {
		return nil, failure(ctx, "open", key, err)
	}
	return &body{out.Body, ctx, key}, nil
}

// body names the errors of reading as the other calls do.
type body struct {
	io.ReadCloser
	ctx context.Context
	key string
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if b.ctx.Err() != nil {
		return n, failure(b.ctx, "read", b.key, err)
	}
	return n, fmt.Errorf("read %q: %w: %w", b.key, track.ErrUnavailable, err)
}

// Create stores the bytes of body under a new key. S3 checks them against spec.Digest; other
// bytes are track.ErrMismatch. track.ErrExists tells that the key is there, be it by an earlier
// attempt of this very call: Head tells by what bytes. The object is as S3's answer describes it:
// the checksum is that of what S3 received, and is not there where it said none; ModTime is not known.
// The body is the caller's again when Create returns.
func (s *Store) Create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (track.Object, error) {
	loan := &loan{body: body}
	defer loan.end()
	if created, ok, err := s.direct.create(ctx, spec, loan); ok {
		return created, err
	}
	checksum, size := track.NewCRC64NVME(spec.Digest.CRC64NVME), spec.Digest.Size
	out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:            &s.bucket,
		Key:               &spec.Key,
		ContentType:       optional(spec.ContentType),
		ContentLength:     &size,
		ChecksumCRC64NVME: &checksum.Value,
		IfNoneMatch:       aws.String("*"),
		Body:              io.NewSectionReader(loan, 0, size),
	}, unsignedPayload)
	if err == nil && aws.ToString(out.ETag) == "" {
		err = errNotS3
	}
	if err != nil {
		return track.Object{}, failure(ctx, "create", spec.Key, err)
	}
	created := answered(spec, aws.ToString(out.VersionId), aws.ToString(out.ChecksumCRC64NVME))
	if out.Size != nil {
		created.Size = *out.Size
	}
	return created, nil
}

// loan is a body that is read until its end alone: a transport may go on reading what it
// sends when the answer is there already, or the call was given up, and the memory may be
// another file's by then.
type loan struct {
	mu   sync.RWMutex
	body io.ReaderAt // nil after the end
}

func (l *loan) ReadAt(p []byte, offset int64) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.body == nil {
		return 0, errors.New("the call is over")
	}
	return l.body.ReadAt(p, offset)
}

func (l *loan) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.body = nil
}

// unsignedPayload is for bodies that come with a checksum: signing them, too, would read
// them once more for a SHA-256, which the SDK does wherever there is no TLS.
func unsignedPayload(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// List yields the current versions of all objects whose keys begin with prefix, in the
// order of their keys, with key, size and time only. It ends after an error.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[track.Object, error] {
	return func(yield func(track.Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(track.Object{}, failure(ctx, "list", prefix, err))
				return
			}
			for _, o := range page.Contents {
				object := track.Object{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), ModTime: aws.ToTime(o.LastModified)}
				if !yield(object, nil) {
					return
				}
			}
		}
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
