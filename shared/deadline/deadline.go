// Package deadline lets a function answer before Lambda ends it.
package deadline

import (
	"context"
	"time"
)

// Ahead gives handle a context that ends a little ahead of Lambda's deadline. A call to a
// server that has gone silent then fails while there is time to say so; at the deadline
// itself the process is ended, and nobody learns why.
func Ahead[In, Out any](handle func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/8, 2*time.Second)))
			defer cancel()
		}
		return handle(ctx, in)
	}
}
