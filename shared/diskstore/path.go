package diskstore

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"trackstore/shared/track"
)

// workDir holds, under the root, what is in the making.
const workDir = ".trackstore"

// keyPath returns the path of a key that is to be written: a plain one, that is, without
// anything in it that would have to be resolved.
func keyPath(key string) (string, error) {
	first, _, _ := strings.Cut(key, "/")
	if !filepath.IsLocal(key) || path.Clean(key) != key || key == "." || strings.EqualFold(first, workDir) ||
		strings.ContainsRune(key, 0) {
		return "", fmt.Errorf("%q is no key on disk", key)
	}
	return key, nil
}

// locate returns the path under the root of a file path, absolute or relative. Links are
// not looked at, but for an absolute path's way to the root: that may be any.
func (s *Store) locate(filePath string) (string, error) {
	if filePath == "" {
		return "", track.ErrNotFound
	}
	if filepath.IsAbs(filePath) {
		return s.locateAbs(filepath.Clean(filePath))
	}
	rel := filepath.Clean(filePath)
	if !filepath.IsLocal(rel) {
		return "", track.ErrOutsideRoot
	}
	return rel, nil
}

func (s *Store) locateAbs(abs string) (string, error) {
	if rel, found := strings.CutPrefix(abs, s.root+"/"); found {
		return rel, nil
	}
	root, err := os.Stat(s.root)
	if err != nil {
		return "", fmt.Errorf("%w: %w", track.ErrUnavailable, err)
	}
	for dir := abs; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && os.SameFile(info, root) {
			return filepath.Rel(dir, abs)
		}
		if dir == filepath.Dir(dir) {
			return "", track.ErrOutsideRoot
		}
	}
}

// resolve returns the path of the same file with no link in it. os.Root follows no absolute
// link, not even one that stays inside; here each link is read and taken apart. Nothing is
// trusted of the answer: it is opened through os.Root, so that a link that is exchanged
// meanwhile leads nowhere else.
func (s *Store) resolve(root *os.Root, rel string) (string, error) {
	const mostLinks = 40 // as Linux has it
	links := 0
	done, todo := ".", strings.Split(rel, "/")
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if done == "." {
				return "", track.ErrOutsideRoot
			}
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, name)
		info, err := root.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > mostLinks {
			return "", &fs.PathError{Op: "resolve", Path: rel, Err: syscall.ELOOP}
		}
		target, err := root.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			if target, err = s.locateAbs(filepath.Clean(target)); err != nil {
				return "", err
			}
			done = "."
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, nil
}
