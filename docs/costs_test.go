package docs_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/dustin/go-humanize"
)

// TestCosts computes the results in docs/costs.md from the prices and assumptions there.
func TestCosts(t *testing.T) {
	t.Parallel()
	price, written := tables(t, "docs/costs.md")
	for i, tracks := range []float64{1e3, 1e6, 1e9} {
		uploads, plays := tracks*price("uploads"), tracks*price("plays")
		requests := uploads*price("upload_requests") + plays
		storage := tracks * price("track_gb") * price("storage")
		egress := plays * price("track_gb") * price("egress")
		own := price("fixed") +
			requests*(price("request")+price("invocation")+price("api_gbs")*price("compute")+price("log_gb")*price("log")) +
			uploads*(price("write")+2*price("read")+3*price("message")+price("invocation")+price("event_gbs")*price("compute")+price("log_gb")*price("log")) +
			plays*price("read") +
			price("sweeps")*(price("invocation")+price("compute")+3*price("write"))
		cdn := plays * (price("track_gb")*price("cdn_egress") + price("cdn_request"))
		migration := tracks*(price("write")+price("read")+price("copy_gbs")*price("compute")) +
			tracks/price("batch")*(price("invocation")+5*price("transition"))
		for row, value := range map[string]float64{
			"storage": storage, "egress": egress, "trackstore": own, "sum": storage + egress + own, "migration": migration,
			"egress by the CDN": cdn, "sum with the CDN": storage + cdn + own - plays*price("hits")*price("read"),
		} {
			want := humanize.Comma(int64(math.Round(value)))
			if got := fmt.Sprint(at(written[row], i)); got != want {
				t.Errorf("%s of %g tracks is %s, and not %s", row, tracks, want, got)
			}
		}
	}
}

// tables reads a document: what stands in rows of three columns, a name and its value; and the other columns of rows of
// four, by the first.
func tables(t *testing.T, document string) (value func(string) float64, rows map[string][]string) {
	t.Helper()
	values := map[string]float64{}
	rows = map[string][]string{}
	for line := range strings.Lines(read(t, document)) {
		cells := strings.Split(strings.Trim(line, "|\n "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if value, err := strconv.ParseFloat(cells[min(1, len(cells)-1)], 64); err == nil && len(cells) == 3 {
			values[cells[0]] = value
		}
		if len(cells) == 4 {
			rows[cells[0]] = cells[1:]
		}
	}
	return func(name string) float64 {
		value, there := values[name]
		if !there {
			t.Fatalf("%s has no %s", document, name)
		}
		return value
	}, rows
}

func at(cells []string, i int) string {
	if i < len(cells) {
		return cells[i]
	}
	return "missing"
}
