package track_test

import (
	"runtime"
	"testing"

	"trackstore/shared/track"
)

func TestHashSetKnowsItsMembers(t *testing.T) {
	t.Parallel()
	const members = 300_000
	set := track.NewHashSet[int]()
	if set.Has(1) {
		t.Error("an empty set has a member")
	}
	for range 2 { // the second time changes nothing
		for i := range members {
			set.Add(i)
		}
	}
	wrong := 0
	for i := range members {
		if !set.Has(i) {
			t.Fatalf("%d is not there", i)
		}
		if set.Has(-1 - i) {
			wrong++
		}
	}
	if wrong > 2 {
		t.Errorf("%d strangers are taken for members", wrong)
	}
}

// BenchmarkHashSet reports the memory of a set of 10^7 members, and of a map of their hashes.
func BenchmarkHashSet(b *testing.B) {
	const members = 10_000_000
	used := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		before := used()
		set := track.NewHashSet[int]()
		for i := range members {
			set.Add(i)
		}
		b.ReportMetric((used()-before)/members, "B/member")
		runtime.KeepAlive(set)
		before = used()
		hashes := map[uint64]struct{}{}
		for i := range members {
			hashes[uint64(i)*0x9e3779b97f4a7c15] = struct{}{}
		}
		b.ReportMetric((used()-before)/members, "map-B/member")
		runtime.KeepAlive(hashes)
	}
}
