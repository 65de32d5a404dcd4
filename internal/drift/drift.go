// Package drift compares what is written about the environment variables, and what uses
// them, with their declaration in package config: docs/ENV_VARIABLES.md, .env.template,
// template.yaml and the Go code. The build fails on any difference.
package drift

import (
	"fmt"
	"io/fs"
	"slices"

	"trackstore/shared/config"
)

// Finding is one disagreement with the declaration.
type Finding struct {
	File   string // relative to the project's root, with the line where that helps
	Detail string
}

func (f Finding) String() string { return f.File + ": " + f.Detail }

// The generated files.
const (
	DocsFile        = "docs/ENV_VARIABLES.md"
	EnvTemplateFile = ".env.template"
)

// Check returns every finding in the project at root. The error is one of reading it.
func Check(root fs.FS) ([]Finding, error) {
	var all []Finding
	for _, check := range []func(fs.FS) ([]Finding, error){checkGenerated, checkTemplate, checkCode} {
		found, err := check(root)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// declared reports whether name is a variable of trackstore's.
func declared(name string) bool {
	return slices.ContainsFunc(config.Variables(), func(v config.Variable) bool { return v.Name == name })
}

func finding(file, format string, args ...any) Finding {
	return Finding{file, fmt.Sprintf(format, args...)}
}
