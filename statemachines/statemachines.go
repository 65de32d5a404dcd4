// Package statemachines embeds the state machines that are deployed, and runs them where there is no Step Functions.
package statemachines

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"trackstore/internal/devstack/asl"
)

//go:embed migrate-storage.asl.json
var migrateStorage []byte

// Local runs migrate-storage in this process.
type Local struct {
	Workers int // at least 1
	// Batch does what the function migrate-batch does: from its input to its output, both JSON. It is called by as many
	// goroutines as there are workers. An error is tried again, with a growing delay.
	Batch func(ctx context.Context, request json.RawMessage) (json.RawMessage, error)
	// Stopped is the switch that is asked before each batch. nil: never.
	Stopped func() bool
	// Sleep waits. nil: by the clock.
	Sleep func(context.Context, time.Duration) error
	// Event hears of what an execution goes through. nil: nobody does.
	Event func(asl.Event)
}

// Summary is how a migration ended, with what all its batches did.
type Summary struct {
	Direction string `json:"direction"`
	Claimed   int64  `json:"claimed"`
	Migrated  int64  `json:"migrated"`
	Missing   int64  `json:"missing"`
	Failed    int64  `json:"failed"`
	Bytes     int64  `json:"bytes"`
	Remaining int64  `json:"remaining"` // -1: not known, since it was stopped before the first batch
	Done      bool   `json:"done"`
	Stopped   bool   `json:"stopped"`
}

// MigrateStorage runs the state machine on a request, which is the input of every batch (nil: {}), until it ends; an
// execution that goes on in a new one is followed. The error is an *asl.Error where the state machine failed.
func (l Local) MigrateStorage(ctx context.Context, request json.RawMessage) (Summary, error) {
	const name = "migrate-storage"
	machine, err := asl.Parse(migrateStorage, map[string]string{
		"Partition": "aws", "MigrateBatchFunctionArn": "migrate-batch", "SwitchName": name, "Workers": strconv.Itoa(l.Workers),
	})
	if err != nil {
		return Summary{}, fmt.Errorf("%s: %w", name, err)
	}
	var input, next any
	if request == nil {
		request = json.RawMessage("{}")
	}
	if err := json.Unmarshal(request, &input); err != nil {
		return Summary{}, fmt.Errorf("the input of %s: %w", name, err)
	}
	runner := asl.Runner{
		Sleep: l.Sleep, Event: l.Event,
		Context: map[string]any{"StateMachine": map[string]any{"Id": name}},
		Tasks: map[string]asl.Task{
			"arn:aws:states:::lambda:invoke":            l.invoke,
			"arn:aws:states:::aws-sdk:ssm:getParameter": l.readSwitch,
			"arn:aws:states:::states:startExecution": func(_ context.Context, arguments any) (any, error) {
				next = arguments.(map[string]any)["Input"]
				return map[string]any{"ExecutionArn": "the next one"}, nil
			},
		},
	}
	for {
		next = nil
		output, err := runner.Run(ctx, machine, input)
		if err != nil {
			return Summary{}, err
		}
		if next == nil {
			var summary Summary
			return summary, convert(output, &summary)
		}
		input = next
	}
}

func (l Local) invoke(ctx context.Context, arguments any) (any, error) {
	var call struct{ Payload json.RawMessage }
	if err := convert(arguments, &call); err != nil {
		return nil, err
	}
	answer, err := l.Batch(ctx, call.Payload)
	if err != nil {
		return nil, err
	}
	var payload any
	if err := json.Unmarshal(answer, &payload); err != nil {
		return nil, errors.Join(errors.New("migrate-batch did not answer with JSON"), err)
	}
	return map[string]any{"Payload": payload}, nil
}

func (l Local) readSwitch(context.Context, any) (any, error) {
	value := "run"
	if l.Stopped != nil && l.Stopped() {
		value = "stop"
	}
	return map[string]any{"Parameter": map[string]any{"Value": value}}, nil
}

// convert takes what was decoded without a type into one.
func convert(from, to any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}
