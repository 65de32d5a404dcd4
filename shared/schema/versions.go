package schema

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/golang-migrate/migrate/v4/source"
)

type direction int

const (
	up direction = iota
	down
)

// versions has the embedded migrations' versions in order. 0 stands for "none", before the first.
type versions []uint

func readVersions(src source.Driver) (versions, error) {
	var all versions
	v, err := src.First()
	for err == nil {
		all = append(all, v)
		v, err = src.Next(v)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return all, nil
}

func (all versions) latest() uint { return all[len(all)-1] }

func (all versions) has(v uint) bool { return v == 0 || slices.Contains(all, v) }

func (all versions) before(v uint) uint {
	if i := slices.Index(all, v); i > 0 {
		return all[i-1]
	}
	return 0
}

func (all versions) after(v uint) uint {
	if i := slices.Index(all, v) + 1; i < len(all) {
		return all[i]
	}
	return v
}
