package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// SetDirection is that of migrate.Directions.
func (s *Store) SetDirection(ctx context.Context, d track.Direction) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("set_direction"), d)
		return err
	})
	return s.failure("set the direction of the migration", err)
}

// ProposeDirection is that of migrate.Directions.
func (s *Store) ProposeDirection(ctx context.Context, d track.Direction) (held track.Direction, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("propose_direction"), d).Scan(&held)
	})
	return held, s.failure("propose a direction of the migration", err)
}

// Claim is that of migrate.Ledger.
//
// It takes no lock on tracks. Two claims that meet choose the same candidates; the row of
// track_migrations decides, and the one that comes second gets those that are left. It may
// come so late that a candidate has been moved meanwhile: then the row is not the one that
// made it a candidate.
func (s *Store) Claim(ctx context.Context, spec track.ClaimSpec) (track.Claims, error) {
	sql, args := s.claimStatement(spec)
	var claims track.Claims
	read := func(rows pgx.Rows) error {
		claims = track.Claims{}
		var row copiesRow
		var won bool
		seen := 0
		_, err := pgx.ForEachRow(rows, append(row.targets(), &won), func() error {
			seen++
			claims.Last = row.trackID
			if !won {
				return nil
			}
			copies, err := row.copies()
			claims.Leases = append(claims.Leases, track.Lease{Token: spec.Token, Copies: copies})
			return err
		})
		claims.More = seen == spec.Limit
		return err
	}
	err := retry(ctx, func() error {
		if len(spec.TrackIDs) > 0 { // where they are the planner sees only if it plans for them
			rows, err := s.pool.Query(ctx, sql, append([]any{s.freshPlan()}, args...)...)
			if err != nil {
				return err
			}
			return read(rows)
		}
		var batch pgx.Batch
		batch.Queue(s.sql("plan_look_ups"))
		batch.Queue(sql, args...).Query(read)
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	return claims, s.failure("claim tracks", err)
}

func (s *Store) claimStatement(spec track.ClaimSpec) (sql string, args []any) {
	args = []any{spec.After, spec.Token, spec.For, len(spec.TrackIDs) > 0, texts(spec.TrackIDs), spec.UpTo, spec.Range, spec.Limit}
	if spec.Direction == track.ToLocal {
		sql, args = s.sql("claim_to_local"), append(args, spec.Uploaded)
	} else {
		sql = s.sql("claim_to_s3")
	}
	return limited(sql, (spec.Limit+99)/100*100), args // one text for each hundred: see claim_to_s3
}

// mostRanges is how many ranges of ids are walked in turn. S3 takes 3,500 writes a second for each range of keys
// that it has split off: sixteen are more than any fleet of movers sends.
const mostRanges = 16

// Stretches is that of migrate.Ledger.
func (s *Store) Stretches(ctx context.Context, d track.Direction) (stretches []track.Stretch, err error) {
	from := track.Local
	if d == track.ToLocal {
		from = track.S3
	}
	err = retry(ctx, func() error {
		var batch pgx.Batch
		batch.Queue(s.sql("draw_ranges"), d, from, mostRanges)
		batch.Queue(s.sql("stretches"), d).Query(func(rows pgx.Rows) (err error) {
			stretches, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t track.Stretch, err error) {
				err = row.Scan(&t.IsBehind, &t.Range, &t.After, &t.UpTo)
				return t, err
			})
			return err
		})
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	return stretches, s.failure("see where to claim", err)
}

// ForgetRanges is that of migrate.Ledger.
func (s *Store) ForgetRanges(ctx context.Context, d track.Direction) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("forget_ranges"), d)
		return err
	})
	return s.failure("forget where to claim", err)
}

// Extend is that of migrate.Ledger.
func (s *Store) Extend(ctx context.Context, leases []track.Lease, d time.Duration) error {
	ids, tokens := idsAndTokens(leases)
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("extend_leases"), s.freshPlan(), ids, tokens, d)
		return err
	})
	return s.failure("extend leases", err)
}

// Release is that of migrate.Ledger.
func (s *Store) Release(ctx context.Context, leases []track.Lease) error {
	ids, tokens := idsAndTokens(leases)
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("release_leases"), s.freshPlan(), ids, tokens)
		return err
	})
	return s.failure("release leases", err)
}

// Retry frees every failure, so that its track can be claimed again, and returns their number.
func (s *Store) Retry(ctx context.Context) (freed int64, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("free_failures")).Scan(&freed)
	})
	return freed, s.failure("free failures", err)
}

// ForgetDead is that of migrate.Ledger.
func (s *Store) ForgetDead(ctx context.Context) (freed int64, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("forget_dead_leases"), s.freshPlan()).Scan(&freed)
	})
	return freed, s.failure("forget dead leases", err)
}

// freshPlan has statements planned anew each time: track_migrations grows from nothing to
// millions of rows within one run, and a plan that was made for the empty table reads it all.
// Where the database URL asks for a mode that a pooler needs, that one holds.
func (s *Store) freshPlan() pgx.QueryExecMode {
	if s.mode == pgx.QueryExecModeCacheStatement {
		return pgx.QueryExecModeCacheDescribe
	}
	return s.mode
}

func idsAndTokens(leases []track.Lease) (ids, tokens []string) {
	for _, l := range leases {
		ids, tokens = append(ids, l.TrackID.String()), append(tokens, l.Token.String())
	}
	return ids, tokens
}

func texts(ids []track.ID) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = id.String()
	}
	return all
}
