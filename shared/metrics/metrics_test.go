package metrics_test

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/metrics"
)

func TestEmit(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	e := metrics.New(&out, "object-created")
	e.With("Reason", "not_audio").Emit(
		metrics.Count("UploadsFailed", 2), metrics.Count("UploadsStored", 0), metrics.Duration("EventLag", 1500*time.Millisecond))

	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	aws := got["_aws"].(map[string]any)
	if at := time.UnixMilli(int64(aws["Timestamp"].(float64))); time.Since(at).Abs() > time.Minute {
		t.Errorf("the timestamp is %v", at)
	}
	delete(aws, "Timestamp")
	want := map[string]any{
		"Function": "object-created", "Reason": "not_audio", "UploadsFailed": 2.0, "EventLag": 1500.0,
		"_aws": map[string]any{"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  "trackstore",
			"Dimensions": []any{[]any{"Function", "Reason"}},
			"Metrics": []any{
				map[string]any{"Name": "UploadsFailed", "Unit": "Count"},
				map[string]any{"Name": "EventLag", "Unit": "Milliseconds"},
			},
		}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func TestNothingToSay(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	metrics.New(&out, "x").Emit(metrics.Count("A", 0))
	metrics.New(&out, "x").Emit(metrics.Metric{Name: "A", Value: math.NaN()})
	var none *metrics.Emitter
	none.With("Reason", "x").Emit(metrics.Count("A", 1))
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
}
