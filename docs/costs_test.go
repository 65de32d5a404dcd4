package docs_test

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/dustin/go-humanize"
)

// TestCosts computes the results in docs/costs.md from the prices and assumptions there.
func TestCosts(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("docs/costs.md")
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]float64{}       // prices and assumptions
	written := map[string][]string{} // results, by row
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(strings.Trim(line, "|\n "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if value, err := strconv.ParseFloat(cells[min(1, len(cells)-1)], 64); err == nil && len(cells) == 3 {
			in[cells[0]] = value
		}
		if len(cells) == 4 {
			written[cells[0]] = cells[1:]
		}
	}
	price := func(name string) float64 {
		value, there := in[name]
		if !there {
			t.Fatalf("docs/costs.md has no %s", name)
		}
		return value
	}
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

func at(cells []string, i int) string {
	if i < len(cells) {
		return cells[i]
	}
	return "missing"
}
