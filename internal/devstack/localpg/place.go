package localpg

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// elsewhere holds root's data directories that the server's user could not reach at their own place.
const elsewhere = "/var/lib/trackstore"

// place finds the folder that really holds the data of dataDir, and creates what lies above it.
//
// It is dataDir itself, unless the account cannot get there because a folder above is closed to it (a project of
// root's below /root). Then dataDir becomes a symbolic link to a folder of its own below /var/lib/trackstore. The name
// of that folder begins with a hash of dataDir's path, so that when the link is gone, because somebody removed the
// whole state, the folder it left behind is recognized, and removed instead of used.
func place(dataDir string, acct account) (string, error) {
	if target, err := filepath.EvalSymlinks(dataDir); err == nil {
		if acct.canEnter(filepath.Dir(target)) {
			return target, nil
		}
		if err := os.Remove(target); err != nil { // an empty folder is no data
			return "", fmt.Errorf("the user that the server runs as cannot enter it: %w", err)
		}
	}
	// What may still be there is a link whose target is gone.
	if err := os.Remove(dataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	parent := filepath.Dir(dataDir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	parent, err := filepath.EvalSymlinks(parent)
	if err != nil {
		return "", err
	}
	dataDir = filepath.Join(parent, filepath.Base(dataDir))
	if acct.canEnter(parent) {
		return dataDir, nil
	}

	if err := makeOpen(elsewhere); err != nil {
		return "", err
	}
	prefix := fmt.Sprintf("postgres-%x-", sha256.Sum256([]byte(dataDir)))[:len("postgres-")+16] + "-"
	leftovers, err := filepath.Glob(filepath.Join(elsewhere, prefix+"*"))
	if err != nil {
		return "", err
	}
	for _, leftover := range leftovers {
		if err := os.RemoveAll(leftover); err != nil {
			return "", err
		}
	}
	target := filepath.Join(elsewhere, prefix+rand.Text()[:8])
	// The link first: a link without a target is an empty state, a target without a link would be garbage.
	return target, os.Symlink(target, dataDir)
}

// makeOpen creates a folder of root's that every user may enter, whatever the umask is.
func makeOpen(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}
