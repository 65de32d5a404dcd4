package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// otherReceiver is the receiver that an event may also be for.
var otherReceiver = map[track.EventReceiver]track.EventReceiver{
	track.EventBus: track.EventWebhook, track.EventWebhook: track.EventBus,
}

// ofReceiver puts the prefixes of a receiver's columns into a statement.
func ofReceiver(sql string, r track.EventReceiver) string {
	return strings.NewReplacer("receiver_", string(r)+"_", "other_", string(otherReceiver[r])+"_").Replace(sql)
}

// ClaimEvents takes up to limit events out for a receiver, at most one of each track, and holds them for hold: until
// then nobody else gets them. They are to be settled by SettleEvents; those that are not are taken out again.
func (s *Store) ClaimEvents(ctx context.Context, r track.EventReceiver, limit int, hold time.Duration) (claims []track.EventClaim, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, ofReceiver(s.sql("claim_events"), r), limit, hold)
		if err != nil {
			return err
		}
		claims, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c track.EventClaim, err error) {
			err = row.Scan(&c.Seq, &c.ID, &c.TrackID, &c.Type, &c.Data, &c.CreatedAt, &c.Attempt, &c.Trying)
			return c, err
		})
		return err
	})
	return claims, s.failure("claim events", err)
}

// SettleEvents records what became of claims of a receiver. alone says that there is no other receiver, so that nothing
// waits for one. It may be repeated. After track.ErrUnavailable they may be recorded or not: those that are not are
// delivered again.
func (s *Store) SettleEvents(ctx context.Context, r track.EventReceiver, outcomes []track.EventOutcome, alone bool) error {
	type outcome struct {
		Seq      int64            `json:"seq"`
		Attempts int              `json:"attempts"`
		State    track.EventState `json:"state"`
		Wait     float64          `json:"wait_seconds"`
		Error    *string          `json:"error"`
	}
	input := make([]outcome, len(outcomes))
	for i, o := range outcomes {
		input[i] = outcome{Seq: o.Claim.Seq, Attempts: o.Claim.Attempt, State: o.State, Wait: o.Wait.Seconds()}
		if o.Err != nil {
			input[i].Error = orNull(storable(o.Err.Error()))
		}
	}
	text, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("settle events: %w", err)
	}
	err = retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, ofReceiver(s.sql("settle_events"), r), string(text), alone)
		return err
	})
	return s.failure("settle events", err)
}

// RetryEvents frees the events that are dead for a receiver, and has those that failed before tried now. It returns their number.
func (s *Store) RetryEvents(ctx context.Context, r track.EventReceiver) (freed int64, err error) {
	err = retry(ctx, func() error {
		tag, err := s.pool.Exec(ctx, ofReceiver(s.sql("retry_events"), r))
		freed = tag.RowsAffected()
		return err
	})
	return freed, s.failure("free events", err)
}

// CountEvents counts the events that are not at their end, by receiver.
func (s *Store) CountEvents(ctx context.Context) (counts map[track.EventReceiver]track.EventCounts, err error) {
	var bus, webhook track.EventCounts
	var busAge, webhookAge float64 // seconds
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("count_events")).Scan(
			&bus.Waiting, &bus.Dead, &busAge, &webhook.Waiting, &webhook.Dead, &webhookAge)
	})
	bus.OldestAge, webhook.OldestAge = time.Duration(busAge*float64(time.Second)), time.Duration(webhookAge*float64(time.Second))
	return map[track.EventReceiver]track.EventCounts{track.EventBus: bus, track.EventWebhook: webhook}, s.failure("count events", err)
}

// EventsAfter returns up to limit events that came after the one with the number seq, the oldest first.
func (s *Store) EventsAfter(ctx context.Context, seq int64, limit int) ([]track.EventRow, error) {
	return s.eventRows(ctx, s.sql("events_after"), seq, limit)
}

// LastEvents returns the last events, up to limit, the oldest first.
func (s *Store) LastEvents(ctx context.Context, limit int) ([]track.EventRow, error) {
	return s.eventRows(ctx, s.sql("last_events"), limit)
}

func (s *Store) eventRows(ctx context.Context, sql string, args ...any) (found []track.EventRow, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, scanEventRow)
		return err
	})
	return found, s.failure("read events", err)
}

// scanEventRow reads the event_row_columns.
func scanEventRow(row pgx.CollectableRow) (e track.EventRow, err error) {
	err = row.Scan(&e.Seq, &e.ID, &e.TrackID, &e.Type, &e.Data, &e.CreatedAt, &e.Bus, &e.BusError, &e.Webhook, &e.WebhookError)
	return e, err
}
