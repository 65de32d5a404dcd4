package config

import (
	"fmt"
	"log/slog"
	"strings"
)

// Problem is one fault of the configuration.
type Problem struct {
	Variable string // its name
	Value    string // as it was given; "" if it was unset or is not to be shown
	Rule     int    // the validation rule in docs/ENV_VARIABLES.md
	Detail   string // what is wrong, as a predicate: "is not set"
	Hint     string // what to do about it; may be empty
}

// Error says it all in one line.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Variable)
	if p.Value != "" {
		fmt.Fprintf(&b, "=%q", p.Value)
	}
	fmt.Fprintf(&b, " %s (rule %d)", p.Detail, p.Rule)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// LogValue gives logs the parts one by one.
func (p Problem) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("variable", p.Variable),
		slog.String("value", p.Value),
		slog.Int("rule", p.Rule),
		slog.String("detail", p.Detail),
		slog.String("hint", p.Hint),
	)
}

// Error holds every problem of a configuration. errors.As finds an *Error, or the first Problem.
type Error struct{ Problems []Problem }

// Error lists the problems, a line each.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("the configuration is not valid:")
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.Error())
	}
	return b.String()
}

// Unwrap gives errors.As each problem.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}
