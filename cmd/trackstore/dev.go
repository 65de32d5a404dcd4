package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"trackstore/internal/devstack"
)

type devCmd struct {
	Containers bool `help:"Let containers reach Postgres and S3 (for sam local): they listen on every interface."`
	CDN        bool `name:"cdn" help:"Play tracks on S3 by a stand-in of a CDN, which checks signatures and caches."`
}

// Help is shown by --help.
func (devCmd) Help() string {
	return "Starts a private Postgres, an S3 server, the event path, the HTTP API, the disk server, the sweep and a console " +
		"page, in one process tree and without a cloud. Its state is kept in .local (TRACKSTORE_DEV_DIR); while it runs, " +
		".local/env holds the variables that other programs need. Every variable of docs/ENV_VARIABLES.md that is set is " +
		"honoured: with a DATABASE_URL or an AWS_S3_ENDPOINT of yours, no server of its own is started; with " +
		"TRACK_STORAGE_BACKEND=local there is no S3 at all. PORT chooses the port."
}

func (cmd *devCmd) Run(ctx context.Context, c *console) error {
	// Stopping takes its time, and the second signal that make or a process group may bring must not cut it short.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	return devstack.Run(ctx, devstack.Options{Getenv: c.getenv, Stdout: c.stdout, Stderr: c.stderr, Containers: cmd.Containers, CDN: cmd.CDN})
}
