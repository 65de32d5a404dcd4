package deadline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"trackstore/shared/function/deadline"
)

func TestEarly(t *testing.T) {
	t.Parallel()
	for given, want := range map[time.Duration]time.Duration{
		time.Minute:     58 * time.Second,
		4 * time.Second: 3 * time.Second,
		-time.Second:    -time.Second, // it is over, and is not made longer
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), given)
			defer cancel()
			early, cancel := deadline.Early(ctx, 2*time.Second)
			defer cancel()
			if end, _ := early.Deadline(); time.Until(end) != want {
				t.Errorf("of %s are left %s, not %s", given, time.Until(end), want)
			}
		})
	}
	early, cancel := deadline.Early(t.Context(), time.Second)
	defer cancel()
	if end, ok := early.Deadline(); ok {
		t.Errorf("without a deadline it ends at %s", end)
	}
}
