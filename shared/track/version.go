package track

import "slices"

// Unpinned returns those of an object's versions that no row pins. A pinned one that is not
// among them, or is not known (the empty string), keeps all: the bucket may be a copy, and one of
// them is what the row means. Where nothing is pinned, no row names the object, and nothing is
// said of it here.
func Unpinned(versions []Object, pinned []string) []Object {
	isThere := func(id string) bool {
		return id != "" && slices.ContainsFunc(versions, func(v Object) bool { return v.VersionID == id })
	}
	if len(pinned) == 0 || slices.ContainsFunc(pinned, func(id string) bool { return !isThere(id) }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(versions), func(v Object) bool { return slices.Contains(pinned, v.VersionID) })
}
