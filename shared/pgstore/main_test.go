package pgstore_test

import (
	"testing"

	"trackstore/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
