package pgstore_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/testenv"
	"trackstore/shared/track"
)

// BenchmarkUpdates updates 100,000 tracks as a platform does, which does not touch what is trackstore's: in one statement,
// and one by one, each in turns with trackstore's triggers and without. It prints what Postgres takes of the processor for each
// track, whatever else the machine does, and that over what it takes without the triggers.
func BenchmarkUpdates(b *testing.B) {
	const rows = 100_000
	url := testenv.Postgres(b)
	sql := fill(b, url, randomIDs, rows)
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	update := func(statement string, args ...any) {
		if _, err := conn.Exec(b.Context(), statement, args...); err != nil {
			b.Fatal(err)
		}
	}
	ids, err := conn.Query(b.Context(), "SELECT id FROM tracks LIMIT 2000")
	if err != nil {
		b.Fatal(err)
	}
	some, err := pgx.CollectRows(ids, pgx.RowTo[track.ID])
	if err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name string
		rows int
		run  func()
	}{
		{"at-once", rows, func() { update("UPDATE tracks SET title = 'y'") }},
		{"one-by-one", len(some), func() {
			for _, id := range some {
				update("UPDATE tracks SET title = 'z' WHERE id = $1", id)
			}
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			var took, ratios []float64
			for turn := 0; b.Loop(); turn++ {
				both := map[string]time.Duration{}
				for i := range 2 {
					is := []string{"ENABLE", "DISABLE"}[(turn+i)%2]
					execute(b, sql, "ALTER TABLE tracks "+is+" TRIGGER USER")
					execute(b, sql, "VACUUM tracks")
					update("UPDATE tracks SET title = 'x' WHERE id = $1", some[0]) // reads the catalogue anew
					before := processorTime(b, conn.PgConn().PID())
					way.run()
					both[is] = processorTime(b, conn.PgConn().PID()) - before
				}
				took = append(took, both["ENABLE"].Seconds()*1e6/float64(way.rows))
				ratios = append(ratios, both["ENABLE"].Seconds()/both["DISABLE"].Seconds())
			}
			b.ReportMetric(0, "ns/op")
			slices.Sort(took)
			slices.Sort(ratios)
			b.ReportMetric(took[len(took)/2], "µs/track")
			b.ReportMetric(ratios[len(ratios)/2], "×without")
		})
	}
	execute(b, sql, "ALTER TABLE tracks ENABLE TRIGGER USER")
}

// processorTime is what a backend of Postgres has used of the processor.
func processorTime(b *testing.B, pid uint32) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		b.Skip("only Linux tells: ", err)
	}
	var nanoseconds int64
	if _, err := fmt.Sscan(string(text), &nanoseconds); err != nil {
		b.Fatal(err)
	}
	return time.Duration(nanoseconds)
}
