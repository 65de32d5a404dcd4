package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// Input is that of the function migrate-batch. Every field may be left out.
type Input struct {
	// Direction starts a migration or a rollback; while workers move tracks the other way
	// it changes nothing, and there is nothing to do. Left out: the direction that holds.
	Direction  track.Direction `json:"direction"`
	Limit      *int            `json:"limit"`       // of claimed tracks, from 1; left out: 500
	MaxSeconds *float64        `json:"max_seconds"` // from 1; left out: 840
	TrackIDs   []track.ID      `json:"track_ids"`   // only these; left out: all
}

// InputError says what is wrong with the input of a batch: trying again is of no use. The
// state machine knows it by its name.
type InputError struct{ problem string }

// Error says what is wrong.
func (e *InputError) Error() string { return "input of migrate-batch: " + e.problem }

// UnmarshalJSON refuses fields that it does not know, and values out of range, with an *InputError.
func (in *Input) UnmarshalJSON(b []byte) error {
	type plain Input
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode((*plain)(in)); err != nil {
		return &InputError{err.Error()}
	}
	switch {
	case in.Direction != "" && in.Direction != track.ToS3 && in.Direction != track.ToLocal:
		return &InputError{fmt.Sprintf("direction %q is neither to_s3 nor to_local", in.Direction)}
	case in.Limit != nil && *in.Limit < 1:
		return &InputError{fmt.Sprintf("limit is %d, and must be at least 1", *in.Limit)}
	case in.MaxSeconds != nil && *in.MaxSeconds < 1:
		return &InputError{fmt.Sprintf("max_seconds is %g, and must be at least 1", *in.MaxSeconds)}
	}
	return nil
}

// BatchLedger is what a batch asks of the database.
type BatchLedger interface {
	Ledger
	Directions
}

// Batch moves a bounded number of tracks in a bounded time.
type Batch struct {
	Ledger  BatchLedger
	Upload  *Upload
	Restore *Restore
	Lease   time.Duration
	Log     *slog.Logger
	Metrics *metrics.Emitter // TracksMigrated and its like; nil: none are written
}

const (
	defaultLimit   = 500
	defaultSeconds = 840
	// batchPatience is how long a batch that has nothing to do waits for others' leases:
	// whoever calls it in a loop does not spin.
	batchPatience = 2 * time.Second
	// lastWords is what is left of a function's time for giving leases back.
	lastWords = 5 * time.Second
)

// Handle runs one batch. It ends early enough before max_seconds, and before the deadline
// of ctx, to finish what it holds.
func (b *Batch) Handle(ctx context.Context, in Input) (Summary, error) {
	started := time.Now()
	activity, err := b.Ledger.Activity(ctx, nil)
	if err != nil {
		return Summary{}, err
	}
	direction, held := in.Direction, activity.Direction
	if direction == "" {
		direction = held
	}
	if direction != held {
		if held, err = b.Ledger.ProposeDirection(ctx, direction); err != nil {
			return Summary{}, err
		}
		if direction != held {
			b.Log.Info("tracks are being moved the other way", "direction", held)
			return Summary{Direction: direction, Done: true}, nil
		}
	}
	if err := refuseUnknown(ctx, b.Ledger, in.TrackIDs); err != nil {
		return Summary{}, err
	}
	var mover Mover = b.Upload
	if direction == track.ToLocal {
		mover = b.Restore
	}
	job := NewJob(b.Lease)
	job.TrackIDs, job.Limit, job.Patience = in.TrackIDs, defaultLimit, batchPatience
	if in.Limit != nil {
		job.Limit = *in.Limit
	}
	job.StopAt, job.Finish = batchTimes(ctx, started, in.MaxSeconds)
	summary, err := Runner{b.Ledger, mover, logger{b.Log}, b.Log}.Run(ctx, job)
	b.Metrics.Emit(
		metrics.Count("TracksMigrated", summary.Migrated), metrics.Bytes("BytesMigrated", summary.Bytes),
		metrics.Count("TracksMissing", summary.Missing), metrics.Count("TracksFailed", summary.Failed),
	)
	if errors.Is(err, ErrDirectionChanged) {
		err = nil // somebody has begun to move tracks the other way: nothing to do here
	}
	return summary, err
}

// batchTimes returns when to claim no more, and how long to finish then.
func batchTimes(ctx context.Context, started time.Time, maxSeconds *float64) (stopAt time.Time, finish time.Duration) {
	seconds := float64(defaultSeconds)
	if maxSeconds != nil {
		seconds = *maxSeconds
	}
	// A day is longer than any function lives; centuries do not fit into a Duration.
	seconds = min(seconds, (24 * time.Hour).Seconds())
	end := started.Add(time.Duration(seconds * float64(time.Second)))
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-lastWords).Before(end) {
		end = deadline.Add(-lastWords)
	}
	finish = min(time.Until(end)/4, 30*time.Second)
	return end.Add(-finish), finish
}

// refuseUnknown refuses ids that no track has.
func refuseUnknown(ctx context.Context, ledger Directions, ids []track.ID) error {
	if len(ids) == 0 {
		return nil
	}
	located, err := ledger.Locate(ctx, ids)
	if err != nil {
		return err
	}
	var unknown []string
	for _, id := range ids {
		if _, ok := located[id]; !ok {
			unknown = append(unknown, id.String())
		}
	}
	if len(unknown) > 0 {
		return &InputError{"track_ids: there is no such track, or it is deleted: " + strings.Join(unknown, ", ")}
	}
	return nil
}

// logger reports failures to the log.
type logger struct{ *slog.Logger }

func (logger) Claimed(int) {}

func (logger) Waiting(int64) {}

func (l logger) Settled(s Settlement) {
	switch {
	case s.Verdict != track.Settled:
		l.Info("track was overtaken", "track_id", s.TrackID, "verdict", s.Verdict)
	case s.Result.State().IsFailure():
		l.Error("track was not moved", "track_id", s.TrackID, "file_path", s.FilePath, "state", s.Result.State(), "err", s.Err())
	default:
		l.Debug("track was moved", "track_id", s.TrackID, "key", s.StorageKey(), "bytes", s.Size())
	}
}
