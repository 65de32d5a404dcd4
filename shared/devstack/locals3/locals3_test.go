package locals3_test

import (
	"context"
	"testing"
	"time"

	"trackstore/shared/devstack/locals3"
)

func TestQuick(t *testing.T) {
	a := time.Now()
	s, err := locals3.Start(t.Context(), locals3.Config{Dir: t.TempDir(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	b := time.Now()
	t.Logf("%+v", s)
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Log("TIMES", b.Sub(a), time.Since(b))
}
