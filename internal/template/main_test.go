package template_test

import (
	"os"
	"testing"

	"trackstore/internal/testenv"
)

func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	testenv.Main(m)
}
