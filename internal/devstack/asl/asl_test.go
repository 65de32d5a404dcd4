package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/internal/devstack/asl"
)

// machine wraps states into a definition that starts at A.
func machine(states string) string {
	return `{"QueryLanguage":"JSONata","StartAt":"A","States":{` + states + `}}`
}

func parse(t *testing.T, states string) *asl.Machine {
	t.Helper()
	m, err := asl.Parse([]byte(machine(states)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestStates(t *testing.T) {
	t.Parallel()
	tasks := map[string]asl.Task{
		"echo": func(_ context.Context, arguments any) (any, error) { return arguments, nil },
		"fail": func(context.Context, any) (any, error) { return nil, &asl.Error{Name: "Broken", Cause: "as always"} },
	}
	for _, test := range []struct{ name, states, input, output, err string }{
		{"a state without an output hands its input on",
			`"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Succeed"}`, `{"x":1}`, `{"x":1}`, ""},
		{"variables are as they were when the state was entered",
			`"A":{"Type":"Pass","Assign":{"n":1},"Next":"B"},
			 "B":{"Type":"Pass","Assign":{"n":"{% $n + 1 %}"},"Output":"{% $n %}","Next":"C"},
			 "C":{"Type":"Pass","Output":{"before":"{% $states.input %}","now":"{% $n %}"},"End":true}`, `{}`, `{"before":1,"now":2}`, ""},
		{"a task gets its arguments, and its result is the output",
			`"A":{"Type":"Task","Resource":"echo","Arguments":{"a":["{% $states.input.x %}","{x}"]},"End":true}`, `{"x":1}`, `{"a":[1,"{x}"]}`, ""},
		{"the first choice that holds is taken",
			`"A":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.x > 1 %}","Next":"B"},{"Condition":"{% $states.input.x > 0 %}","Next":"C"}],"Default":"B"},
			 "B":{"Type":"Fail","Error":"E","Cause":"c"},"C":{"Type":"Succeed"}`, `{"x":1}`, `{"x":1}`, ""},
		{"a map keeps the order of its items, and its variables to itself",
			`"A":{"Type":"Map","Items":"{% [1..3] %}","Assign":{"all":"{% $states.result %}"},"Next":"B",
			   "ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Pass","Assign":{"own":"{% $states.input %}"},"Next":"J"},"J":{"Type":"Pass","Output":"{% $own * 10 %}","End":true}}}},
			 "B":{"Type":"Pass","Output":"{% $all %}","End":true}`, `{}`, `[10,20,30]`, ""},
		{"a failure inside a map is the map's",
			`"A":{"Type":"Map","Items":[1],"Catch":[{"ErrorEquals":["Broken"],"Next":"B"}],"Next":"C",
			   "ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Task","Resource":"fail","End":true}}}},
			 "B":{"Type":"Succeed"},"C":{"Type":"Fail","Error":"E","Cause":"c"}`, `{}`, `{"Error":"Broken","Cause":"as always"}`, ""},
		{"a catcher for another error does not catch",
			`"A":{"Type":"Task","Resource":"fail","Catch":[{"ErrorEquals":["Else"],"Next":"B"}],"End":true},"B":{"Type":"Succeed"}`, `{}`, ``, "Broken: as always"},
		{"a fail state says why",
			`"A":{"Type":"Fail","Error":"Stuck","Cause":"{% 'at ' & $string($states.input.x) %}"}`, `{"x":7}`, ``, "Stuck: at 7"},
		{"an expression without a result is an error",
			`"A":{"Type":"Pass","Output":"{% $states.input.y %}","End":true}`, `{"x":1}`, ``, "States.QueryEvaluationError: $states.input.y"},
		{"a variable that nobody assigned is an error",
			`"A":{"Type":"Pass","Output":"{% $y %}","End":true}`, `{}`, ``, "States.QueryEvaluationError: $y"},
		{"a condition that is no condition",
			`"A":{"Type":"Choice","Choices":[{"Condition":"{% 'yes' %}","Next":"B"}],"Default":"B"},"B":{"Type":"Succeed"}`, `{}`, ``, "States.QueryEvaluationError"},
		{"a task that nothing does",
			`"A":{"Type":"Task","Resource":"unknown","Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"End":true},"B":{"Type":"Succeed"}`, `{}`, ``, "States.Runtime: nothing does unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var input any
			if err := json.Unmarshal([]byte(test.input), &input); err != nil {
				t.Fatal(err)
			}
			output, err := asl.Runner{Tasks: tasks}.Run(t.Context(), parse(t, test.states), input)
			if test.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.err) {
					t.Fatalf("ended with %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want any
			if err := json.Unmarshal([]byte(test.output), &want); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(output)
			if err != nil {
				t.Fatal(err)
			}
			var normal any
			if err := json.Unmarshal(got, &normal); err != nil || !cmp.Equal(normal, want) {
				t.Errorf("put out %s, %v", got, err)
			}
		})
	}
}

func TestRefusedDefinitions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, definition, err string }{
		{"no JSON", `{`, "unexpected EOF"},
		{"JSONPath", `{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`, "query language"},
		{"no start", machine(`"B":{"Type":"Succeed"}`), `the state "A"`},
		{"no next", machine(`"A":{"Type":"Pass"}`), `the state ""`},
		{"next is missing", machine(`"A":{"Type":"Pass","Next":"B"}`), `the state "B"`},
		{"an unknown type", machine(`"A":{"Type":"Parallel","End":true}`), "Parallel is not supported"},
		{"an unknown field", machine(`"A":{"Type":"Task","HeartbeatSeconds":1,"End":true}`), "HeartbeatSeconds"},
		{"a failure without a cause", machine(`"A":{"Type":"Fail","Error":"E"}`), "needs Error and Cause"},
		{"a distributed map", machine(`"A":{"Type":"Map","End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED"},"StartAt":"B","States":{"B":{"Type":"Succeed"}}}}`), "DISTRIBUTED"},
		{"an outer variable assigned within", machine(`"A":{"Type":"Map","Assign":{"x":1},"End":true,"ItemProcessor":{"StartAt":"B","States":{"B":{"Type":"Pass","Assign":{"x":2},"End":true}}}}`), "$x belongs"},
		{"a name without a value", machine(`"A":{"Type":"Task","Resource":"${Function}","End":true}`), "no value for ${Function}"},
	} {
		if _, err := asl.Parse([]byte(test.definition), nil); err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

const retried = `"A":{"Type":"Task","Resource":"work","TimeoutSeconds":60,"End":true,"Retry":[
	{"ErrorEquals":["States.Timeout"],"MaxAttempts":1,"IntervalSeconds":5},
	{"ErrorEquals":["Permanent"],"MaxAttempts":0},
	{"ErrorEquals":["States.ALL"],"MaxAttempts":3,"IntervalSeconds":1,"BackoffRate":2,"MaxDelaySeconds":3}]}`

func TestRetry(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		fails  []error // what tries end with, one after the other; then they succeed
		tries  int64
		waited time.Duration
		err    string
	}{
		{"no failure", nil, 1, 0, ""},
		{"backs off", []error{errors.New("a"), errors.New("b"), errors.New("c")}, 4, (1 + 2 + 3) * time.Second, ""},
		{"gives up", []error{errors.New("a"), errors.New("b"), errors.New("c"), errors.New("d")}, 4, (1 + 2 + 3) * time.Second, "States.TaskFailed: d"},
		{"an error without tries", []error{&asl.Error{Name: "Permanent"}}, 1, 0, "Permanent"},
		{"a try takes too long", []error{context.DeadlineExceeded}, 2, 65 * time.Second, ""},
		{"two take too long", []error{context.DeadlineExceeded, context.DeadlineExceeded}, 2, 125 * time.Second, "States.Timeout: no answer within 60 s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := parse(t, retried)
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int64
				work := func(ctx context.Context, _ any) (any, error) {
					n := tries.Add(1)
					if int(n) > len(test.fails) {
						return "ok", nil
					}
					err := test.fails[n-1]
					if errors.Is(err, context.DeadlineExceeded) {
						<-ctx.Done()
					}
					return nil, err
				}
				start := time.Now()
				_, err := asl.Runner{Tasks: map[string]asl.Task{"work": work}}.Run(t.Context(), m, nil)
				if test.err == "" && err != nil || test.err != "" && (err == nil || err.Error() != test.err) {
					t.Errorf("ended with %v", err)
				}
				if tries.Load() != test.tries || time.Since(start) != test.waited {
					t.Errorf("%d tries in %v", tries.Load(), time.Since(start))
				}
			})
		})
	}
}

// Stopping an execution stops its tasks and its waits, and nothing is retried or caught.
func TestStop(t *testing.T) {
	t.Parallel()
	m := parse(t, `"A":{"Type":"Map","Items":[1,2],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"Next":"B",
		"ItemProcessor":{"StartAt":"I","States":{
			"I":{"Type":"Choice","Choices":[{"Condition":"{% $states.input = 1 %}","Next":"J"}],"Default":"K"},
			"J":{"Type":"Wait","Seconds":3600,"End":true},
			"K":{"Type":"Task","Resource":"hang","End":true,"Retry":[{"ErrorEquals":["States.ALL"]}]}}}},
		"B":{"Type":"Succeed"}`)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		hang := func(ctx context.Context, _ any) (any, error) { <-ctx.Done(); return nil, ctx.Err() }
		time.AfterFunc(time.Second, cancel)
		_, err := asl.Runner{Tasks: map[string]asl.Task{"hang": hang}}.Run(ctx, m, nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// The first failure within a map stops what the other items are at.
func TestFailureStopsOtherItems(t *testing.T) {
	t.Parallel()
	m := parse(t, `"A":{"Type":"Map","Items":[1,2],"End":true,"ItemProcessor":{"StartAt":"I","States":{
		"I":{"Type":"Choice","Choices":[{"Condition":"{% $states.input = 1 %}","Next":"J"}],"Default":"K"},
		"J":{"Type":"Wait","Seconds":3600,"End":true},
		"K":{"Type":"Fail","Error":"Broken","Cause":"x"}}}}`)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if _, err := (asl.Runner{}).Run(t.Context(), m, nil); err == nil || err.Error() != "Broken: x" {
			t.Errorf("ended with %v", err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("took %v", waited)
		}
	})
}
