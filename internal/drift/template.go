package drift

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"trackstore/shared/config"
)

const templateFile = "template.yaml"

// samTemplate is the part of a SAM template that hands variables to functions. Only the
// names count, so that intrinsic functions as values do not matter.
type samTemplate struct {
	Globals struct {
		Function functionProperties `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]struct {
		Type       string    `yaml:"Type"`
		Properties yaml.Node `yaml:"Properties"`
	} `yaml:"Resources"`
}

type functionProperties struct {
	Environment struct {
		Variables map[string]yaml.Node `yaml:"Variables"`
	} `yaml:"Environment"`
}

// checkTemplate finds variables that a function reads and is not given, and variables
// that a function is given and does not read. A project without a template has none.
func checkTemplate(root fs.FS) ([]Finding, error) {
	content, err := fs.ReadFile(root, templateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var t samTemplate
	if err := yaml.Unmarshal(content, &t); err != nil {
		return nil, fmt.Errorf("%s: %w", templateFile, err)
	}

	var found []Finding
	given := map[string]bool{} // by Globals, to some function that reads it
	for _, p := range config.Programs() {
		if strings.HasPrefix(p.Name, "trackstore ") {
			continue
		}
		id := logicalID(p.Name)
		resource, ok := t.Resources[id]
		if !ok || resource.Type != "AWS::Serverless::Function" {
			found = append(found, finding(templateFile, "has no function %s", id))
			continue
		}
		var function functionProperties
		if err := resource.Properties.Decode(&function); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", templateFile, id, err)
		}
		own, global := function.Environment.Variables, t.Globals.Function.Environment.Variables
		for _, name := range p.Variables {
			_, isOwn := own[name]
			_, isGlobal := global[name]
			given[name] = given[name] || isGlobal
			if !isOwn && !isGlobal && !fromLambda(name) {
				found = append(found, finding(templateFile, "%s reads %s and is not given it", id, name))
			}
		}
		for _, name := range sortedKeys(own) {
			if !reads(p, name) {
				found = append(found, finding(templateFile, "%s is given %s and does not read it", id, name))
			}
		}
		for _, v := range config.Variables() {
			if _, isGlobal := global[v.Name]; isGlobal && v.Secret() && !reads(p, v.Name) {
				found = append(found, finding(templateFile, "Globals gives the secret %s to %s, which does not read it", v.Name, id))
			}
		}
	}
	for _, name := range sortedKeys(t.Globals.Function.Environment.Variables) {
		if !given[name] {
			found = append(found, finding(templateFile, "Globals gives %s, which no function reads", name))
		}
	}
	return found, nil
}

// fromLambda names what Lambda sets itself, and allows nobody else to set.
func fromLambda(name string) bool { return name == "AWS_REGION" }

// logicalID turns presign-upload into PresignUploadFunction.
func logicalID(program string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(program, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String() + "Function"
}

func reads(p config.Program, name string) bool { return slices.Contains(p.Variables, name) }

func sortedKeys(m map[string]yaml.Node) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
