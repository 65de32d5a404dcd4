package pgstore_test

import (
	"testing"

	"trackstore/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
