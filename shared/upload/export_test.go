package upload

import (
	"maps"
	"slices"
)

// Codes lists all codes.
func Codes() []Code { return slices.Collect(maps.Keys(statuses)) }
