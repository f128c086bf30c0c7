package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline/githubactions"
)

// TestWorkloadsAreWorkflows holds the generated files to the parser that is measured: a file that is refused costs nothing.
func TestWorkloadsAreWorkflows(t *testing.T) {
	tests := []struct {
		name, workflow string
		jobs, steps    int // steps of the first job
	}{
		{"one step", stepsOf(1).workflow, 1, 1},
		{"many steps", stepsOf(manySteps).workflow, 1, manySteps},
		{"many jobs", jobsOf(manyJobs).workflow, manyJobs, 1},
		{"skewed", skewed().workflow, skewedChains * skewedLevels, 1},
		{"log", noisy().workflow, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, diags := githubactions.Parse("bench.yml", []byte(tt.workflow), githubactions.Options{})
			if err := diags.Err(); err != nil {
				t.Fatal(err)
			}
			if len(p.Jobs) != tt.jobs || len(p.Jobs[0].Steps) != tt.steps {
				t.Errorf("%d jobs, %d steps in the first; want %d, %d", len(p.Jobs), len(p.Jobs[0].Steps), tt.jobs, tt.steps)
			}
		})
	}
	t.Run("long", func(t *testing.T) {
		w := longWorkflow(planLines)
		if n := strings.Count(w, "\n"); n < planLines || n > planLines+50 {
			t.Errorf("%d lines, want about %d", n, planLines)
		}
		_, diags := githubactions.Parse("bench.yml", []byte(w), githubactions.Options{})
		if err := diags.Err(); err != nil {
			t.Error(err)
		}
	})
}

// TestFloorDoesTheWork runs the floor of the quick workloads: a script that fails early would be a fast floor.
func TestFloorDoesTheWork(t *testing.T) {
	for _, w := range []workload{stepsOf(3), jobsOf(3)} {
		t.Run(w.name, func(t *testing.T) {
			dir := t.TempDir()
			w.files["step.sh"] = "echo done >> " + filepath.Join(dir, "count") + "\n"
			if err := w.setUp(dir); err != nil {
				t.Fatal(err)
			}
			s, err := measure(t.Context(), floor().command(w, dir), nil)
			if err != nil {
				t.Fatal(err)
			}
			if s.took <= 0 {
				t.Error("it took no time")
			}
			out, err := exec.Command("cat", filepath.Join(dir, "count")).Output()
			if got := strings.Count(string(out), "done"); err != nil || got != 3 {
				t.Errorf("%d shells ran, want 3 (%v)", got, err)
			}
		})
	}
}
