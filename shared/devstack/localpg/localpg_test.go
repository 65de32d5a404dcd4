package localpg_test

import (
	"context"
	"testing"
	"time"

	"trackstore/shared/devstack/localpg"
)

func TestQuick(t *testing.T) {
	for _, cfg := range []localpg.Config{{}, {Copy: true}, {Copy: true}, {Durable: true}} {
		cfg.DataDir = t.TempDir() + "/pg"
		cfg.Log = t.Output()
		a := time.Now()
		s, err := localpg.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		b := time.Now()
		if err := s.CreateDatabase(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		c := time.Now()
		t.Log(s.URL("x"), s.DataDir())
		if err := s.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		t.Log("TIMES", b.Sub(a), c.Sub(b), time.Since(c))
	}
}
