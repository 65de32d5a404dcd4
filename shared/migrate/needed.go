package migrate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"

	"trackstore/shared/track"
)

// needed says which files tracks on disk need, by whatever way they lead to them.
type needed struct {
	odd   map[string][]string // their paths that are not plain, by the plain relative one
	files track.HashSet[mark]
}

// mark is what a file is known again by, whatever path leads to it: through another mount of its folder, or in another
// spelling on a disk that takes upper and lower case for the same.
type mark struct {
	device, inode uint64
	name          string // without a folder, in lower case
	at            track.FileIdentity
}

// marksOf returns the marks of a file; one that two paths have in common is enough. The inode is one. But there are file
// systems, such as exFAT by FUSE, that give a file a number for each way it was asked for: there it is known by its name,
// size and times.
func marksOf(filePath string, id track.FileIdentity) [2]mark {
	numbered := mark{device: id.Device, inode: id.Inode}
	id.Inode = 0
	return [2]mark{numbered, {name: strings.ToLower(path.Base(filePath)), at: id}}
}

// has reports whether a track needs the file that a path leads to.
func (n needed) has(filePath string, id track.FileIdentity) bool {
	marks := marksOf(filePath, id)
	return slices.ContainsFunc(marks[:], n.files.Has)
}

// learn looks at the file of every track that needs one. A path that cannot be followed is a finding of its own, and keeps
// no other track waiting.
func (p *purge) learn(ctx context.Context) error {
	p.needed = needed{odd: make(map[string][]string), files: track.NewHashSet[mark]()}
	for filePath, err := range p.Purges.LocalPaths(ctx, p.grace) {
		if err != nil {
			return err
		}
		err = patiently(ctx, firstBackoff, func() error { return p.lookAt(ctx, filePath) })
		if saysNothing(err) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if err != nil {
			detail := fmt.Sprintf("a track needs this file, and which one it is cannot be seen: %v", err)
			_ = p.keep(Finding{Kind: LocalUnreadable, Path: filePath, Detail: detail})
		}
	}
	return nil
}

func (p *purge) lookAt(ctx context.Context, filePath string) error {
	plain, err := p.Files.PlainPaths(filePath)
	if err == nil && !slices.Contains(plain, filePath) {
		p.needed.odd[plain[0]] = append(p.needed.odd[plain[0]], filePath)
	}
	if err != nil && !leadsNowhere(err) {
		return err
	}
	// Also of a path that leaves the root: the folder that it leads to may be the root's, mounted once more.
	id, err := p.Files.Identity(filePath)
	if leadsNowhere(err) {
		return p.Files.Prove(ctx) // else all files would be missing where the disk is
	}
	if err == nil {
		for _, m := range marksOf(filePath, id) {
			p.needed.files.Add(m)
		}
	}
	return err
}

// leadsNowhere is of paths that no file under the root can have.
func leadsNowhere(err error) bool {
	return errors.Is(err, track.ErrNotFound) || errors.Is(err, track.ErrOutsideRoot) || errors.Is(err, syscall.ELOOP)
}
