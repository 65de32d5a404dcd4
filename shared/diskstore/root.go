package diskstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"trackstore/shared/track"
)

// idFile holds what a root folder is known by.
const idFile = workDir + "/root-id"

// Root returns the absolute path of the root folder.
func (s *Store) Root() string { return s.root }

// ID returns the id that the root folder bears, or the zero ID where it bears none.
func (s *Store) ID() (track.ID, error) {
	root, err := s.openRoot()
	if err != nil {
		return track.ID{}, failure("read", idFile, err)
	}
	defer root.Close()
	return readID(root)
}

// Mark makes the root folder bear an id, durably, unless it bears one (track.ErrExists).
// track.ErrPlace, or fs.ErrPermission: it cannot be written to.
func (s *Store) Mark(id track.ID) error {
	err := s.create(idFile, func(f *os.File) error {
		_, err := io.WriteString(f, id.String()+"\n")
		return err
	})
	return failure("write", idFile, err)
}

func readID(root *os.Root) (track.ID, error) {
	content, err := root.ReadFile(idFile)
	if errors.Is(err, fs.ErrNotExist) {
		return track.ID{}, nil
	}
	if err != nil {
		return track.ID{}, failure("read", idFile, err)
	}
	id, err := track.ParsePlaceID(content)
	return id, failure("read", idFile, err)
}

// Prove asks anew whether the root folder is there, and is the one that is meant.
func (s *Store) Prove(context.Context) error {
	root, err := s.openRootToWrite()
	if err != nil {
		return failure("prove", s.root, err)
	}
	return root.Close()
}

// provenRoot is a folder that Config.Prove has let pass.
type provenRoot struct {
	device, inode uint64
	id            track.ID // that it bears; zero: none
}

// openRoot opens the root folder. It is opened for each call, so that a disk may come and
// go. One that is not there is out of reach: it says nothing about any file.
func (s *Store) openRoot() (*os.Root, error) { return s.openProven(false) }

// openRootToWrite is openRoot for whoever makes or removes something: another disk may have
// got the numbers of the one that was proven, so its id is read once more.
func (s *Store) openRootToWrite() (*os.Root, error) { return s.openProven(true) }

func (s *Store) openProven(anew bool) (*os.Root, error) {
	root, err := os.OpenRoot(s.root)
	if err != nil {
		return nil, fmt.Errorf("%w: the root folder, is the volume mounted? %w", track.ErrUnavailable, err)
	}
	if s.cfg.Prove == nil {
		return root, nil
	}
	if err := s.prove(root, anew); err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// prove looks at the open folder, not at its path: what is done with it later is done in
// this folder, whatever is mounted at the path by then.
func (s *Store) prove(root *os.Root, anew bool) error {
	info, err := root.Stat(".")
	if err != nil {
		return fmt.Errorf("%w: the root folder: %w", track.ErrUnavailable, err)
	}
	is := identity(info)
	s.proving.Lock()
	defer s.proving.Unlock()
	same := s.proven != nil && s.proven.device == is.Device && s.proven.inode == is.Inode
	if same && !anew {
		return nil
	}
	bears, err := readID(root)
	if err != nil {
		return err
	}
	if same && s.proven.id == bears {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	id, err := s.cfg.Prove(ctx)
	if err != nil {
		return err
	}
	// It looked at what is at the path, and this is what is open. Now it may bear an id.
	if bears, err = readID(root); err != nil {
		return err
	}
	if bears != id {
		return fmt.Errorf("%w: the root folder has become another one this moment", track.ErrUnavailable)
	}
	s.proven = &provenRoot{is.Device, is.Inode, id}
	return nil
}
