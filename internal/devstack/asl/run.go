package asl

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Task does what a Task state's resource does. An *Error that it returns keeps its name; any other is States.TaskFailed.
// Arguments and result are as encoding/json decodes them.
type Task func(ctx context.Context, arguments any) (result any, err error)

// Runner is the surroundings of executions.
type Runner struct {
	Tasks   map[string]Task // by resource
	Context map[string]any  // what expressions find in $states.context; Execution.Input is added
	// Sleep waits, for Wait states and before retries. nil: by the clock.
	Sleep func(context.Context, time.Duration) error
	// Event hears of each event that Step Functions would write into the history; several at once. nil: nobody does.
	Event func(Event)
}

// Event is an entry of an execution's history.
type Event struct {
	Type  string // such as TaskStateEntered
	State string // its name; empty for the execution's own
	Error *Error // of a failure
}

// Run runs an execution from input to its end, and returns its output or, as an *Error, why it failed.
func (r Runner) Run(ctx context.Context, m *Machine, input any) (any, error) {
	x := &execution{Runner: r, context: map[string]any{"Execution": map[string]any{"Input": input}}}
	for name, value := range r.Context {
		x.context[name] = value
	}
	x.event("ExecutionStarted", "", nil)
	output, err := x.run(ctx, &m.flow, nil, input)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		x.event("ExecutionFailed", "", asError(err))
		return nil, asError(err)
	}
	x.event("ExecutionSucceeded", "", nil)
	return output, nil
}

type execution struct {
	Runner
	context map[string]any
}

func (x *execution) event(kind, state string, err *Error) {
	if x.Event != nil {
		x.Event(Event{kind, state, err})
	}
}

func (x *execution) sleep(ctx context.Context, d time.Duration) error {
	if x.Sleep != nil {
		return x.Sleep(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// run walks a flow from its first state to one that ends it.
func (x *execution) run(ctx context.Context, f *flow, outer *scope, input any) (any, error) {
	vars := &scope{outer, map[string]any{}}
	for name := f.StartAt; ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s := f.States[name]
		x.event(s.Type+"StateEntered", name, nil)
		output, next, err := x.step(ctx, s, name, vars, input)
		if err != nil {
			return nil, err
		}
		x.event(s.Type+"StateExited", name, nil)
		if next == "" {
			return output, nil
		}
		name, input = next, output
	}
}

// step runs one state, and names the next one, or none at the end.
func (x *execution) step(ctx context.Context, s *state, name string, vars *scope, input any) (output any, next string, err error) {
	states := map[string]any{"input": input, "context": x.context}
	output, next, assign := input, s.Next, s.Assign
	result, err := x.act(ctx, s, name, vars, states)
	if err != nil {
		c, caught := s.catch(err)
		if c == nil {
			return nil, "", err
		}
		output = map[string]any{"Error": caught.Name, "Cause": caught.Cause}
		states["errorOutput"] = output
		s, next, assign = &state{Output: c.Output}, c.Next, c.Assign
	}
	if result != nil {
		states["result"], output = result, result
	}
	if s.Type == "Choice" {
		next = s.Default
		for _, c := range s.Choices {
			ok, err := vars.truth(c.Condition, states)
			if err != nil {
				return nil, "", err
			}
			if ok {
				next, assign = c.Next, c.Assign
				break
			}
		}
	}
	// Both see the variables as they were when the state was entered.
	assigned, err := vars.evaluateAll(assign, states)
	if err == nil && s.Output != nil {
		output, err = vars.evaluate(s.Output, states)
	}
	if err != nil {
		return nil, "", err
	}
	for variable, value := range assigned {
		vars.vars[variable] = value
	}
	return output, next, nil
}

// act does what a state is there for, and returns its result; nil for those that have none.
func (x *execution) act(ctx context.Context, s *state, name string, vars *scope, states map[string]any) (any, error) {
	switch s.Type {
	case "Task":
		return x.retrying(ctx, s, func() (any, error) { return x.task(ctx, s, name, vars, states) })
	case "Map":
		return x.retrying(ctx, s, func() (any, error) { return x.each(ctx, s, name, vars, states) })
	case "Wait":
		seconds, err := vars.evaluate(s.Seconds, states)
		if err != nil {
			return nil, err
		}
		n, ok := seconds.(float64)
		if !ok {
			return nil, &Error{"States.QueryEvaluationError", fmt.Sprintf("Seconds is %v", seconds)}
		}
		return nil, x.sleep(ctx, time.Duration(n*float64(time.Second)))
	case "Fail":
		name, err := vars.evaluate(s.Error, states)
		if err != nil {
			return nil, err
		}
		cause, err := vars.evaluate(s.Cause, states)
		if err != nil {
			return nil, err
		}
		return nil, &Error{fmt.Sprint(name), fmt.Sprint(cause)}
	}
	return nil, nil
}

func (x *execution) task(ctx context.Context, s *state, name string, vars *scope, states map[string]any) (any, error) {
	arguments, err := vars.evaluate(s.Arguments, states)
	if err != nil {
		return nil, err
	}
	task := x.Tasks[s.Resource]
	if task == nil {
		return nil, &Error{"States.Runtime", "nothing does " + s.Resource}
	}
	if s.TimeoutSeconds > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(s.TimeoutSeconds*float64(time.Second)))
		defer cancel()
	}
	x.event("TaskScheduled", name, nil)
	x.event("TaskStarted", name, nil)
	result, err := task(ctx, arguments)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = &Error{"States.Timeout", fmt.Sprintf("no answer within %g s", s.TimeoutSeconds)}
	}
	if err != nil {
		x.event("TaskFailed", name, asError(err))
		return nil, err
	}
	x.event("TaskSucceeded", name, nil)
	return result, nil
}

// each runs the item processor for all items at once. The first failure stops the others.
func (x *execution) each(ctx context.Context, s *state, name string, vars *scope, states map[string]any) (any, error) {
	value, err := vars.evaluate(s.Items, states)
	if err != nil {
		return nil, err
	}
	items, ok := value.([]any)
	if !ok {
		return nil, &Error{"States.QueryEvaluationError", fmt.Sprintf("Items is %v", value)}
	}
	x.event("MapStateStarted", name, nil)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outputs, failures := make([]any, len(items)), make(chan error, len(items))
	for i := range items {
		go func() {
			var err error
			x.event("MapIterationStarted", name, nil)
			if outputs[i], err = x.run(ctx, s.ItemProcessor, vars, items[i]); err == nil {
				x.event("MapIterationSucceeded", name, nil)
			}
			failures <- err
		}()
	}
	var failure error
	for range items {
		if err := <-failures; err != nil && failure == nil {
			failure = err
			cancel()
		}
	}
	if failure != nil {
		x.event("MapStateFailed", name, asError(failure))
		return nil, failure
	}
	x.event("MapStateSucceeded", name, nil)
	return outputs, nil
}
