package migrate

import (
	"hash/maphash"
	"iter"
)

// Paths tells by which paths a file under the root is reached.
type Paths interface {
	// ResolveFile returns the path, relative and with no link in it, of the file that a path
	// leads to.
	ResolveFile(filePath string) (string, error)
	// AbsPath returns the absolute form of a path under the root.
	AbsPath(rel string) string
}

// plainPaths returns the two plain ways to write the path of the file that a path leads to,
// with no link or detour in them: relative to the root, and absolute.
func plainPaths(paths Paths, filePath string) ([]string, error) {
	resolved, err := paths.ResolveFile(filePath)
	if err != nil {
		return nil, err
	}
	return []string{resolved, paths.AbsPath(resolved)}, nil
}

// pathSet is a set of paths in 8 bytes each. It may take a path for one of its own that it
// is not, once in 10^12 questions of a set of 10^7.
type pathSet struct {
	seed   maphash.Seed
	hashes map[uint64]struct{}
}

func newPathSet() pathSet { return pathSet{maphash.MakeSeed(), map[uint64]struct{}{}} }

func (s pathSet) add(path string) { s.hashes[maphash.String(s.seed, path)] = struct{}{} }

func (s pathSet) has(path string) bool {
	_, ok := s.hashes[maphash.String(s.seed, path)]
	return ok
}

// resolveAll returns the files that paths lead to. Two paths are one file if they resolve
// to the same: absolute or relative, with links or without.
func resolveAll(paths iter.Seq2[string, error], files LocalFiles) (pathSet, error) {
	set := newPathSet()
	for path, err := range paths {
		if err != nil {
			return set, err
		}
		if resolved, err := files.ResolveFile(path); err == nil {
			set.add(resolved)
		}
	}
	return set, nil
}
