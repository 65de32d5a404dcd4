// Package asl runs definitions in the Amazon States Language, so that the local stack and the tests run the state machine
// that is deployed, and not a copy of what it does.
//
// It knows the part of the language that trackstore uses, with JSONata as the query language, and refuses a definition
// that needs more: Pass, Task, Choice, Wait, Map (inline), Succeed and Fail; Assign, Output and Arguments; Retry and Catch.
package asl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Machine is a parsed definition. It holds no state of its executions and may run several at once.
type Machine struct{ flow flow }

// flow is a state machine, or what a Map state runs for each item.
type flow struct {
	Comment         string
	QueryLanguage   string
	ProcessorConfig struct{ Mode string }
	StartAt         string
	States          map[string]*state
}

type state struct {
	Type, Comment string
	Next          string
	End           bool
	Assign        map[string]any
	Output        any
	Retry         []retrier
	Catch         []catcher

	Resource       string // of a Task
	Arguments      any
	TimeoutSeconds float64

	Choices []choice
	Default string

	Seconds any // of a Wait

	Items         any // of a Map
	ItemProcessor *flow

	Error any // of a Fail
	Cause any // of a Fail
}

type choice struct {
	Condition string
	Assign    map[string]any
	Next      string
}

// Parse reads a definition and replaces each ${Name} in it, as DefinitionSubstitutions do. Values that are put into
// strings must not need escaping.
func Parse(definition []byte, substitutions map[string]string) (*Machine, error) {
	for name, value := range substitutions {
		definition = bytes.ReplaceAll(definition, []byte("${"+name+"}"), []byte(value))
	}
	if at := bytes.Index(definition, []byte("${")); at >= 0 {
		return nil, fmt.Errorf("no value for %.40s", definition[at:])
	}
	d := json.NewDecoder(bytes.NewReader(definition))
	d.DisallowUnknownFields()
	m := &Machine{}
	if err := d.Decode(&m.flow); err != nil {
		return nil, err
	}
	if m.flow.QueryLanguage != "JSONata" {
		return nil, fmt.Errorf("the query language %q is not supported", m.flow.QueryLanguage)
	}
	return m, m.flow.check(nil)
}

// check finds what would fail at run time, or here behave other than on Step Functions. Outer are the names of the
// variables of the flows around this one, which it may read and not assign.
func (f *flow) check(outer []string) error {
	if mode := f.ProcessorConfig.Mode; mode != "" && mode != "INLINE" {
		return fmt.Errorf("the mode %s of a Map state is not supported", mode)
	}
	if f.States[f.StartAt] == nil {
		return fmt.Errorf("StartAt names the state %q, which is not there", f.StartAt)
	}
	assigned := slices.Clone(outer)
	for _, s := range f.States {
		for name := range s.assignments() {
			if slices.Contains(outer, name) {
				return fmt.Errorf("$%s belongs to the flow around the one that assigns it", name)
			}
			assigned = append(assigned, name)
		}
	}
	for name, s := range f.States {
		if err := s.check(f); err != nil {
			return fmt.Errorf("state %q: %w", name, err)
		}
		if s.ItemProcessor != nil {
			if err := s.ItemProcessor.check(assigned); err != nil {
				return fmt.Errorf("state %q: %w", name, err)
			}
		}
	}
	return nil
}

func (s *state) check(f *flow) error {
	targets := []string{}
	switch s.Type {
	case "Pass", "Task", "Wait", "Map":
		if !s.End {
			targets = append(targets, s.Next)
		}
	case "Choice":
		targets = append(targets, s.Default)
	case "Succeed":
	case "Fail":
		if s.Error == nil || s.Cause == nil {
			return errors.New("a Fail state needs Error and Cause")
		}
	default:
		return fmt.Errorf("the type %s is not supported", s.Type)
	}
	for _, c := range s.Choices {
		targets = append(targets, c.Next)
	}
	for _, c := range s.Catch {
		targets = append(targets, c.Next)
	}
	for _, target := range targets {
		if f.States[target] == nil {
			return fmt.Errorf("goes on to the state %q, which is not there", target)
		}
	}
	if (s.Type == "Map") != (s.ItemProcessor != nil) {
		return errors.New("a Map state has an ItemProcessor, and no other")
	}
	return nil
}

// assignments yields every assignment of a state, those of its choices and catchers included.
func (s *state) assignments() map[string]any {
	all := maps.Clone(s.Assign)
	if all == nil {
		all = map[string]any{}
	}
	for _, c := range s.Choices {
		maps.Copy(all, c.Assign)
	}
	for _, c := range s.Catch {
		maps.Copy(all, c.Assign)
	}
	return all
}

// Error is how an execution, or a task, fails.
type Error struct {
	Name  string // such as States.Timeout
	Cause string // for people; may be empty
}

// Error gives both.
func (e *Error) Error() string { return strings.TrimSuffix(e.Name+": "+e.Cause, ": ") }
