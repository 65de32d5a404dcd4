package migrate

import (
	"context"
	"time"

	"trackstore/shared/track"
)

// Ledger leases tracks to workers and keeps what became of them. Any number of processes
// share it, and each call is atomic: it takes effect whole or not at all.
//
// Errors: track.ErrUnavailable is of the moment, and says nothing about whether the call took
// effect; what holds then is said at each method. track.ErrForbidden and ErrNoSchema last
// until an operator mends them.
type Ledger interface {
	// Stretches returns all ids, in pieces to claim from: first what lies ahead of the last claims in
	// each of some ranges, then what lies behind them. Each range has about as many tracks to move. It may
	// be repeated.
	Stretches(ctx context.Context, d track.Direction) ([]track.Stretch, error)
	// ForgetRanges has the ranges be chosen anew, for when nothing is left to move. It may be repeated.
	ForgetRanges(ctx context.Context, d track.Direction) error

	// Claim leases up to spec.Limit tracks of spec.Stretch to spec.Token, in the order of their ids, for
	// spec.For. It gets none where the stored direction is another. A track is leased to one token at a time.
	//
	// After ErrUnavailable tracks may be leased to a token that nobody holds: these leases run
	// out by themselves. Called again, with a fresh token, it gets others.
	Claim(ctx context.Context, spec track.ClaimSpec) (track.Claims, error)

	// Extend makes leases last for another d from now, those that are still held; it does not
	// tell which. It waits for nobody: a lease that is being settled is left. It may be repeated.
	Extend(ctx context.Context, leases []track.Lease, d time.Duration) error

	// Release gives leases back, those that are still held, as if they had never been taken: what
	// the claim found recorded is there again. It may be repeated; after ErrUnavailable leases that
	// were not given back run out by themselves.
	Release(ctx context.Context, leases []track.Lease) error

	// Settle makes the tracks of those outcomes that are Migrated point at their new bytes,
	// and records all of them; it returns a ruling for each, in the order of the outcomes. A
	// track whose row is not as it was claimed is left as it is, and so is one whose lease is
	// somebody else's: bytes that were written for it are noted for the sweep, never removed.
	// What is known of stored bytes is kept where an outcome finds less (R10).
	//
	// It waits for no row of tracks that somebody has locked, and holds none while it waits for
	// anything else. A row that the platform refuses, keeps as it is or has locked holds up no
	// other: its ruling says so, its lease stays held, and its outcome may be given again.
	//
	// It may be repeated: what it settled, it finds settled. So after ErrUnavailable it is to be
	// called again with the same outcomes. Until it has returned, no outcome counts.
	Settle(ctx context.Context, d track.Direction, outcomes []track.Outcome) ([]track.Ruling, error)

	// ForgetRemoval frees names that bytes had on a backend which were removed and are gone. Bytes
	// of that name have to be made anew after it, and before an outcome has it. It may be repeated.
	ForgetRemoval(ctx context.Context, backend string, names []string) error

	// ForgetDead gives every lease back that has run out, whoever held it, and returns their
	// number. It may be repeated.
	ForgetDead(ctx context.Context) (freed int64, err error)

	// Activity tells in which direction tracks are to move, and how many are leased; of ids only,
	// where these are given. Leases of the other direction count: where they end, tracks become
	// claimable. It changes nothing.
	Activity(ctx context.Context, ids []track.ID) (track.Activity, error)

	// Remaining counts the selected tracks that can be claimed or are leased; a large number may be
	// an estimate, 0 never is. It changes nothing.
	Remaining(ctx context.Context, d track.Direction, which track.Selection) (int64, error)

	// ToWrite counts the files, and their bytes, that moving up to limit of the selected tracks
	// writes to disk for certain: of a rollback, those of which no local copy is left. It changes
	// nothing.
	ToWrite(ctx context.Context, d track.Direction, which track.Selection, limit int) (files, bytes int64, err error)
}

// Directions decides which way tracks move. Each call may be repeated, also after
// track.ErrUnavailable.
type Directions interface {
	// SetDirection makes workers move tracks in direction d: those of the other direction stop
	// at their next claim.
	SetDirection(ctx context.Context, d track.Direction) error
	// ProposeDirection does that unless tracks are leased in the other direction. It returns the
	// direction that now holds.
	ProposeDirection(ctx context.Context, d track.Direction) (held track.Direction, err error)
	// Locate returns the storage backend of those of the tracks that exist and are not deleted.
	Locate(ctx context.Context, ids []track.ID) (map[track.ID]string, error)
}
