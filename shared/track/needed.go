package track

import (
	"context"
	"errors"
	"iter"
	"path"
	"slices"
	"strings"
	"syscall"
)

// NeededFiles is the disk, as far as it is asked which file a path leads to.
type NeededFiles interface {
	// Prove asks anew whether the root folder is there, and is the one that is meant (R7).
	Prove(ctx context.Context) error
	// PlainPaths returns the plain paths of the file that a path leads to, with no link in them:
	// the one relative to the root, and the absolute one. ErrOutsideRoot; ErrNotFound.
	PlainPaths(filePath string) ([]string, error)
	// Identity describes the file that a path leads to, also one outside of the root.
	Identity(filePath string) (FileIdentity, error)
}

// Needed says which files tracks on disk need, by whatever way they lead to them.
type Needed struct {
	Odd map[string][]string // their paths that are not plain, by the plain relative one

	files NeededFiles
	marks HashSet[fileMark]
}

// NewNeeded returns one that knows of no file yet.
func NewNeeded(files NeededFiles) *Needed {
	return &Needed{Odd: make(map[string][]string), files: files, marks: NewHashSet[fileMark]()}
}

// fileMark is what a file is known again by, whatever path leads to it: through another mount of its folder, or in another
// spelling on a disk that takes upper and lower case for the same.
type fileMark struct {
	device, inode uint64
	name          string // without a folder, in lower case
	at            FileIdentity
}

// marksOf returns the marks of a file; one that two paths have in common is enough. The inode is one. But there are file
// systems, such as exFAT by FUSE, that give a file a number for each way it was asked for: there it is known by its name,
// size and times.
func marksOf(filePath string, id FileIdentity) [2]fileMark {
	numbered := fileMark{device: id.Device, inode: id.Inode}
	id.Inode = 0
	return [2]fileMark{numbered, {name: strings.ToLower(path.Base(filePath)), at: id}}
}

// Has reports whether a track needs the file that a path leads to.
func (n *Needed) Has(filePath string, id FileIdentity) bool {
	marks := marksOf(filePath, id)
	return slices.ContainsFunc(marks[:], n.marks.Has)
}

// Learn looks at the file that a track needs by a path. An error is of the path, unless it IsRetryable or is ErrPlace. A path that
// leads nowhere is none.
func (n *Needed) Learn(ctx context.Context, filePath string) error {
	plain, err := n.files.PlainPaths(filePath)
	if err == nil && !slices.Contains(plain, filePath) {
		n.Odd[plain[0]] = append(n.Odd[plain[0]], filePath)
	}
	if err != nil && !leadsNowhere(err) {
		return err
	}
	// Also of a path that leaves the root: the folder that it leads to may be the root's, mounted once more.
	id, err := n.files.Identity(filePath)
	if leadsNowhere(err) {
		return n.files.Prove(ctx) // else all files would be missing where the disk is
	}
	if err == nil {
		for _, m := range marksOf(filePath, id) {
			n.marks.Add(m)
		}
	}
	return err
}

// LearnAll looks at all paths; unseen is told of those that cannot be followed. Its error is that of the paths, or of the disk.
func (n *Needed) LearnAll(ctx context.Context, filePaths iter.Seq2[string, error], unseen func(filePath string, err error)) error {
	for filePath, err := range filePaths {
		if err == nil {
			err = n.Learn(ctx, filePath)
			if err != nil && !IsRetryable(err) && !errors.Is(err, ErrPlace) && ctx.Err() == nil {
				unseen(filePath, err)
				continue
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// leadsNowhere is of paths that no file under the root can have.
func leadsNowhere(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrOutsideRoot) || errors.Is(err, syscall.ELOOP)
}
