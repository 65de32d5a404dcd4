package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// stateDir is the folder that holds all that the stack keeps between runs. Its holder has it alone.
type stateDir struct {
	path string // absolute
	lock *os.File
}

// openState makes the folder if need be, and takes hold of it until close, or until the end of the process.
func openState(path string) (*stateDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("the folder of the local stack's state (TRACKSTORE_DEV_DIR): %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("the folder of the local stack's state (TRACKSTORE_DEV_DIR): %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(lock) // it is only for the message
		lock.Close()
		return nil, fmt.Errorf("a local stack (process %s) already runs on %s: stop it, "+
			"or give this one a folder and a port of its own (TRACKSTORE_DEV_DIR and PORT)", strings.TrimSpace(string(holder)), path)
	}
	if err == nil {
		err = errors.Join(lock.Truncate(0), writeAt(lock, fmt.Sprintln(os.Getpid())))
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &stateDir{path, lock}, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

func (d *stateDir) close() error { return d.lock.Close() }

func (d *stateDir) join(name string) string { return filepath.Join(d.path, name) }

// chosenFile holds the variables that the last run chose, secrets and ports among them: the next one chooses the same.
const chosenFile = "chosen.json"

func (d *stateDir) lastChosen() (map[string]string, error) {
	b, err := os.ReadFile(d.join(chosenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var chosen map[string]string
	if err := json.Unmarshal(b, &chosen); err != nil {
		return nil, fmt.Errorf("%s: %w; remove the file to have everything chosen anew", d.join(chosenFile), err)
	}
	return chosen, nil
}

func (d *stateDir) keepChosen(chosen map[string]string) error {
	b, err := json.MarshalIndent(chosen, "", "  ")
	if err != nil {
		return err
	}
	return d.write(chosenFile, append(b, '\n'))
}

// write replaces a file, which only its owner may read, at once: a reader finds the old one or the new one.
func (d *stateDir) write(name string, content []byte) error {
	unfinished := d.join(name + ".new")
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return err
	}
	// The file may have been there, with another mode.
	return errors.Join(os.Chmod(unfinished, 0o600), os.Rename(unfinished, d.join(name)))
}

// remove removes files that may be absent.
func (d *stateDir) remove(names ...string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(d.join(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
