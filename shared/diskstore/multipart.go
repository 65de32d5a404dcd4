package diskstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"strings"
	"time"

	"trackstore/shared/track"
)

// An upload in parts is a folder under multipartDir, named by its id, with a manifest and
// a file for each part. It appears and vanishes as a whole, by being renamed.
const (
	multipartDir = workDir + "/multipart"
	manifestName = "manifest.json"
)

type manifest struct {
	Key     string    `json:"key"`
	Started time.Time `json:"started"`
}

// CreateMultipart begins an upload in parts.
func (s *Store) CreateMultipart(_ context.Context, key, _ string, _ *track.Checksum) (string, error) {
	if _, err := keyPath(key); err != nil {
		return "", err
	}
	id := track.NewID().String()
	if err := s.createMultipart(id, manifest{key, time.Now().UTC()}); err != nil {
		return "", failure("create a multipart upload of", key, err)
	}
	return id, nil
}

func (s *Store) createMultipart(id string, m manifest) error {
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	root, err := s.openRootToWrite()
	if err != nil {
		return err
	}
	defer root.Close()
	// A crash before the renaming leaves a temporary folder, which cleanTemp removes.
	temp := tempName()
	if err := errors.Join(makeFolder(root, temp), makeFolder(root, multipartDir)); err != nil {
		return err
	}
	if err := errors.Join(writeSynced(root, path.Join(temp, manifestName), content), syncDir(root, temp)); err != nil {
		return err
	}
	if err := root.Rename(temp, path.Join(multipartDir, id)); err != nil {
		return err
	}
	return syncDir(root, multipartDir)
}

func writeSynced(root *os.Root, name string, content []byte) error {
	f, err := createNew(root, name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// uploadDir returns the folder of an upload in parts, which must be one of this key.
func uploadDir(root *os.Root, key, id string) (string, error) {
	m, err := readManifest(root, id)
	if err != nil {
		return "", err
	}
	if m.Key != key {
		return "", fmt.Errorf("%w: multipart upload %s is one of another key", track.ErrNotFound, id)
	}
	return path.Join(multipartDir, id), nil
}

func readManifest(root *os.Root, id string) (m manifest, err error) {
	if _, err := track.ParseID(id); err != nil {
		return m, fmt.Errorf("%w: no multipart upload has the id %q", track.ErrNotFound, id)
	}
	content, err := root.ReadFile(path.Join(multipartDir, id, manifestName))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(content, &m)
}

// AbortMultipart gives up an upload and its parts. One that is not there is no error.
func (s *Store) AbortMultipart(_ context.Context, key, multipartID string) error {
	root, err := s.openRootToWrite()
	if err != nil {
		return failure("abort the multipart upload of", key, err)
	}
	defer root.Close()
	_, err = uploadDir(root, key, multipartID)
	if err == nil {
		err = s.abort(root, multipartID)
	}
	if err := failure("abort the multipart upload of", key, err); !errors.Is(err, track.ErrNotFound) {
		return err
	}
	return nil
}

// abort takes the upload out of sight at once, then removes it; a crash in between leaves
// a temporary folder, which cleanTemp removes.
func (s *Store) abort(root *os.Root, id string) error {
	temp := tempName()
	if err := makeFolder(root, tempDir); err != nil {
		return err
	}
	err := root.Rename(path.Join(multipartDir, id), temp)
	if errors.Is(err, os.ErrNotExist) {
		return nil // somebody else did
	}
	if err != nil {
		return err
	}
	return errors.Join(syncDir(root, multipartDir), root.RemoveAll(temp))
}

// ListMultiparts yields the uploads in parts that are neither completed nor aborted, of all
// keys that begin with prefix. It ends after an error.
func (s *Store) ListMultiparts(_ context.Context, prefix string) iter.Seq2[track.Multipart, error] {
	return func(yield func(track.Multipart, error) bool) {
		root, err := s.openRoot()
		if err != nil {
			yield(track.Multipart{}, failure("list the multipart uploads of", prefix, err))
			return
		}
		defer root.Close()
		ids, err := readNames(root, multipartDir)
		if errors.Is(err, os.ErrNotExist) {
			return // there never was one
		}
		for _, id := range ids {
			m, err := readManifest(root, id)
			if errors.Is(classify(err), track.ErrNotFound) {
				continue // gone this moment
			}
			if err != nil {
				yield(track.Multipart{}, failure("list the multipart uploads of", prefix, err))
				return
			}
			if strings.HasPrefix(m.Key, prefix) && !yield(track.Multipart{Key: m.Key, ID: id, Started: m.Started}, nil) {
				return
			}
		}
		if err != nil {
			yield(track.Multipart{}, failure("list the multipart uploads of", prefix, err))
		}
	}
}
