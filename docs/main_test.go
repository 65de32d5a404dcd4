// Package docs_test checks that the documents say what is so. It works in the root of the project.
package docs_test

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
