package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// cluster makes and runs data directories with one set of binaries, as one user.
type cluster struct {
	bin     binaries
	acct    account
	durable bool
	listen  string // besides 127.0.0.1
}

// create makes a data directory at dir, which must be absent or empty, by means of fill. A crash leaves an unfinished
// directory beside dir, never a half-made one in its place.
func create(ctx context.Context, dir string, fill func(ctx context.Context, dir string) error) error {
	unfinished := dir + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := fill(ctx, unfinished); err != nil {
		return errors.Join(err, os.RemoveAll(unfinished))
	}
	return os.Rename(unfinished, dir)
}

// copyTemplate makes a data directory by copying the template.
func (c cluster) copyTemplate(ctx context.Context, dir string) error {
	source, err := c.template(ctx)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		return err
	}
	return c.acct.own(dir)
}

// template returns the data directory that others are copied from. It is made once and kept in the cache.
func (c cluster) template(ctx context.Context) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(cache, "template.lock")).Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := filepath.Join(cache, fmt.Sprintf("template-%d", c.bin.major))
	if major, err := clusterVersion(dir); err != nil || major != 0 {
		return dir, err
	}
	return dir, create(ctx, dir, c.initdb)
}

// initdb makes a data directory whose superuser has a password of its own.
func (c cluster) initdb(ctx context.Context, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	// initdb wants an empty directory, so the password comes in only afterwards.
	secret := dir + ".password"
	if err := os.WriteFile(secret, []byte(newPassword()+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(secret)
	if err := errors.Join(c.acct.own(dir), c.acct.own(secret)); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + dir, "--username=" + superuser, "--pwfile=" + secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C",
	}
	if !c.durable {
		args = append(args, "--no-sync", "--wal-segsize=1") // a smaller directory to copy
	}
	out, err := c.acct.command(filepath.Join(c.bin.dir, "initdb"), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return os.Rename(secret, filepath.Join(dir, passwordFile))
}

// allow lets whoever reaches the server in, with the password alone. The addresses that it listens on decide who does.
func allow(dir string) error {
	return os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte("host all all all scram-sha-256\n"), 0o600)
}

// server is the command that runs the server on dir.
func (c cluster) server(dir string, port int) *exec.Cmd {
	addresses := "127.0.0.1"
	switch c.listen {
	case "":
	case "0.0.0.0":
		addresses = c.listen // 127.0.0.1 is one of them
	default:
		addresses += "," + c.listen
	}
	settings := []string{
		"listen_addresses=" + addresses,
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=", // TCP alone: a socket's path may have no more than 107 bytes
		"max_connections=300",
		"timezone=UTC",
		"log_timezone=UTC",
	}
	if c.durable {
		// Tables that were empty a minute ago are full: plans that were made for them are to know soon.
		settings = append(settings, "autovacuum_naptime=5s")
	} else {
		settings = append(settings,
			"fsync=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0", "max_wal_size=64MB",
			"dynamic_shared_memory_type=mmap", // in the data directory, and gone with it
		)
	}
	args := []string{"-D", dir}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return c.acct.command(filepath.Join(c.bin.dir, "postgres"), args...)
}
