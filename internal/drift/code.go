package drift

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// foreign are variables that the code may read though they are not trackstore's.
var foreign = []string{"AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "CI", "HOME", "NO_COLOR", "PATH", "TMPDIR"}

// checkCode finds names that the programs read from the environment and that are not declared:
// arguments of os.Getenv, os.LookupEnv and functions called getenv, and `env` struct tags.
// Tests, and packages that only tests import, may read what they like.
func checkCode(root fs.FS) ([]Finding, error) {
	var found []Finding
	for _, dir := range []string{"cmd", "functions", "internal", "shared"} {
		err := fs.WalkDir(root, dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := fs.ReadFile(root, path)
			if err != nil {
				return err
			}
			names, err := environmentNames(path, content)
			if err != nil {
				return err
			}
			for _, n := range names {
				if !declared(n.name) && !slices.Contains(foreign, n.name) && !strings.HasPrefix(n.name, "AWS_LAMBDA_") {
					found = append(found, finding(n.position, "reads %s, which is not declared", n.name))
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return found, nil
}

type environmentName struct{ name, position string }

func environmentNames(path string, content []byte) ([]environmentName, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, content, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing"` }) {
		return nil, nil
	}
	var names []environmentName
	add := func(name string, at ast.Node) {
		position := files.Position(at.Pos())
		names = append(names, environmentName{name, fmt.Sprintf("%s:%d", position.Filename, position.Line)})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if readsEnvironment(n.Fun) && len(n.Args) == 1 {
				if name, ok := literal(n.Args[0]); ok {
					add(name, n)
				}
			}
		case *ast.Field:
			if n.Tag != nil {
				tag, _ := literal(n.Tag)
				for name := range strings.SplitSeq(reflect.StructTag(tag).Get("env"), ",") {
					if isName.MatchString(name) {
						add(name, n)
					}
				}
			}
		}
		return true
	})
	return names, nil
}

var isName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// readsEnvironment reports whether a call's function is os.Getenv, os.LookupEnv, or a value
// that the code calls getenv.
func readsEnvironment(f ast.Expr) bool {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name == "getenv"
	case *ast.SelectorExpr:
		return slices.Contains([]string{"Getenv", "LookupEnv", "getenv"}, f.Sel.Name)
	}
	return false
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}
