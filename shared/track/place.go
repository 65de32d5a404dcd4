package track

import (
	"bytes"
	"fmt"
)

// PlaceKind is a kind of place.
type PlaceKind string

// The kinds.
const (
	Root   PlaceKind = "root"   // the root folder of the files on disk
	Bucket PlaceKind = "bucket" // of S3
)

// Place is where bytes lie, as the database knows it.
type Place struct {
	Kind PlaceKind
	ID   ID // what the place bears, once it is marked
	// Name is the bucket's name, or the root's absolute path: what it was called when it was
	// recorded. A copy that bears the same id is the same place, by whatever name.
	Name     string
	IsMarked bool // the place bears the id; else it could not be written to
}

// ParsePlaceID reads the content of what holds a place's id: the file .trackstore/root-id, or
// the object .trackstore/bucket-id. Anything but a UUID is ErrPlace.
func ParsePlaceID(content []byte) (ID, error) {
	id, err := ParseID(string(bytes.TrimSpace(content)))
	if err != nil {
		return ID{}, fmt.Errorf("%w: it holds %.40q, and no id", ErrPlace, content)
	}
	return id, nil
}

// LiesIn reports whether bytes lie in the bucket here, by the name of a bucket that their row or note has; one that has
// none means it.
func LiesIn(here interface{ Bucket() string }, name string) bool {
	return name == "" || name == here.Bucket()
}

// Elsewhere returns a bucket of earlier, which rows and notes name, by its name. A nil one knows of none.
type Elsewhere[B interface{ Bucket() string }] func(name string) (B, error)

// Find returns the bucket that bytes lie in: the one that their row or note names, and not the one that is worked with now.
func (e Elsewhere[B]) Find(here B, name string) (found B, err error) {
	switch {
	case LiesIn(here, name):
		return here, nil
	case e == nil:
		return found, fmt.Errorf("%w: it lies in another bucket, %s", ErrForbidden, name)
	}
	return e(name)
}
