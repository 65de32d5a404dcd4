package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"trackstore/shared/track"
)

// SQLSTATE codes, by Postgres' names.
const (
	uniqueViolation        = "23505"
	readOnlyTransaction    = "25006"
	insufficientPrivilege  = "42501"
	serializationFailure   = "40001"
	deadlockDetected       = "40P01"
	lockNotAvailable       = "55P03"
	idleTransactionTimeout = "25P03"
	undefinedColumn        = "42703"
	undefinedTable         = "42P01"
	invalidText            = "22P02"

	invalidAuthorization = "28" // the class
)

// failure wraps err with the operation and with the error of package track that it
// amounts to, if any. nil stays nil.
//
// track.ErrUnavailable says nothing about whether a write took effect: after it, read again.
func (s *Store) failure(op string, err error) error {
	if err == nil {
		return nil
	}
	if sqlState(err) == readOnlyTransaction {
		// The server that these connections lead to was demoted: dial the new primary.
		s.pool.Reset()
	}
	kind := classify(err)
	if s.password.noteRefusal(sqlState(err)) {
		kind = track.ErrUnavailable
	}
	if kind != nil {
		return fmt.Errorf("%s: %w: %w", op, kind, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

func classify(err error) error {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return track.ErrNotFound
	case errors.Is(err, context.Canceled):
		return nil // the caller's own wish
	}
	switch code := sqlState(err); {
	case code == uniqueViolation:
		return track.ErrExists
	case code == insufficientPrivilege, strings.HasPrefix(code, invalidAuthorization):
		return track.ErrForbidden
	case code == undefinedTable, code == undefinedColumn:
		return track.ErrNoSchema
	case code == serializationFailure, code == deadlockDetected, code == lockNotAvailable,
		code == readOnlyTransaction, code == idleTransactionTimeout,
		strings.HasPrefix(code, "08"),  // connection
		strings.HasPrefix(code, "53"),  // resources, such as too many connections
		strings.HasPrefix(code, "57P"): // the server stops, starts or recovers
		return track.ErrUnavailable
	case code != "":
		return nil
	}
	var (
		connect *pgconn.ConnectError
		network net.Error
	)
	if errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return track.ErrUnavailable
	}
	return nil
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

// retry runs f again, up to five times in all, where its error proves that nothing was
// committed: a serialization failure, a deadlock, or a connection that was already dead.
// f is one statement or one transaction.
func retry(ctx context.Context, f func() error) error {
	pause := 10 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := f()
		code := sqlState(err)
		again := code == serializationFailure || code == deadlockDetected || err != nil && pgconn.SafeToRetry(err)
		if !again || attempt == 5 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause + rand.N(pause)): // at random, so that two that met do not meet again
			pause *= 2
		}
	}
}
