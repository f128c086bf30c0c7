package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// checkMatrix refuses names of --matrix that no matrix has: all legs would run, which is not what was meant. Where a matrix
// is known only during the run, any name may be one of it.
func (c *chosen) checkMatrix() error {
	if len(c.matrix) == 0 {
		return nil
	}
	known := map[string]bool{}
	for i := range c.started {
		st := &c.started[i]
		for _, j := range pipeline.Wanted(st.pipeline, st.jobs) {
			if j.Strategy == nil || j.Strategy.Matrix == nil {
				continue
			}
			scope := c.scope(st)
			scope.Planning = true
			scope.Job = &pipeline.JobScope{Key: j.Key, ID: j.Key, File: st.pipeline.File}
			legs, err := j.Strategy.Matrix.Expand(scope)
			if err != nil {
				return nil // the run, or the plan, says what is wrong
			}
			for _, l := range legs {
				for _, k := range l.Values.Keys() {
					known[strings.ToLower(k)] = true
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.matrix)) {
		if known[strings.ToLower(name)] {
			continue
		}
		if len(known) == 0 {
			return usagef("--matrix: no job has a matrix")
		}
		return usagef("--matrix: no matrix has the name %q, there are: %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	return nil
}
