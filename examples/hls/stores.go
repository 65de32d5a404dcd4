package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// bucket keeps renditions beside trackstore's objects, which are below uploads/ and tracks/.
type bucket struct {
	s3   *s3.Client
	name string
}

func (b bucket) Put(ctx context.Context, name string, content []byte) error {
	_, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: &name, Body: bytes.NewReader(content), ContentType: contentType(name)})
	return err
}

func contentType(name string) *string {
	if path.Ext(name) == ".m3u8" {
		return aws.String("application/vnd.apple.mpegurl")
	}
	return aws.String("video/mp2t")
}

func (b bucket) Get(ctx context.Context, name string) ([]byte, error) {
	object, err := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &name})
	var absent *types.NoSuchKey
	if errors.As(err, &absent) {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer object.Body.Close()
	return io.ReadAll(object.Body)
}

func (b bucket) List(ctx context.Context, prefix string) (names []string, err error) {
	pages := s3.NewListObjectsV2Paginator(b.s3, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			names = append(names, *object.Key)
		}
	}
	return names, nil
}

func (b bucket) Delete(ctx context.Context, name string) error {
	_, err := b.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &name})
	return err
}

// disk keeps renditions in a folder of their own, beside TRACK_LOCAL_DIR and not in it: what
// is there and no row names, trackstore's audit calls a file without a row.
type disk struct{ dir string }

func (d disk) file(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

// Put renames the file to its place, so that nobody reads half of it.
func (d disk) Put(_ context.Context, name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(d.file(name)), 0o755); err != nil {
		return err
	}
	temp := d.file(name) + ".part"
	if err := os.WriteFile(temp, content, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, d.file(name))
}

func (d disk) Get(_ context.Context, name string) ([]byte, error) { return os.ReadFile(d.file(name)) }

func (d disk) List(_ context.Context, prefix string) (names []string, err error) {
	err = filepath.WalkDir(d.file(prefix), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.dir, file)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return names, err
}

func (d disk) Delete(_ context.Context, name string) error {
	if err := os.Remove(d.file(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
