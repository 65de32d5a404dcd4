package asl

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

type retrier struct {
	ErrorEquals     []string
	IntervalSeconds float64
	BackoffRate     float64
	MaxDelaySeconds float64
	MaxAttempts     *int
	JitterStrategy  string // FULL or NONE
}

type catcher struct {
	ErrorEquals []string
	Assign      map[string]any
	Output      any
	Next        string
}

// The language's defaults.
const (
	defaultInterval = 1 // seconds
	defaultBackoff  = 2
	defaultAttempts = 3
)

// matches says whether an error is one of names. States.ALL is not meant for faults of the definition itself.
func matches(names []string, e *Error) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		switch name {
		case "States.ALL":
			return e.Name != "States.QueryEvaluationError" && e.Name != "States.Runtime"
		case "States.TaskFailed":
			return e.Name != "States.Timeout"
		}
		return name == e.Name
	})
}

// retrying calls attempt until it succeeds or the state's retriers are used up; each counts for itself.
func (x *execution) retrying(ctx context.Context, s *state, attempt func() (any, error)) (any, error) {
	used := make([]int, len(s.Retry))
	for {
		result, err := attempt()
		if err == nil || ctx.Err() != nil {
			return result, err
		}
		e := asError(err)
		i := slices.IndexFunc(s.Retry, func(r retrier) bool { return matches(r.ErrorEquals, e) })
		if i < 0 || used[i] >= s.Retry[i].attempts() {
			return nil, e
		}
		if err := x.sleep(ctx, s.Retry[i].delay(used[i])); err != nil {
			return nil, err
		}
		used[i]++
	}
}

func (r retrier) attempts() int {
	if r.MaxAttempts == nil {
		return defaultAttempts
	}
	return *r.MaxAttempts
}

// delay is how long to wait before the try after so many retries.
func (r retrier) delay(retries int) time.Duration {
	interval, rate := r.IntervalSeconds, r.BackoffRate
	if interval == 0 {
		interval = defaultInterval
	}
	if rate == 0 {
		rate = defaultBackoff
	}
	seconds := interval * math.Pow(rate, float64(retries))
	if r.MaxDelaySeconds > 0 {
		seconds = min(seconds, r.MaxDelaySeconds)
	}
	if r.JitterStrategy == "FULL" {
		seconds *= rand.Float64()
	}
	return time.Duration(seconds * float64(time.Second))
}

// catch returns the first of a state's catchers that is meant for err.
func (s *state) catch(err error) (*catcher, *Error) {
	if errors.Is(err, context.Canceled) {
		return nil, nil // the execution itself was stopped
	}
	e := asError(err)
	for i := range s.Catch {
		if matches(s.Catch[i].ErrorEquals, e) {
			return &s.Catch[i], e
		}
	}
	return nil, nil
}
