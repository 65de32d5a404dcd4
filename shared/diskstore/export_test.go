package diskstore

import "os"

// The ways to give a name, for tests on file systems that have the first.
var (
	RenameExclusively = renameExclusively
	RenameLocked      = renameLocked
)

// NameBy gives what CreateFile does a name in another way.
func NameBy(dir string, give func(root *os.Root, temp, name string) error, name string, content []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, temp, err := createTemp(root)
	if err != nil {
		return err
	}
	defer func() { _ = root.Remove(temp) }()
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := makeFolder(root, "a/b"); err != nil {
		return err
	}
	return give(root, temp, name)
}
