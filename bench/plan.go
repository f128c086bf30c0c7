package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
)

// planLines is the length of the workflow that is read and planned.
const planLines = 400

// parseAndPlan reads and plans a long workflow inside this process, without any start-up. It is quick, so it is measured
// often; the first time counts as little as elsewhere.
func parseAndPlan(ctx context.Context, b *bench) ([]Figure, error) {
	content := []byte(longWorkflow(planLines))
	var all []time.Duration
	for range 20*b.repeat + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		p, diags := githubactions.Parse(".github/workflows/bench.yml", content, githubactions.Options{})
		if err := diags.Err(); err != nil {
			return nil, err
		}
		plan := pipeline.NewPlan(p, planScope(), nil, nil)
		all = append(all, time.Since(start))
		if len(plan.Jobs) == 0 {
			return nil, fmt.Errorf("the plan is empty")
		}
	}
	f := Figure{Name: fmt.Sprintf("parse and plan of %d lines, in-process", planLines), Unit: "ms", Budget: &Budget{Limit: 10, Of: "value"}}
	f.set("gantry", milliseconds(median(all[1:], func(d time.Duration) time.Duration { return d })))
	return []Figure{f}, nil
}

// planScope is a push to main.
func planScope() *pipeline.Scope {
	return &pipeline.Scope{Run: &pipeline.Run{
		ID: "bench", Number: 1, Attempt: 1, Pipeline: "bench", File: ".github/workflows/bench.yml",
		Event:      pipeline.Event{Name: "push", Payload: pipeline.NewMap()},
		Repository: pipeline.Repository{Owner: "bench", Name: "bench", Server: "https://example.com", DefaultBranch: "main"},
		Change:     pipeline.Change{SHA: "0000000000000000000000000000000000000001", Ref: "refs/heads/main"},
	}}
}
