package main

import (
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// pairs reads the values of a repeated flag of the form name=value into m; a later one wins.
func pairs(m *pipeline.Map, flag string, values []string) (*pipeline.Map, error) {
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usagef("--%s %q: expected name=value", flag, v)
		}
		m.Set(name, value)
	}
	return m, nil
}
