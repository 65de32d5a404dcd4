package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	embedded "github.com/fergusstrange/embedded-postgres"
	"github.com/rogpeppe/go-internal/lockedfile"
)

// fetchedVersion is what is fetched where no server binaries are installed.
const fetchedVersion = embedded.V17

// binaries is a folder with initdb and postgres, and their major version.
type binaries struct {
	dir   string
	major int
}

// findBinaries returns the newest installed binaries, or those of one major version where major is not 0. Where none
// are installed at all, it fetches some.
func findBinaries(ctx context.Context, major int, log io.Writer) (binaries, error) {
	installed := installedBinaries(ctx)
	if err := ctx.Err(); err != nil {
		return binaries{}, err // the search may have been broken off
	}
	if major == 0 && len(installed) > 0 {
		return installed[0], nil
	}
	for _, b := range installed {
		if b.major == major {
			return b, nil
		}
	}
	if major != 0 && !strings.HasPrefix(string(fetchedVersion), strconv.Itoa(major)+".") {
		return binaries{}, fmt.Errorf("PostgreSQL %d, which wrote the data there, is not installed", major)
	}
	return fetchBinaries(ctx, log)
}

// installedBinaries looks where packages of the usual systems put servers, newest first.
func installedBinaries(ctx context.Context) []binaries {
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",                             // Debian, Ubuntu
		"/usr/pgsql-*/bin",                                      // PostgreSQL's own packages for Red Hat
		"/usr/libexec/postgresql*",                              // Alpine
		"/opt/homebrew/opt/postgresql*/bin",                     // Homebrew on ARM
		"/usr/local/opt/postgresql*/bin",                        // Homebrew on Intel
		"/Applications/Postgres.app/Contents/Versions/*/bin",    // Postgres.app
		"/usr/local/pgsql/bin", "/opt/homebrew/bin", "/usr/bin", // built from source, and the rest
	} {
		found, _ := filepath.Glob(pattern) // fails only on a malformed pattern
		dirs = append(dirs, found...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, string(out[:max(len(out)-1, 0)]))
	}

	var all []binaries
	for _, dir := range dirs {
		if b, err := inspect(ctx, dir); err == nil {
			all = append(all, b)
		}
	}
	slices.SortStableFunc(all, func(a, b binaries) int { return b.major - a.major })
	return all
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect asks the server in dir for its version.
func inspect(ctx context.Context, dir string) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, err
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return binaries{}, fmt.Errorf("%s/postgres --version says %q", dir, out)
	}
	major, err := strconv.Atoi(string(match[1]))
	return binaries{dir, major}, err
}

// fetchBinaries fetches server binaries once, from Maven Central, into a cache.
func fetchBinaries(ctx context.Context, log io.Writer) (binaries, error) {
	cache, err := cacheDir()
	if err != nil {
		return binaries{}, err
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(cache, "fetch.lock")).Lock()
	if err != nil {
		return binaries{}, err
	}
	defer unlock()

	home := filepath.Join(cache, "postgres-"+string(fetchedVersion))
	bin := filepath.Join(home, "bin")
	if b, err := inspect(ctx, bin); err == nil {
		return b, nil
	}
	fmt.Fprintf(log, "no PostgreSQL server is installed: fetching %s (about 30 MB, once) into %s\n", fetchedVersion, home)

	// The library has no call that only fetches. A data directory that cannot exist makes its Start end right after
	// the binaries are unpacked, and before it would run initdb, which root must not.
	partial := home + ".partial"
	startErr := embedded.NewDatabase(embedded.DefaultConfig().
		Version(fetchedVersion).Port(0).Logger(log).
		CachePath(cache).RuntimePath(partial).DataPath("/dev/null/none")).Start()
	if _, err := os.Stat(filepath.Join(partial, "bin", "postgres")); err != nil {
		return binaries{}, fmt.Errorf("no PostgreSQL server is installed, and fetching one failed: %w", startErr)
	}
	if err := errors.Join(openToAll(partial), os.RemoveAll(home), os.Rename(partial, home)); err != nil {
		return binaries{}, err
	}
	archives, err := filepath.Glob(filepath.Join(cache, "*.txz"))
	if err != nil {
		return binaries{}, err
	}
	for _, archive := range archives { // unpacked, it is of no use
		if err := os.Remove(archive); err != nil {
			return binaries{}, err
		}
	}
	return inspect(ctx, bin)
}

// cacheDir is where what is made or fetched once is kept. Root's is used by another user, who may not enter root's home.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		const dir = "/var/cache/trackstore"
		return dir, makeOpen(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "trackstore")
	return dir, os.MkdirAll(dir, 0o755)
}

// openToAll lets every user read and run what lies in dir, whatever the umask was.
func openToAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}
