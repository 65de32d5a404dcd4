package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"trackstore/shared/client"
	"trackstore/shared/track"
)

// store is where renditions lie: a bucket, or a folder. Trackstore looks at nothing there.
type store interface {
	// Put writes a file whole, over one of that name.
	Put(ctx context.Context, name string, content []byte) error
	// Get returns an error that wraps fs.ErrNotExist where there is no such file.
	Get(ctx context.Context, name string) ([]byte, error)
	// List returns the names below a prefix, which ends with a slash.
	List(ctx context.Context, prefix string) ([]string, error)
	// Delete is no error where there is no such file.
	Delete(ctx context.Context, name string) error
}

// renditions makes and removes renditions as events tell. Each call may be repeated, after a
// crash too:
//
//	hls/{track}/index.m3u8             names the rendition that counts, and is written last
//	hls/{track}/{sequence}/index.m3u8  a rendition: of the event of that sequence
//	hls/{track}/{sequence}/….ts        its segments
type renditions struct {
	store store
	api   *client.Client // with a token that plays every track
	log   *slog.Logger
}

// run acts on what is in the inbox until ctx ends. An event that cannot be acted upon waits,
// and holds up no other track.
func (r *renditions) run(ctx context.Context, in *inbox) {
	retry := time.NewTicker(time.Minute)
	defer retry.Stop()
	for ctx.Err() == nil {
		events, err := in.waiting()
		if err != nil {
			r.log.ErrorContext(ctx, "the inbox cannot be read", "err", err)
		}
		for i, e := range events {
			if i+1 < len(events) && events[i+1].Track == e.Track {
				// A later one of the track is there: what this one tells is over.
			} else if err := r.act(ctx, e); err != nil {
				r.log.ErrorContext(ctx, "an event waits", "track_id", e.Track, "type", e.Type, "err", err)
				continue
			}
			// After a crash here the event is acted upon again, to no effect.
			if err := os.Remove(e.file); err != nil {
				r.log.ErrorContext(ctx, "an event stays in the inbox", "err", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-in.come:
		case <-retry.C:
		}
	}
}

// act makes the track's rendition what it should be after an event.
func (r *renditions) act(ctx context.Context, e event) error {
	switch e.Type {
	case track.EventReady.Name(), track.EventReplaced.Name():
	case track.EventDeleted.Name():
		return r.remove(ctx, e.Track)
	default:
		return nil // the bytes are what they were
	}
	last, err := r.current(ctx, e.Track)
	if err != nil || e.Sequence <= last {
		return err // an event that came before, or that a later one has overtaken
	}
	// What the API gives is the track's newest file, which may be a later one than the event's: then another event is on
	// its way, and makes the same again.
	audio, err := r.api.Audio(ctx, e.Track.String())
	var problem *client.Problem
	if errors.As(err, &problem) && problem.Code == "not_found" {
		return r.remove(ctx, e.Track) // deleted meanwhile
	}
	if err != nil {
		return err
	}
	if err := r.render(ctx, e, audio.URL); err != nil {
		return err
	}
	// Whoever plays the rendition before goes on with it; those before that are over.
	return r.removeBut(ctx, e.Track, e.Sequence, last)
}

// render writes segments, then their playlist, then the one that names it: whoever follows
// it finds everything. A crash in between leaves files that the next try overwrites.
func (r *renditions) render(ctx context.Context, e event, url string) error {
	dir, err := os.MkdirTemp("", "hls-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ffmpeg := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "http,https,tcp,tls", "-i", url, "-vn", "-c:a", "aac", "-b:a", "128k",
		"-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_filename", "%05d.ts", "index.m3u8")
	ffmpeg.Dir = dir
	if out, err := ffmpeg.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, bytes.TrimSpace(out))
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.ts"))
	if err != nil {
		return err
	}
	for _, file := range append(files, filepath.Join(dir, "index.m3u8")) {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := r.store.Put(ctx, path.Join(folder(e.Track), e.Sequence, filepath.Base(file)), content); err != nil {
			return err
		}
	}
	return r.store.Put(ctx, master(e.Track), fmt.Appendf(nil, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=160000,CODECS=\"mp4a.40.2\"\n%s/index.m3u8\n", e.Sequence))
}

func folder(id track.ID) string { return "hls/" + id.String() + "/" }
func master(id track.ID) string { return folder(id) + "index.m3u8" }

// current returns the sequence of the rendition that counts, empty where there is none.
func (r *renditions) current(ctx context.Context, id track.ID) (string, error) {
	content, err := r.store.Get(ctx, master(id))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for line := range strings.Lines(string(content)) {
		if sequence, ok := strings.CutSuffix(strings.TrimSpace(line), "/index.m3u8"); ok {
			return sequence, nil
		}
	}
	return "", err
}

// remove takes the playlist away first, and then what it named.
func (r *renditions) remove(ctx context.Context, id track.ID) error {
	if err := r.store.Delete(ctx, master(id)); err != nil {
		return err
	}
	return r.removeBut(ctx, id)
}

// removeBut removes the track's renditions but those of some sequences.
func (r *renditions) removeBut(ctx context.Context, id track.ID, kept ...string) error {
	names, err := r.store.List(ctx, folder(id))
	for _, name := range names {
		sequence, _, rendition := strings.Cut(strings.TrimPrefix(name, folder(id)), "/")
		keep := !rendition
		for _, k := range kept {
			keep = keep || sequence == k
		}
		if !keep {
			err = errors.Join(err, r.store.Delete(ctx, name))
		}
	}
	return err
}
