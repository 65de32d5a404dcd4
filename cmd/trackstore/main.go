// Command trackstore is the operator's and the developer's side of trackstore: it runs the
// local stack, brings the database schema up, checks the configuration, and moves tracks
// between disk and S3.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"trackstore/shared/places"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // writing then fails, and output ends the command in good order
	// The first signal asks a command to end in good order, the second one ends it at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// commands is the command line. A command's Run gets a context that a signal ends, and the console.
type commands struct {
	PrintVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Dev    devCmd    `cmd:"" help:"Run the whole local stack."`
	Schema schemaCmd `cmd:"" help:"Bring the database's schema up or down."`

	MigrateStorage migrateCmd `cmd:"" help:"Move tracks between disk and S3, and look after what is moved."`

	Sweep sweepCmd `cmd:"" help:"Settle uploads whose event was lost, and remove what nothing names any more."`

	Events eventsCmd `cmd:"" help:"Look after what is told of tracks to a bus or a webhook."`

	Upload uploadCmd `cmd:"" help:"Upload audio files to the server, and go on after an interruption."`

	Config configCmd `cmd:"" help:"Check the configuration."`

	Version versionCmd `cmd:"" help:"Print the version."`
}

// console is what a command reads its configuration from, and writes to.
type console struct {
	getenv         func(string) string
	stdout, stderr io.Writer
	meant          places.Meant // said by flags
	requests       int          // to S3 at once, at most, said by a flag; 0: any number
}

// run runs the command that args name and returns the exit code of the process: 0, the code
// of an [exitCode], or 1 for every other error.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	const running = -1
	exited := running
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	out := &output{Writer: stdout, name: "standard output", end: end}
	stdout = out
	parser, err := kong.New(&commands{},
		kong.Name("trackstore"),
		kong.Description("Takes a music platform's audio off one server's disk and onto S3."),
		kong.Writers(stdout, stderr),
		kong.Vars{"version": version()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&console{getenv: getenv, stdout: stdout, stderr: stderr}),
		kong.Exit(func(code int) { exited = code }), // --help and --version print and exit
	)
	if err != nil {
		return report(stderr, err)
	}
	parsed, err := parser.Parse(args)
	if exited != running {
		return report(stderr, out.settled(exitCode(exited)))
	}
	if err != nil {
		return report(stderr, withHint(err, usageHint(err)))
	}
	return report(stderr, out.settled(bounded(ctx, stderr, parsed)))
}

// stopsWithin is what a command has to end in good order, once it is asked to.
const stopsWithin = 9 * time.Second

// bounded runs a command, and does not wait for one that cannot end: a call to a disk that is out of reach (a dead NFS
// server) never comes back. Whatever the process holds then is given up as by a crash. The local stack has a bound of its own.
func bounded(ctx context.Context, stderr io.Writer, parsed *kong.Context) error {
	if parsed.Command() == "dev" {
		return parsed.Run()
	}
	ended := make(chan error, 1)
	go func() { ended <- parsed.Run() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(stderr, "trackstore: stopping: what is in flight is finished or given back, within 10 s; a second signal ends it at once")
	select {
	case err := <-ended:
		return err
	case <-time.After(stopsWithin):
		fmt.Fprintln(stderr, "trackstore: what is in flight does not end, and is left")
		return exitInterrupted
	}
}

// usageHint names the help page of the command that args got as far as.
func usageHint(err error) string {
	path := "trackstore"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if selected := parse.Context.Selected(); selected != nil {
			path = selected.FullPath()
		}
	}
	return fmt.Sprintf("see %s --help", path)
}
