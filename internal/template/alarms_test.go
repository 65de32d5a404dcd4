package template_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"trackstore/shared/metrics"
)

// series are the values of a metric, a list for each of an alarm's periods, the last one last.
type series [][]float64

func every(periods int, values ...float64) series {
	s := make(series, periods)
	for i := range s {
		s[i] = values
	}
	return s
}

// What sets each alarm off, and the most that does not yet.
var goesOff = map[string]struct{ off, quiet series }{
	"DeadLettersAlarm":            {series{{1}}, series{{0}}},
	"QueueAgeAlarm":               {every(3, 900), series{{900}, {899}, {900}}},
	"PresignUploadErrorsAlarm":    {series{{0, 1, 0}}, series{{0, 0}}},
	"ObjectCreatedErrorsAlarm":    {series{{1}}, series{nil}},
	"MigrateBatchErrorsAlarm":     {series{{1}}, series{nil}},
	"SweepUploadsErrorsAlarm":     {series{{1}}, series{nil}},
	"DeliverEventsErrorsAlarm":    {series{{1}}, series{nil}},
	"MigrateSchemaErrorsAlarm":    {series{{1}}, series{nil}},
	"ApiErrorsAlarm":              {series{{2, 3}}, series{{2, 2}}},
	"ApiLatencyAlarm":             {every(3, 40, 3500, 4000), every(3, slices.Concat(slices.Repeat([]float64{40}, 199), []float64{9000})...)},
	"ApiConcurrencyAlarm":         {every(5, 40), every(5, 39)}, // of 50
	"PresignUploadThrottlesAlarm": {series{{1}}, series{nil}},
	"ObjectCreatedThrottlesAlarm": {series{{1}}, series{nil}},
	"MigrateBatchThrottlesAlarm":  {series{{1}}, series{nil}},
	"SweepUploadsThrottlesAlarm":  {series{{1}}, series{nil}},
	"DeliverEventsThrottlesAlarm": {series{{1}}, series{nil}},
	"MigrationStoppedAlarm":       {series{{1}}, series{{0}}},
	"SweepMissingAlarm":           {series{nil}, series{{1}}},
	"EventLagAlarm":               {every(3, milliseconds("EventLag", 10*time.Minute)), series{{600000}, nil, {600000}}},
	"MigrationFailuresAlarm":      {series{{written(metrics.Count("TracksFailed", 1), "TracksFailed")}}, series{nil}},
	"SweepFailuresAlarm":          {every(3, written(metrics.Count("SweepFailures", 1), "SweepFailures")), series{{1}, nil, {1}}},
	"EventsDeadAlarm":             {series{{written(metrics.Count("EventsDead", 1), "EventsDead")}}, series{nil}},
}

func milliseconds(name string, d time.Duration) float64 {
	return written(metrics.Duration(name, d), name)
}

// written is the value that CloudWatch finds in the line that a function writes.
func written(m metrics.Metric, name string) float64 {
	var out bytes.Buffer
	metrics.New(&out, "function").Emit(m)
	var line struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
	}
	var values map[string]any
	if json.Unmarshal(out.Bytes(), &line) != nil || json.Unmarshal(out.Bytes(), &values) != nil {
		return -1
	}
	found := line.AWS.CloudWatchMetrics
	if len(found) != 1 || found[0].Namespace != "trackstore" || !slices.Equal(found[0].Dimensions[0], []string{"Function"}) || found[0].Metrics[0].Name != name {
		return -1
	}
	return values[name].(float64)
}

// Each alarm goes off when it should, and not before, and docs/operations.md has its lines.
func TestAlarmsGoOff(t *testing.T) {
	t.Parallel()
	s := transform(t, production)
	operations, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range s.ids("AWS::CloudWatch::Alarm") {
		alarm := s.resource(t, id, "AWS::CloudWatch::Alarm")
		values, known := goesOff[id]
		if !known {
			t.Errorf("%s: nothing sets it off here", id)
			continue
		}
		if periods := int(alarm.at("EvaluationPeriods").number()); len(values.off) != periods || len(values.quiet) != periods {
			t.Errorf("%s looks at %d periods", id, periods)
		}
		if !goes(alarm, values.off) {
			t.Errorf("%s does not go off by %v", id, values.off)
		}
		if goes(alarm, values.quiet) {
			t.Errorf("%s goes off by %v", id, values.quiet)
		}
		row := "`" + id + "`"
		for _, kind := range []string{"ErrorsAlarm", "ThrottlesAlarm"} {
			if strings.HasSuffix(id, kind) && id != "ApiErrorsAlarm" {
				row = "`…" + kind + "` of a function"
			}
		}
		if !strings.Contains(string(operations), "| "+row+" |") {
			t.Errorf("docs/operations.md has no line for %s", id)
		}
	}
}

// goes evaluates an alarm as CloudWatch does, by the values of all the periods that it looks at.
func goes(alarm object, periods series) bool {
	for _, values := range periods {
		if len(values) == 0 {
			if alarm.at("TreatMissingData").string() != "breaching" {
				return false
			}
			continue
		}
		value, threshold := statistic(alarm, values), alarm.at("Threshold").number()
		breaches := value >= threshold
		if alarm.at("ComparisonOperator").string() == "LessThanThreshold" {
			breaches = value < threshold
		}
		if !breaches {
			return false
		}
	}
	return true
}

func statistic(alarm object, values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	switch {
	case alarm.at("Metrics.0.Expression").string() == "100 * busy / 50":
		return 100 * slices.Max(values) / 50
	case alarm.at("Metrics.0.Expression").string() == "SUM(FILL(METRICS(), 0))":
		return sum
	case alarm.at("ExtendedStatistic").string() == "p99":
		sorted := slices.Sorted(slices.Values(values))
		return sorted[(len(sorted)*99-1)/100]
	case alarm.at("Statistic").string() == "Maximum":
		return slices.Max(values)
	case alarm.at("Statistic").string() == "Sum":
		return sum
	}
	alarm.t.Fatalf("%s has a statistic that is not known here", alarm.path)
	return 0
}
