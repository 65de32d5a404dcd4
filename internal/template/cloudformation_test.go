package template_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"trackstore/internal/testenv"
)

// stack is a template after the SAM transform and with every intrinsic function evaluated, as CloudFormation would do
// it for some parameters. What only a deployment knows stands in angle brackets: <TracksBucket>, <TracksBucket.Arn>.
type stack struct {
	document   map[string]any
	parameters map[string]any // a string or, of lists, a []any
}

// transform runs the SAM transform on template.yaml.
func transform(t testing.TB, parameters map[string]string) *stack {
	t.Helper()
	const python = "bin/venv/bin/python"
	if _, err := os.Stat(python); err != nil {
		testenv.Skip(t, "SAM is not installed here: run make template")
	}
	args := []string{"tools/sam-transform"}
	for name, value := range parameters {
		args = append(args, name+"="+value)
	}
	command := exec.Command(python, args...)
	out, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		t.Fatalf("sam-transform: %v\n%s", err, exit.Stderr)
	}
	s := &stack{parameters: map[string]any{}}
	decoder := json.NewDecoder(bytes.NewReader(out))
	decoder.UseNumber()
	if err := decoder.Decode(&s.document); err != nil {
		t.Fatal(err)
	}
	for name, declaration := range s.section("Parameters") {
		d := declaration.(map[string]any)
		value, given := parameters[name]
		if !given {
			value = fmt.Sprint(d["Default"])
		}
		s.parameters[name] = value
		if d["Type"] == "CommaDelimitedList" {
			list := []any{}
			for item := range strings.SplitSeq(value, ",") {
				list = append(list, item)
			}
			s.parameters[name] = list
		}
	}
	return s
}

func (s *stack) section(name string) map[string]any {
	section, _ := s.document[name].(map[string]any)
	return section
}

// refusals lists why CloudFormation would not even begin: parameters outside of what is allowed, and rules that fail.
func (s *stack) refusals() []string {
	var found []string
	for name, declaration := range s.section("Parameters") {
		d := declaration.(map[string]any)
		values, isList := s.parameters[name].([]any)
		if !isList {
			values = []any{s.parameters[name]}
		}
		for _, value := range values {
			if problem := refuse(d, value.(string)); problem != "" {
				found = append(found, name+" "+problem)
			}
		}
	}
	for _, rule := range s.section("Rules") {
		r := rule.(map[string]any)
		if condition, has := r["RuleCondition"]; has && s.resolve(condition) != true {
			continue
		}
		for _, assertion := range r["Assertions"].([]any) {
			a := assertion.(map[string]any)
			if s.resolve(a["Assert"]) != true {
				found = append(found, a["AssertDescription"].(string))
			}
		}
	}
	slices.Sort(found)
	return found
}

func refuse(declaration map[string]any, value string) string {
	if allowed, has := declaration["AllowedValues"].([]any); has &&
		!slices.ContainsFunc(allowed, func(a any) bool { return fmt.Sprint(a) == value }) {
		return "is not allowed"
	}
	if pattern, has := declaration["AllowedPattern"].(string); has && !regexp.MustCompile("^(?:"+pattern+")$").MatchString(value) {
		return "does not match"
	}
	if declaration["Type"] == "Number" {
		number, err := json.Number(value).Float64()
		if err != nil {
			return "is no number"
		}
		if least, has := declaration["MinValue"].(json.Number); has {
			if n, _ := least.Float64(); number < n {
				return "is too small"
			}
		}
		if most, has := declaration["MaxValue"].(json.Number); has {
			if n, _ := most.Float64(); number > n {
				return "is too large"
			}
		}
	}
	return ""
}

// noValue stands for AWS::NoValue: what has it is left out.
type noValue struct{}

var pseudoParameters = map[string]any{
	"AWS::NoValue": noValue{}, "AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws",
	"AWS::StackName": "stack", "AWS::URLSuffix": "amazonaws.com",
}

// resolve evaluates the intrinsic functions in v.
func (s *stack) resolve(v any) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for _, item := range v {
			if item = s.resolve(item); item != (noValue{}) {
				list = append(list, item)
			}
		}
		return list
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if name == "Ref" || name == "Condition" && isString(argument) || strings.HasPrefix(name, "Fn::") {
					return s.call(strings.TrimPrefix(name, "Fn::"), argument)
				}
			}
		}
		object := map[string]any{}
		for name, value := range v {
			if value = s.resolve(value); value != (noValue{}) {
				object[name] = value
			}
		}
		return object
	}
	return v
}

func isString(v any) bool { _, is := v.(string); return is }

// call evaluates one intrinsic function.
func (s *stack) call(function string, argument any) any {
	arguments, _ := argument.([]any)
	truth := func(v any) bool { return s.resolve(v) == true }
	text := func(v any) string { return fmt.Sprint(s.resolve(v)) }
	switch function {
	case "Ref":
		return s.reference(argument.(string))
	case "GetAtt":
		if len(arguments) == 0 {
			return "<" + argument.(string) + ">"
		}
		return fmt.Sprintf("<%v.%v>", arguments...)
	case "Sub":
		extra := map[string]any{}
		pattern, plain := argument.(string)
		if !plain {
			pattern, extra = arguments[0].(string), arguments[1].(map[string]any)
		}
		return regexp.MustCompile(`\$\{[^}]+\}`).ReplaceAllStringFunc(pattern, func(match string) string {
			name := match[2 : len(match)-1]
			if value, has := extra[name]; has {
				return text(value)
			}
			if strings.Contains(name, ".") {
				return "<" + name + ">"
			}
			return fmt.Sprint(s.reference(name))
		})
	case "If":
		if s.condition(arguments[0].(string)) {
			return s.resolve(arguments[1])
		}
		return s.resolve(arguments[2])
	case "Join":
		items := []string{}
		for _, item := range s.resolve(arguments[1]).([]any) {
			items = append(items, fmt.Sprint(item))
		}
		return strings.Join(items, arguments[0].(string))
	case "Split":
		list := []any{}
		for item := range strings.SplitSeq(text(arguments[1]), arguments[0].(string)) {
			list = append(list, item)
		}
		return list
	case "Equals":
		return text(arguments[0]) == text(arguments[1])
	case "Not":
		return !truth(arguments[0])
	case "And":
		return !slices.ContainsFunc(arguments, func(a any) bool { return !truth(a) })
	case "Or":
		return slices.ContainsFunc(arguments, truth)
	case "EachMemberIn":
		allowed := s.resolve(arguments[1]).([]any)
		return !slices.ContainsFunc(s.resolve(arguments[0]).([]any), func(a any) bool { return !slices.Contains(allowed, a) })
	case "Condition":
		return s.condition(argument.(string))
	}
	panic("the intrinsic function " + function + " is not known to this test")
}

func (s *stack) reference(name string) any {
	if value, has := pseudoParameters[name]; has {
		return value
	}
	if value, has := s.parameters[name]; has {
		return value
	}
	if s.section("Resources")[name] == nil {
		panic("there is nothing called " + name)
	}
	return "<" + name + ">"
}

func (s *stack) condition(name string) bool {
	condition, has := s.section("Conditions")[name]
	if !has {
		panic("there is no condition " + name)
	}
	return s.resolve(condition) == true
}

// resource returns a resource's properties, evaluated, after checking its type.
func (s *stack) resource(t testing.TB, id, kind string) object {
	t.Helper()
	r, has := s.section("Resources")[id].(map[string]any)
	if !has || r["Type"] != kind {
		t.Fatalf("%s is not there, or no %s", id, kind)
	}
	return object{t, id, s.resolve(r["Properties"])}
}

// exists tells whether the resource's condition holds, if it has one.
func (s *stack) exists(id string) bool {
	condition, has := s.section("Resources")[id].(map[string]any)["Condition"].(string)
	return !has || s.condition(condition)
}

// ids lists the resources of a type, those among them that do not exist for these parameters, too.
func (s *stack) ids(kind string) []string {
	var found []string
	for id, r := range s.section("Resources") {
		if r.(map[string]any)["Type"] == kind {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return found
}

// object is a place in an evaluated template.
type object struct {
	t     testing.TB
	path  string
	value any
}

// at goes down a path of names and numbers between dots.
func (o object) at(path string) object {
	for name := range strings.SplitSeq(path, ".") {
		var next any
		switch v := o.value.(type) {
		case map[string]any:
			next = v[name]
		case []any:
			if i, err := strconv.Atoi(name); err == nil && i < len(v) {
				next = v[i]
			}
		}
		o = object{o.t, o.path + "." + name, next}
	}
	return o
}

// is checks the value, by how it prints.
func (o object) is(want any) {
	o.t.Helper()
	if got := fmt.Sprint(o.value); got != fmt.Sprint(want) {
		o.t.Errorf("%s is %s, not %v", o.path, got, want)
	}
}

func (o object) string() string { return fmt.Sprint(o.value) }

func (o object) number() float64 {
	o.t.Helper()
	n, err := strconv.ParseFloat(fmt.Sprint(o.value), 64)
	if err != nil {
		o.t.Errorf("%s is %v, no number", o.path, o.value)
	}
	return n
}

// items returns the members of a list; of anything else, itself alone; of nothing, nothing.
func (o object) items() []object {
	if o.value == nil {
		return nil
	}
	list, isList := o.value.([]any)
	if !isList {
		return []object{o}
	}
	items := make([]object, len(list))
	for i := range list {
		items[i] = o.at(strconv.Itoa(i))
	}
	return items
}

func (o object) strings() []string {
	var all []string
	for _, item := range o.items() {
		all = append(all, item.string())
	}
	slices.Sort(all)
	return all
}
