// Package deadline lets a function answer before Lambda ends it.
package deadline

import (
	"context"
	"time"
)

// Before returns a time ahead of the deadline of ctx, if it has one: by reserve, or by a
// quarter of what is left where that is less.
func Before(ctx context.Context, reserve time.Duration) (at time.Time, ok bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Time{}, false
	}
	return deadline.Add(-min(time.Until(deadline)/4, reserve)), true
}

// Early returns a context that ends Before the deadline of ctx, if it has one. A call to a
// server that has gone silent then fails while there is time to say so; at the deadline itself
// Lambda ends the process, and nobody learns why.
func Early(ctx context.Context, reserve time.Duration) (context.Context, context.CancelFunc) {
	at, ok := Before(ctx, reserve)
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, at)
}

// Ahead gives handle a context that ends two seconds Early.
func Ahead[In, Out any](handle func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		ctx, cancel := Early(ctx, 2*time.Second)
		defer cancel()
		return handle(ctx, in)
	}
}
