package pgstore

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"trackstore/shared/track"
)

// refusal is one of several items that the database did not take, and why.
type refusal[T any] struct {
	item T
	err  error // a *track.RefusedError, or track.ErrLocked
}

// apart has do, which runs one statement for all items that it is given, done for all of them.
// Where one is refused, the statement is refused whole: then do runs for each half, and so on,
// until the refused ones stand alone. All others are done by then. An error that is nobody's
// refusal ends it: what was done before stays done.
func apart[T any](items []T, do func([]T) error) ([]refusal[T], error) {
	err := do(items)
	why := whyRefused(err)
	switch {
	case why == nil:
		return nil, err
	case len(items) == 1:
		return []refusal[T]{{items[0], why}}, nil
	}
	half := len(items) / 2
	first, err := apart(items[:half], do)
	if err != nil {
		return first, err
	}
	second, err := apart(items[half:], do)
	return append(first, second...), err
}

// isAnAttempt reports whether what was refused may be taken the next time: the row stayed as it was, a trigger made
// something else of it, or a policy was against it. Five of them are a failure.
func isAnAttempt(refused *track.RefusedError) bool {
	return refused.Code == "" || refused.Code == insufficientPrivilege
}

// ownWords is in the error by which a statement of ours takes itself back, where a row is not
// what it made of it.
var ownWords = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`"trackstore: ([^"]*)"`) })

// refusable is failure for a statement of one row.
func (s *Store) refusable(op string, err error) error {
	if why := whyRefused(err); why != nil {
		return fmt.Errorf("%s: %w", op, why)
	}
	return s.failure(op, err)
}

// whyRefused returns what a row's refusal amounts to, and nil where err is nil, or is of
// something else than a row.
func whyRefused(err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return nil
	}
	switch {
	case pgErr.Code == lockNotAvailable:
		return track.ErrLocked
	case pgErr.Code == invalidText && ownWords().MatchString(pgErr.Message):
		return &track.RefusedError{Text: ownWords().FindStringSubmatch(pgErr.Message)[1]}
	case isOfARow(pgErr):
		return &track.RefusedError{Code: pgErr.Code, Constraint: pgErr.ConstraintName, Text: pgErr.Message}
	}
	return nil
}

// byShape are the errors by which a platform's table refuses every statement of a kind, by where
// the server raises them: rules, columns that are generated or of a type without a cast from
// text, a publication without a replica identity. schema check names each.
var byShape = map[string]string{
	"RewriteQuery": "0A000", "rewriteTargetListIU": "428C9", "transformAssignedExpr": "42804", "CheckCmdReplicaIdentity": "55000",
}

// isOfARow reports whether an error is of a row's values, of the table's shape, or of what a
// platform's trigger makes of a row, which may raise any code. What is left over is of the
// server, of the connection, or of the statement itself: a right that the role lacks, a column
// that is not there.
func isOfARow(err *pgconn.PgError) bool {
	switch err.Code[:min(2, len(err.Code))] {
	case "", "08", "25", "28", "3D", "40", "53", "57", "58", "F0", "XX":
		return false
	case "0A", "2D", "3F", "42", "55":
		if err.Code == insufficientPrivilege && err.Routine != "aclcheck_error" {
			return true // by a policy of row level security
		}
		return err.Where != "" /* in a function of the platform's */ || byShape[err.Routine] == err.Code
	}
	return true
}
