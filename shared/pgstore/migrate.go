package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// A failure of the current file version, in the terms of track_migrations m.
const isFailure = `m.state <> 'leased' AND m.state <> 'migrated'`

// Turn makes workers move tracks in direction d: those of the other direction stop at
// their next claim. Unless force is set, a direction that is being worked in stays.
// It returns the direction that now holds.
func (s *Store) Turn(ctx context.Context, d track.Direction, force bool) (held track.Direction, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			INSERT INTO track_migration_direction AS held (direction) VALUES ($1)
			ON CONFLICT (only_row) DO UPDATE
			SET updated_at = CASE WHEN held.direction = excluded.direction THEN held.updated_at ELSE now() END,
				direction = CASE
					WHEN NOT $2 AND EXISTS (SELECT FROM track_migrations m
						WHERE m.state = 'leased' AND m.lease_expires_at > now() AND m.direction <> excluded.direction)
					THEN held.direction ELSE excluded.direction END
			RETURNING direction`, d, force).Scan(&held)
	})
	return held, s.failure("set the direction of the migration", err)
}

// Claim leases up to spec.Limit tracks, in the order of their ids. It gets none where the
// stored direction is another.
//
// It takes no lock on tracks. Two claims that meet choose the same candidates; the row of
// track_migrations decides, and the one that comes second gets those that are left. It may
// come so late that a candidate has been moved meanwhile: then the row is not the one that
// made it a candidate.
func (s *Store) Claim(ctx context.Context, spec track.ClaimSpec) (track.Claims, error) {
	sql, args := claimStatement(spec)
	args = append([]any{s.freshPlan()}, args...)
	var claims track.Claims
	err := retry(ctx, func() error {
		claims = track.Claims{}
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		lease := track.Lease{Token: spec.Token}
		var won bool
		seen := 0
		_, err = pgx.ForEachRow(rows, []any{
			&lease.TrackID, &lease.FileVersion, &lease.FilePath,
			&lease.Key, &lease.VersionID, &lease.Size, &lease.Checksum, &lease.Purged, &won,
		}, func() error {
			seen++
			claims.Last = lease.TrackID
			if won {
				claims.Leases = append(claims.Leases, lease)
			}
			return nil
		})
		claims.More = seen == spec.Limit
		return err
	})
	return claims, s.failure("claim tracks", err)
}

// claimStatement returns the statement. The limit is part of its text, for the planner takes
// a parameter to be a tenth of the table.
func claimStatement(spec track.ClaimSpec) (sql string, args []any) {
	args = []any{spec.After, spec.Token, spec.For, len(spec.TrackIDs) > 0, texts(spec.TrackIDs)}
	if spec.Direction == track.ToLocal {
		return fmt.Sprintf(claimToLocal, spec.Limit), append(args, spec.Uploaded)
	}
	return fmt.Sprintf(claimToS3, spec.Limit), args
}

// What made track_migrations m a candidate's row still holds: a lease has a token of its own,
// and an outcome its time. A lease that was dead may have been extended since.
const isStillCandidate = `EXISTS (SELECT FROM candidates c WHERE c.id = m.track_id
				AND (c.state, c.lease_token, c.finished_at) IS NOT DISTINCT FROM (m.state, m.lease_token, m.finished_at))
			AND NOT (m.state = 'leased' AND m.lease_expires_at > now())`

// OFFSET 0 keeps the planner from reading track_migrations from its beginning, in step with
// tracks, and from reading all of it: a hundred look-ups cost less, however large it is.
//
// A live lease keeps a track from being claimed, whatever version it is for: its holder
// still writes. A failure keeps one file version. Everything else is free: no row at all,
// a dead lease, the state of an older version, a finished move in the other direction.
const claimToS3 = `
	WITH candidates AS MATERIALIZED (
		SELECT t.id, t.file_version, t.file_path, m.state, m.lease_token, m.finished_at
		FROM tracks t LEFT JOIN LATERAL (SELECT * FROM track_migrations WHERE track_id = t.id OFFSET 0) AS m ON true
		WHERE t.storage_backend = 'local' AND t.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
			AND (NOT $4::boolean OR t.id = ANY ($5::text[]::uuid[]))
			AND t.deleted_at IS NULL AND t.file_path <> ''
			AND (m.track_id IS NULL OR NOT (
				m.state = 'leased' AND m.lease_expires_at > now()
				OR m.direction = 'to_s3' AND m.file_version = t.file_version AND ` + isFailure + `))
			AND EXISTS (SELECT FROM track_migration_direction WHERE direction = 'to_s3')
		ORDER BY t.id LIMIT %d
	), won AS (
		INSERT INTO track_migrations AS m
			(track_id, direction, file_version, state, lease_token, lease_expires_at, started_at)
		SELECT id, 'to_s3', file_version, 'leased', $2::uuid, now() + $3::interval, now() FROM candidates ORDER BY id
		ON CONFLICT (track_id) DO UPDATE
		SET direction = excluded.direction, file_version = excluded.file_version, state = excluded.state,
			lease_token = excluded.lease_token, lease_expires_at = excluded.lease_expires_at,
			started_at = excluded.started_at, attempts = 0, storage_key = NULL, size = NULL, crc64nvme = NULL,
			error = NULL, finished_at = NULL, purged_at = NULL
		WHERE ` + isStillCandidate + `
		RETURNING m.track_id
	)
	SELECT c.id, c.file_version, c.file_path, '', '', 0::bigint, '', false, won.track_id IS NOT NULL
	FROM candidates c LEFT JOIN won ON won.track_id = c.id ORDER BY c.id`

// A lease of this direction keeps what the flip to S3 recorded, for as long as the row
// still names that object: a rollback checks the bytes against it, and a lease that is
// given back becomes that record again. Where nothing is recorded, nobody knows whether
// the file at file_path was purged, so it counts as purged.
const claimToLocal = `
	WITH candidates AS MATERIALIZED (
		SELECT t.id, t.file_version, coalesce(t.file_path, '') AS file_path, t.storage_key,
			coalesce(t.storage_version_id, '') AS storage_version_id, m.state, m.lease_token, m.finished_at
		FROM tracks t LEFT JOIN LATERAL (SELECT * FROM track_migrations WHERE track_id = t.id OFFSET 0) AS m ON true
		WHERE t.storage_backend = 's3' AND t.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
			AND (NOT $4::boolean OR t.id = ANY ($5::text[]::uuid[]))
			AND t.deleted_at IS NULL AND ($6::boolean OR starts_with(t.storage_key, 'tracks/'))
			AND (m.track_id IS NULL OR NOT (
				m.state = 'leased' AND m.lease_expires_at > now()
				OR m.direction = 'to_local' AND m.file_version = t.file_version AND ` + isFailure + `))
			AND EXISTS (SELECT FROM track_migration_direction WHERE direction = 'to_local')
		ORDER BY t.id LIMIT %d
	), won AS (
		INSERT INTO track_migrations AS m
			(track_id, direction, file_version, state, lease_token, lease_expires_at, started_at, storage_key, purged_at)
		SELECT id, 'to_local', file_version, 'leased', $2::uuid, now() + $3::interval, now(), storage_key, now()
		FROM candidates ORDER BY id
		ON CONFLICT (track_id) DO UPDATE
		SET direction = excluded.direction, file_version = excluded.file_version, state = excluded.state,
			lease_token = excluded.lease_token, lease_expires_at = excluded.lease_expires_at,
			started_at = excluded.started_at, attempts = 0, error = NULL, storage_key = excluded.storage_key,
			size = CASE WHEN m.storage_key = excluded.storage_key THEN m.size END,
			crc64nvme = CASE WHEN m.storage_key = excluded.storage_key THEN m.crc64nvme END,
			finished_at = CASE WHEN m.storage_key = excluded.storage_key THEN m.finished_at END,
			purged_at = CASE WHEN m.storage_key = excluded.storage_key THEN m.purged_at ELSE now() END
		WHERE ` + isStillCandidate + `
		RETURNING m.track_id, m.size, m.crc64nvme, m.purged_at IS NOT NULL AS purged
	)
	SELECT c.id, c.file_version, c.file_path, c.storage_key, c.storage_version_id,
		coalesce(won.size, 0), coalesce(won.crc64nvme::text, ''), coalesce(won.purged, true), won.track_id IS NOT NULL
	FROM candidates c LEFT JOIN won ON won.track_id = c.id ORDER BY c.id`

// Extend makes leases last for another d from now, those that are still held.
func (s *Store) Extend(ctx context.Context, leases []track.Lease, d time.Duration) error {
	ids, tokens := heldBy(leases)
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, `
			UPDATE track_migrations m SET lease_expires_at = now() + $3::interval
			FROM unnest($1::text[]::uuid[], $2::text[]::uuid[]) AS held (track_id, token)
			WHERE m.track_id = held.track_id AND m.lease_token = held.token AND m.state = 'leased'`,
			s.freshPlan(), ids, tokens, d)
		return err
	})
	return s.failure("extend leases", err)
}

// Release gives leases back, those that are still held, as if they had never been taken.
func (s *Store) Release(ctx context.Context, leases []track.Lease) error {
	ids, tokens := heldBy(leases)
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, `
			WITH held AS MATERIALIZED (
				SELECT m.track_id, `+recordsFlip+` AS records_flip
				FROM track_migrations m
				JOIN unnest($1::text[]::uuid[], $2::text[]::uuid[]) AS given (track_id, token)
					ON m.track_id = given.track_id AND m.lease_token = given.token AND m.state = 'leased'
				ORDER BY m.track_id FOR UPDATE OF m
			), `+forget, s.freshPlan(), ids, tokens)
		return err
	})
	return s.failure("release leases", err)
}

// Retry frees every failure, so that its track can be claimed again, and returns their number.
func (s *Store) Retry(ctx context.Context) (freed int64, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			WITH held AS MATERIALIZED (
				SELECT m.track_id, `+recordsFlip+` AS records_flip
				FROM track_migrations m WHERE `+isFailure+`
				ORDER BY m.track_id FOR UPDATE OF m
			), `+forget).Scan(&freed)
	})
	return freed, s.failure("free failures", err)
}

// Expire forgets every lease that has run out: its worker is dead, and its track may be one
// that nobody will claim again, because a user replaced or deleted it.
func (s *Store) Expire(ctx context.Context) (freed int64, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			WITH held AS MATERIALIZED (
				SELECT m.track_id, `+recordsFlip+` AS records_flip
				FROM track_migrations m WHERE m.state = 'leased' AND m.lease_expires_at <= now()
				ORDER BY m.track_id FOR UPDATE OF m
			), `+forget, s.freshPlan()).Scan(&freed)
	})
	return freed, s.failure("forget dead leases", err)
}

// A row of a rollback still holds what the flip to S3 recorded.
const recordsFlip = `m.direction = 'to_local' AND m.crc64nvme IS NOT NULL AND m.size IS NOT NULL AND m.finished_at IS NOT NULL`

// forget undoes the rows that held (track_id, records_flip) has locked: back to the record
// of the flip, or away. It returns their number.
const forget = `
	kept AS (
		UPDATE track_migrations m
		SET state = 'migrated', direction = 'to_s3', lease_token = NULL, lease_expires_at = NULL, error = NULL
		FROM held WHERE m.track_id = held.track_id AND held.records_flip
	), gone AS (
		DELETE FROM track_migrations m USING held WHERE m.track_id = held.track_id AND NOT held.records_flip
	)
	SELECT count(*) FROM held`

// Settle flips the tracks of those outcomes that are Migrated, and records all of them,
// in one statement; it returns a verdict for each. It may be repeated when its answer was
// lost: what it settled, it finds settled.
//
// Only the holder of a lease gets to flip, and the flip compares before it sets, so that
// neither a dead worker nor a user who replaces or deletes the track meanwhile is overrun.
func (s *Store) Settle(ctx context.Context, d track.Direction, outcomes []track.Outcome) ([]track.Verdict, error) {
	sql := settleToS3
	if d == track.ToLocal {
		sql = settleToLocal
	}
	input, err := json.Marshal(settlements(outcomes))
	if err != nil {
		return nil, fmt.Errorf("settle outcomes: %w", err)
	}
	var verdicts []track.Verdict
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, sql, s.freshPlan(), string(input))
		if err != nil {
			return err
		}
		verdicts, err = pgx.CollectRows(rows, pgx.RowTo[track.Verdict])
		return err
	})
	if err == nil && len(verdicts) != len(outcomes) {
		err = fmt.Errorf("%d verdicts for %d outcomes", len(verdicts), len(outcomes))
	}
	return verdicts, s.failure("settle outcomes", err)
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

func heldBy(leases []track.Lease) (ids, tokens []string) {
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
