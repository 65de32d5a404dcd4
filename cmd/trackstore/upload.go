package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/client"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

type uploadCmd struct {
	Files    []fileName    `arg:"" name:"file" help:"Audio files."`
	URL      string        `name:"url" help:"The server; default TRACKSTORE_URL."`
	Title    string        `help:"Title of the new track; default the file's name. For one file."`
	Track    string        `help:"Make the file the new one of this track. For one file."`
	Parallel int           `default:"4" help:"Requests in flight."`
	GiveUp   time.Duration `default:"5m" help:"How long to try again where nothing answers."`
	Again    bool          `help:"Upload also what an earlier run has uploaded."`
	JSON     bool          `name:"json" help:"Write one JSON object a line."`
}

// Help is shown by --help.
func (uploadCmd) Help() string {
	return "Sends audio files to the server, with a checksum. The token comes from TRACKSTORE_TOKEN. " +
		"After an interruption the same command goes on where it stopped.\n\n" +
		"Exit codes: 0 all stored; 1 usage, or the server is out of reach; 2 some files were refused; 3 interrupted."
}

func (u *uploadCmd) Run(ctx context.Context, c *console) error {
	cfg, err := config.Load[config.Client](func(name string) string {
		if name == "TRACKSTORE_URL" && u.URL != "" {
			return u.URL
		}
		return c.getenv(name)
	})
	switch {
	case err != nil:
		return withHint(err, "beside a running local stack: set -a; . .local/env; set +a")
	case len(u.Files) > 1 && (u.Title != "" || u.Track != ""):
		return errors.New("--title and --track go with one file")
	case u.Title != "" && u.Track != "":
		return errors.New("--title names a new track, --track an existing one: give one of them")
	case u.Parallel < 1:
		return errors.New("--parallel is at least 1")
	}

	out := newUploadOutput(c, u.JSON)
	run := &uploadRun{
		uploadCmd: u,
		client: client.New(cfg.URL.String(), cfg.Token.Reveal(), client.Options{
			Parallel: u.Parallel, GiveUp: u.GiveUp, Waiting: out.waiting,
		}),
		out: out,
	}
	g := new(errgroup.Group)
	g.SetLimit(u.Parallel)
	for _, name := range u.Files {
		g.Go(func() error {
			run.one(ctx, name)
			return nil
		})
	}
	_ = g.Wait() // one reports, and never fails
	return run.out.close(ctx)
}

// uploadRun is one run of the command.
type uploadRun struct {
	*uploadCmd
	client *client.Client
	out    *uploadOutput
}

func (r *uploadRun) one(ctx context.Context, name fileName) {
	result := uploadResult{Event: "upload", File: string(name)}
	upload, size, err := r.send(ctx, name)
	result.UploadID, result.TrackID, result.State, result.Reason, result.Bytes = upload.ID, upload.TrackID, upload.State, upload.Reason, size
	switch {
	case err != nil:
		result.Error = err.Error()
		var p *client.Problem
		result.unreachable = !errors.As(err, &p) && !errors.As(err, new(*os.PathError)) && !errors.Is(err, client.ErrChanged) && ctx.Err() == nil
	case upload.State == track.UploadFailed:
		result.Error = explain(upload)
	case upload.State != track.UploadStored:
		result.Error = fmt.Sprintf("the upload is %s", upload.State)
	}
	r.out.result(result)
}

// explain says why an upload failed, and of what the file is not to blame for, what may be.
func explain(u client.Upload) string {
	text := string(u.Reason)
	if u.Detail != "" {
		text += ": " + u.Detail
	}
	switch u.Reason {
	case track.SizeMismatch:
		text += "; the file changed while it was read"
	case track.ChecksumMismatch:
		text += "; the file changed while it was read, or bytes were damaged on the way"
	}
	return text
}

func (r *uploadRun) send(ctx context.Context, name fileName) (client.Upload, int64, error) {
	file, info, err := name.open()
	if err != nil {
		return client.Upload{}, 0, err
	}
	defer file.Close()
	sum, err := client.Checksum(ctx, file)
	if err != nil {
		return client.Upload{}, 0, err
	}

	base := name.shown()
	request := client.Request{
		TrackID:  r.Track,
		Title:    r.Title,
		Filename: base,
		Size:     info.Size(),
		Checksum: &sum,
	}
	if r.Track == "" && r.Title == "" {
		request.Title = strings.TrimSuffix(base, filepath.Ext(base))
	}
	key, err := r.key(request)
	if err != nil {
		return client.Upload{}, 0, err
	}
	progress, done := r.out.progress(base, info.Size())
	defer done()
	upload, err := r.client.Send(ctx, key, request, file, progress)
	return upload, info.Size(), err
}

// key makes the same upload of the same bytes: by it an interrupted run is taken up, with
// nothing kept on this machine.
func (r *uploadRun) key(request client.Request) (string, error) {
	if r.Again {
		return "trackstore-upload-" + track.NewID().String(), nil
	}
	text, err := json.Marshal(request)
	return fmt.Sprintf("trackstore-upload-%x", sha256.Sum256(text)), err
}
