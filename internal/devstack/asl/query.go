package asl

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	jsonata "github.com/blues/jsonata-go"
)

// scope holds the variables of a flow. What an inner flow assigns, the outer one does not see.
type scope struct {
	outer *scope
	vars  map[string]any
}

// visible returns every variable that an expression may name.
func (s *scope) visible() map[string]any {
	if s == nil {
		return map[string]any{}
	}
	all := s.outer.visible()
	maps.Copy(all, s.vars)
	return all
}

// evaluate fills in a template: a string "{% … %}" becomes the value of the expression in it, wherever it stands in
// arrays and objects; all else stays as it is. States is what the expressions find in $states.
func (s *scope) evaluate(template any, states map[string]any) (any, error) {
	switch t := template.(type) {
	case string:
		expression, isQuery := strings.CutPrefix(t, "{%")
		if !isQuery {
			return t, nil
		}
		return s.query(strings.TrimSuffix(expression, "%}"), states)
	case []any:
		filled := make([]any, len(t))
		for i := range t {
			var err error
			if filled[i], err = s.evaluate(t[i], states); err != nil {
				return nil, err
			}
		}
		return filled, nil
	case map[string]any:
		return s.evaluateAll(t, states)
	}
	return template, nil
}

func (s *scope) evaluateAll(templates, states map[string]any) (map[string]any, error) {
	filled := make(map[string]any, len(templates))
	for name := range templates {
		var err error
		if filled[name], err = s.evaluate(templates[name], states); err != nil {
			return nil, err
		}
	}
	return filled, nil
}

// evaluating guards the library's functions, which are shared and written to during an evaluation.
var evaluating sync.Mutex

// query evaluates one expression. One without a result is an error, as it is on Step Functions.
func (s *scope) query(expression string, states map[string]any) (any, error) {
	failed := func(err error) error {
		return &Error{"States.QueryEvaluationError", fmt.Sprintf("%s: %v", strings.TrimSpace(expression), err)}
	}
	evaluating.Lock()
	defer evaluating.Unlock()
	e, err := jsonata.Compile(expression)
	if err != nil {
		return nil, failed(err)
	}
	vars := s.visible()
	vars["states"] = states
	if err := e.RegisterVars(vars); err != nil {
		return nil, failed(err)
	}
	value, err := e.Eval(nil)
	if err != nil {
		return nil, failed(err)
	}
	return value, nil
}

// truth evaluates the condition of a choice.
func (s *scope) truth(condition string, states map[string]any) (bool, error) {
	value, err := s.evaluate(condition, states)
	if err != nil {
		return false, err
	}
	truth, ok := value.(bool)
	if !ok {
		return false, &Error{"States.QueryEvaluationError", condition + " is neither true nor false"}
	}
	return truth, nil
}

// asError gives every failure a name that Retry and Catch can match.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{"States.TaskFailed", err.Error()}
}
