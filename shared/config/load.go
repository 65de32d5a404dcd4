package config

import (
	"fmt"
	"net/url"
	"slices"
)

// Load reads and validates what the program T uses, through getenv (os.Getenv in mains).
// An empty variable counts as unset. The error is an *Error with every problem at once;
// faults that only production refuses are in Base.Warnings elsewhere.
func Load[T any, P loadable[T]](getenv func(string) string) (T, error) {
	var cfg T
	l := &loader{getenv: getenv}
	P(&cfg).load(l)
	if b, ok := any(&cfg).(interface{ warn([]Problem) }); ok {
		b.warn(l.warnings)
	}
	if len(l.problems) > 0 {
		return cfg, &Error{l.problems}
	}
	return cfg, nil
}

// loadable is a pointer to a program's struct.
type loadable[T any] interface {
	*T
	load(*loader)
}

func (b *Base) warn(ps []Problem) { b.Warnings = ps }

// Program is something that reads variables.
type Program struct {
	Name      string
	Variables []string // their names, in the order of reading
	// Check validates the environment for this program.
	Check func(getenv func(string) string) (problems, warnings []Problem)
}

// Programs lists what each program reads. The lists are not kept by hand: every program's
// struct is loaded once from an empty environment, and what it asks for is noted.
func Programs() []Program {
	return []Program{
		program[PresignUpload]("presign-upload"),
		program[ObjectCreated]("object-created"),
		program[MigrateBatch]("migrate-batch"),
		program[SweepUploads]("sweep-uploads"),
		program[DeliverEvents]("deliver-events"),
		program[MigrateSchema]("migrate-schema"),
		program[Command]("trackstore migrate-storage"),
		program[Dev]("trackstore dev"),
		program[Client]("trackstore upload"),
	}
}

func program[T any, P loadable[T]](name string) Program {
	check := func(getenv func(string) string) (problems, warnings []Problem) {
		var cfg T
		l := &loader{getenv: getenv}
		P(&cfg).load(l)
		return l.problems, l.warnings
	}
	p := Program{Name: name, Check: check}
	_, _ = check(func(name string) string { // its problems do not matter here
		if !slices.Contains(p.Variables, name) {
			p.Variables = append(p.Variables, name)
		}
		return ""
	})
	return p
}

// loader reads variables and collects what is wrong with them.
type loader struct {
	getenv   func(string) string
	strict   bool // whether faults that warn elsewhere are problems; see base
	problems []Problem
	warnings []Problem
}

// get reads one variable. Where its value cannot be read, that is a problem, and get
// goes on with the default, so that one fault is not reported as several.
func get[T any](l *loader, name string) T {
	v := variable(name)
	var none T
	for _, text := range []string{l.getenv(name), v.Default} {
		if text == "" {
			continue
		}
		value, err := v.Type.parse(text)
		if err != nil {
			l.fail(name, err.Error(), "write it like "+v.example())
			continue
		}
		return value.(T)
	}
	return none
}

// fail reports a fault that no environment tolerates.
func (l *loader) fail(name, detail, hint string) {
	l.problems = append(l.problems, l.problem(name, detail, hint))
}

// distrust reports a fault that production refuses and other environments warn about.
func (l *loader) distrust(name, detail, hint string) {
	if l.strict {
		l.fail(name, detail, hint)
		return
	}
	l.warn(name, detail, hint)
}

// warn reports what is suspicious everywhere and refused nowhere.
func (l *loader) warn(name, detail, hint string) {
	l.warnings = append(l.warnings, l.problem(name, detail, hint))
}

func (l *loader) problem(name, detail, hint string) Problem {
	v := variable(name)
	return Problem{Variable: name, Value: v.shown(l.getenv(name)), Rule: v.Rule, Detail: detail, Hint: hint}
}

// shown is what an error may show of a value: nothing of a secret, no password of a URL,
// and not all of a long one.
func (v Variable) shown(value string) string {
	if v.Type.secret {
		return ""
	}
	if v.Type.name == link.name {
		u, err := url.Parse(value)
		if err != nil {
			return ""
		}
		value = u.Redacted()
	}
	const most = 100
	if len(value) > most {
		return value[:most] + "…"
	}
	return value
}

// variable finds a declaration.
func variable(name string) Variable {
	for _, v := range variables {
		if v.Name == name {
			return v
		}
	}
	panic(fmt.Sprintf("config: %s is not declared in variables", name))
}
