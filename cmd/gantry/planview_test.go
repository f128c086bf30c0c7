package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
)

func TestPlanText(t *testing.T) {
	legs := []planJob{{ID: "build", JobID: "build", Name: "Build it", Will: pipeline.Runs, RunsOn: []string{"ubuntu-latest"}, Steps: []planStep{
		{Name: "Compile", Will: pipeline.Runs},
		{Name: "Stages", Will: pipeline.Runs, Steps: []planStep{{Name: "inner", Will: pipeline.Depends, Reason: "depends on results: x"}}},
		{Name: "Upload", Will: pipeline.WillSkip, Reason: "its condition is false"},
	}}}
	var needs []string
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		legs = append(legs, planJob{ID: "test (" + n + ")", JobID: "test", Name: "test (" + n + ")", Will: pipeline.Runs, Needs: []string{"build"}})
		needs = append(needs, "test ("+n+")")
	}
	jobs := append(legs,
		planJob{ID: "call", JobID: "call", Name: "call", Will: pipeline.Runs, Calls: "./x.yml", Needs: append(needs, "build"), Jobs: []planJob{
			{ID: "call / in", JobID: "in", Name: "call / in", Will: pipeline.Fails, Reason: "boom", Image: "debian:12"},
		}},
		planJob{ID: "deploy", JobID: "deploy", Name: "deploy", Will: pipeline.WillSkip, Reason: "it is not the branch", Environment: "production", Needs: []string{"test (1)", "call"}},
	)
	v := planView{
		Workflows:  []planWorkflow{{File: "ci.yml", Name: "CI", Event: "push", Ref: "refs/heads/main", Jobs: jobs}},
		NotStarted: []notStarted{{File: "n.yml", Name: "Nightly", Reason: "event is 'push'"}},
	}
	const want = `CI  ci.yml  push of refs/heads/main
├─ Build it  [ubuntu-latest]
│  ├─ Compile
│  ├─ Stages
│  │  └─ ? inner  depends on results: x
│  └─ – Upload  skipped: its condition is false
├─ test (1)  after Build it
├─ test (2)  after Build it
├─ test (3)  after Build it
├─ test (4)  after Build it
├─ test (5)  after Build it
├─ call  calls ./x.yml  after test (5 legs), Build it
│  └─ ✗ call / in  in debian:12  fails: boom
└─ – deploy  deploys to production  after test (1), call  skipped: it is not the branch

not started:
– Nightly  n.yml
    event is 'push'
`
	var plain, color bytes.Buffer
	if err := v.writeText(&plain, false); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, plain.String()); d != "" {
		t.Error(d)
	}
	if err := v.writeText(&color, true); err != nil || !strings.Contains(color.String(), "\x1b[1mCI\x1b[0m") {
		t.Errorf("no colour: %v", err)
	}
}
