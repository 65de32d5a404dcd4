// Package docs_test checks that the documents say what is so. It works in the root of the project.
package docs_test

import (
	"os"
	"testing"

	"trackstore/internal/testenv"
)

func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	testenv.Main(m)
}
