package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Settle is that of migrate.Ledger: one transaction for all outcomes, or, where a row is refused,
// one for each part of them that is not.
//
// Only the holder of a lease gets to flip, and the flip compares before it sets, so that
// neither a dead worker nor a user who replaces or deletes the track meanwhile is overrun.
func (s *Store) Settle(ctx context.Context, d track.Direction, outcomes []track.Outcome) ([]track.Ruling, error) {
	const op = "settle outcomes"
	rulings := make([]track.Ruling, len(outcomes))
	numbers := make([]int, len(outcomes))
	for i := range numbers {
		numbers[i] = i
	}
	refusals, err := apart(numbers, func(some []int) error {
		part := make([]track.Outcome, len(some))
		for i, n := range some {
			part[i] = outcomes[n]
		}
		got, err := s.settleOutcomes(ctx, d, part)
		for i, r := range got {
			rulings[some[i]] = r
		}
		return err
	})
	if err != nil {
		return nil, s.failure(op, err)
	}
	for _, r := range refusals {
		rulings[r.item] = refused(r.err)
	}
	return rulings, s.failure(op, s.explainLocks(ctx, outcomes, rulings))
}

// refused is the ruling where an outcome could not be settled.
func refused(why error) track.Ruling {
	var refusal *track.RefusedError
	switch {
	case !errors.As(why, &refusal): // somebody holds what a trigger, or a key, needs
		return track.Ruling{Verdict: track.Locked, Err: why}
	case isAnAttempt(refusal):
		return track.Ruling{Verdict: track.Unchanged, Err: why}
	}
	return track.Ruling{Verdict: track.Refused, Err: why}
}

// settleOutcomes settles outcomes in one transaction, and one round trip.
func (s *Store) settleOutcomes(ctx context.Context, d track.Direction, outcomes []track.Outcome) ([]track.Ruling, error) {
	settle := s.sql("settle_to_s3")
	if d == track.ToLocal {
		settle = s.sql("settle_to_local")
	}
	all := settlements(outcomes)
	input, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	var flips, names, roots []string
	for i, o := range outcomes {
		switch r := o.Result.(type) {
		case track.NewObject:
			flips, names = append(flips, o.TrackID.String()), append(names, *all[i].NewKey)
		case track.NewFile:
			flips, names = append(flips, o.TrackID.String()), append(names, *all[i].NewPath)
			if root := r.Root.String(); !slices.Contains(roots, root) {
				roots = append(roots, root)
			}
		}
	}
	var words []string
	err = retry(ctx, func() error {
		var batch pgx.Batch
		batch.Queue(s.sql("plan_look_ups"))
		if len(roots) > 0 {
			batch.Queue(s.sql("check_root"), roots)
		}
		batch.Queue(settle, string(input), s.TellsMoves).Query(func(rows pgx.Rows) (err error) {
			words, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		if len(flips) > 0 {
			batch.Queue(s.sql("check_flips"), flips, names)
		}
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	switch {
	case err != nil && strings.Contains(err.Error(), `"another root folder is meant by now"`):
		// R7: rows would name what nobody finds. It ends the run, whose root folder it is.
		return nil, fmt.Errorf("%w: another root folder is meant by now than the one that the files are in", track.ErrPlace)
	case err == nil && len(words) != len(outcomes):
		err = fmt.Errorf("%d verdicts for %d outcomes", len(words), len(outcomes))
	}
	if err != nil {
		return nil, err
	}
	rulings := make([]track.Ruling, len(words))
	for i, word := range words {
		rulings[i] = rulingOf(word)
	}
	return rulings, nil
}

// ForgetRemoval is that of migrate.Ledger.
func (s *Store) ForgetRemoval(ctx context.Context, backend string, names []string) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("forget_removal"), backend, names)
		return err
	})
	return s.failure("free a name", err)
}

func rulingOf(word string) track.Ruling {
	switch word {
	case "settled before":
		return track.Ruling{Verdict: track.Settled}
	case string(track.Vacant):
		return track.Ruling{Verdict: track.Vacant, Err: errors.New("the bytes under this name were removed, again and again")}
	case string(track.Marked):
		return track.Ruling{Verdict: track.Marked, Err: errors.New("the removal of the bytes under this name has begun, and has not ended")}
	case "unchanged":
		return track.Ruling{Verdict: track.Unchanged, Err: &track.RefusedError{Text: "the row stays as it was; a trigger keeps it so"}}
	case "locked":
		return track.Ruling{Verdict: track.Locked, Err: track.ErrLocked}
	}
	return track.Ruling{Verdict: track.Verdict(word)}
}

// explainLocks tells, of the rows that could not be locked, those that somebody holds, and since
// when, from those that a policy hides from changes.
func (s *Store) explainLocks(ctx context.Context, outcomes []track.Outcome, rulings []track.Ruling) error {
	var held []track.Lease
	for i, r := range rulings {
		if r.Verdict != track.Locked {
			continue
		}
		var id track.ID
		err := s.pool.QueryRow(ctx, s.sql("lock_track"), outcomes[i].TrackID).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			rulings[i] = refused(&track.RefusedError{Text: "the row cannot be changed; a policy of row level security keeps it as it is"})
			continue
		}
		held = append(held, outcomes[i].Lease)
	}
	if len(held) == 0 {
		return nil
	}
	ids, tokens := idsAndTokens(held)
	since := map[track.ID]time.Duration{}
	err := retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("note_locked"), s.freshPlan(), ids, tokens)
		if err != nil {
			return err
		}
		var id track.ID
		var seconds float64
		_, err = pgx.ForEachRow(rows, []any{&id, &seconds}, func() error {
			since[id] = time.Duration(seconds * float64(time.Second))
			return nil
		})
		return err
	})
	for i := range rulings {
		if rulings[i].Verdict == track.Locked {
			rulings[i].LockedFor = since[outcomes[i].TrackID]
		}
	}
	return err
}

// settlement is an outcome as settle_to_s3 and settle_to_local read it.
type settlement struct {
	Number      int                  `json:"number"`
	TrackID     track.ID             `json:"track_id"`
	Token       track.ID             `json:"token"`
	FileVersion int64                `json:"file_version"`
	FilePath    string               `json:"file_path"`
	Key         string               `json:"storage_key"` // of a rollback: that the row names now
	Attempts    int                  `json:"attempts"`
	State       track.MigrationState `json:"state"`
	NewKey      *string              `json:"new_key,omitempty"`
	NewVersion  *string              `json:"new_version,omitempty"`
	NewBucket   *string              `json:"new_bucket,omitempty"`
	NewPath     *string              `json:"new_path,omitempty"`
	Aliases     []string             `json:"aliases,omitempty"`
	NewSize     *int64               `json:"new_size,omitempty"`
	NewChecksum *string              `json:"new_checksum,omitempty"`
	Format      *string              `json:"format,omitempty"`
	ContentType *string              `json:"content_type,omitempty"`
	Error       *string              `json:"error,omitempty"`
}

func settlements(outcomes []track.Outcome) []settlement {
	all := make([]settlement, len(outcomes))
	for i, o := range outcomes {
		s := settlement{
			Number: i, TrackID: o.TrackID, Token: o.Token, FileVersion: o.FileVersion, FilePath: o.FilePath, Key: o.Key(),
			Attempts: o.Attempts, State: o.Result.State(),
		}
		switch r := o.Result.(type) {
		case track.NewObject:
			s.NewKey, s.NewVersion, s.NewBucket = &r.Key, orNull(r.VersionID), orNull(r.Bucket)
			s.Format, s.ContentType = orNull(string(r.Format)), orNull(r.ContentType)
			s.digest(r.Digest)
		case track.NewFile:
			s.NewPath, s.Aliases = &r.Path, append(r.Aliases, r.Path)
			s.digest(r.Digest)
		case track.Failure:
			s.Error = orNull(storable(r.Err.Error()))
		}
		all[i] = s
	}
	return all
}

func (s *settlement) digest(d track.Digest) {
	checksum := d.Hex()
	s.NewSize, s.NewChecksum = &d.Size, &checksum
}

// storable cuts out of an error's text what Postgres does not take.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
