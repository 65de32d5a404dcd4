package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"trackstore/shared/track"
)

// failure names what failed and, where it is known, which of track's errors it is.
func failure(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s %q: %w", op, key, context.Cause(ctx))
	}
	if errors.As(err, new(*unprovenError)) || errors.Is(err, track.ErrPlace) {
		return fmt.Errorf("%s %q: %w", op, key, err)
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%s %q: %w: %w", op, key, kind, err)
	}
	return fmt.Errorf("%s %q: %w", op, key, err)
}

// kinds of S3's error codes. A missing bucket is not "not found", which would say of each
// object that it is gone.
var kinds = map[string]error{
	"NoSuchKey":     track.ErrNotFound,
	"NoSuchVersion": track.ErrNotFound,
	"NoSuchUpload":  track.ErrNotFound,
	"NotFound":      track.ErrNotFound, // HEAD has no body to name the reason

	"PreconditionFailed": track.ErrExists,

	"BadDigest":                   track.ErrMismatch,
	"InvalidDigest":               track.ErrMismatch,
	"IncompleteBody":              track.ErrMismatch,
	"XAmzContentChecksumMismatch": track.ErrMismatch,
	"XAmzContentSHA256Mismatch":   track.ErrMismatch,

	"InvalidPart":      track.ErrInvalidParts,
	"InvalidPartOrder": track.ErrInvalidParts,
	"EntityTooSmall":   track.ErrInvalidParts,

	"SlowDown":             track.ErrThrottled,
	"ServiceUnavailable":   track.ErrThrottled,
	"Throttling":           track.ErrThrottled,
	"RequestLimitExceeded": track.ErrThrottled,

	"InternalError":              track.ErrUnavailable,
	"RequestTimeout":             track.ErrUnavailable,
	"OperationAborted":           track.ErrUnavailable,
	"ConditionalRequestConflict": track.ErrUnavailable,

	"ExpiredToken": track.ErrForbidden,
	"InvalidToken": track.ErrForbidden,

	// Another key would fare no better.
	"NoSuchBucket":                       track.ErrPlace,
	"InvalidBucketName":                  track.ErrPlace,
	"InvalidAccessKeyId":                 track.ErrPlace,
	"SignatureDoesNotMatch":              track.ErrPlace,
	"AuthorizationHeaderMalformed":       track.ErrPlace, // of another region
	"PermanentRedirect":                  track.ErrPlace,
	"IllegalLocationConstraintException": track.ErrPlace,
	"AccountProblem":                     track.ErrPlace,
	"AllAccessDisabled":                  track.ErrPlace,
	"RequestTimeTooSkewed":               track.ErrPlace, // the SDK has corrected the clock by then
	"KMS.DisabledException":              track.ErrPlace,
	"KMS.NotFoundException":              track.ErrPlace,
	"QuotaExceeded":                      track.ErrPlace,
	"XMinioStorageFull":                  track.ErrPlace,
	"XMinioAdminBucketQuotaExceeded":     track.ErrPlace,
}

// kindOf returns one of track's errors, or nil for what will fail again and is none of them.
func kindOf(err error) error {
	if kind, known := kinds[codeOf(err)]; known {
		return kind
	}
	if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) {
		switch status := response.HTTPStatusCode(); {
		case status == http.StatusForbidden, status == http.StatusUnauthorized:
			return track.ErrForbidden
		case status == http.StatusNotFound, status == http.StatusMethodNotAllowed: // 405: a delete marker
			return track.ErrNotFound
		case status == http.StatusPreconditionFailed:
			return track.ErrExists
		case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
			return track.ErrThrottled
		case status == http.StatusInsufficientStorage, status >= 300 && status < 400: // full; a proxy leads elsewhere
			return track.ErrPlace
		case status >= 500:
			return track.ErrUnavailable
		case status >= 300:
			return nil
		}
	}
	if isBroken(err) {
		return track.ErrUnavailable
	}
	return nil
}

// codeOf returns the code that S3 gave an error, or "".
func codeOf(err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// isBroken reports whether a connection failed, before an answer or within it.
func isBroken(err error) bool {
	var send *smithyhttp.RequestSendError
	var read *smithy.DeserializationError
	var timeout interface{ Timeout() bool }
	return errors.As(err, &send) || errors.As(err, &read) ||
		errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, io.ErrUnexpectedEOF)
}
