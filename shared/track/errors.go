package track

import "errors"

// The errors that stores answer with; they wrap them with the operation and the key.
var (
	ErrNotFound     = errors.New("not found")
	ErrExists       = errors.New("already exists")                      // the key or path is taken: it is written once
	ErrMismatch     = errors.New("bytes differ from what was declared") // size or checksum, refused by the store
	ErrInvalidParts = errors.New("the list of parts does not fit what was uploaded")
	ErrThrottled    = errors.New("told to slow down") // retryable; do less at once
	ErrUnavailable  = errors.New("out of reach")      // retryable; the call may or may not have taken effect
	ErrForbidden    = errors.New("access denied")     // credentials or policy; not retryable

	// ErrPlace says nothing of any track: the disk or the bucket is another one than it should
	// be, is full, takes no writes, or does not speak S3. Whoever meets it ends; not retryable.
	ErrPlace = errors.New("the disk or the bucket cannot be worked with")
	// ErrLocked is of a track that another transaction holds: nothing waits for it; retryable.
	ErrLocked = errors.New("locked by another transaction")
	// ErrRefused is of a row that the platform's table does not take: a CHECK, a length, a
	// trigger, a policy. Others are not held up by it; see RefusedError.
	ErrRefused = errors.New("the platform's table refuses it")

	ErrNoSchema = errors.New("the database's schema is missing or too old") // the migrations were not applied

	// Of paths on local disk.
	ErrOutsideRoot = errors.New("leads out of the root folder")
	ErrNotRegular  = errors.New("not a regular file")

	ErrTooManyPending      = errors.New("too many open uploads") // of one user
	ErrIdempotencyConflict = errors.New("the idempotency key was used for another request")
)

// IsRetryable reports whether the same call may succeed later.
func IsRetryable(err error) bool {
	return errors.Is(err, ErrThrottled) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrLocked)
}

// RefusedError is ErrRefused with what the database says of it. It is for logs: clients are
// not shown a platform's constraints.
type RefusedError struct {
	Code       string // SQLSTATE; empty: the row stayed as it was without an error
	Constraint string // its name, where it is one
	Text       string // the database's, or what was seen
}

func (e *RefusedError) Error() string {
	text := ErrRefused.Error() + ": " + e.Text
	if e.Code != "" {
		text += " (SQLSTATE " + e.Code + ")"
	}
	return text
}

// Is makes it ErrRefused.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }
