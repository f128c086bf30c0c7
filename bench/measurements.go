package main

import (
	"context"
	"fmt"
	"time"
)

// measurement produces figures.
type measurement struct {
	name    string
	measure func(context.Context, *bench) ([]Figure, error)
}

// measurements in the order of the table; the budgets are docs/architecture.md's.
var measurements = []measurement{
	{"step", oneStep},
	{"steps", moreSteps},
	{"jobs", moreJobs},
	{"skewed", skewedGraph},
	{"log", hundredMegabytes},
	{"plan", parseAndPlan},
	{"serve", startAndIdle},
	{"reads", reads},
	{"drain", drained},
	{"follow", followed},
	{"metrics", embeddedMetrics},
	{"router", routers},
}

const (
	manySteps = 201
	manyJobs  = 100
)

// oneStep is a run of one trivial step: what a person waits for at least.
func oneStep(ctx context.Context, b *bench) ([]Figure, error) {
	s, err := b.compare(ctx, stepsOf(1), 4*b.repeat)
	if err != nil {
		return nil, err
	}
	f := Figure{Name: "a run of one step", Unit: "ms", Budget: &Budget{Limit: 60, Of: "value"}}
	for name, s := range s {
		f.set(name, milliseconds(s.took()))
	}
	return []Figure{f}, nil
}

// moreSteps is what one more step costs: the difference of many to one, by the number between.
func moreSteps(ctx context.Context, b *bench) ([]Figure, error) {
	f := Figure{Name: "one more step", Unit: "ms", Budget: &Budget{Limit: 1.25, Of: "ratio"}}
	return b.slope(ctx, f, stepsOf, manySteps, "steps")
}

// moreJobs is what one more job costs.
func moreJobs(ctx context.Context, b *bench) ([]Figure, error) {
	f := Figure{Name: "one more job", Unit: "ms", Budget: &Budget{Limit: 2, Of: "ratio"}}
	return b.slope(ctx, f, jobsOf, manyJobs, "jobs")
}

// slope measures a workload of one and of many, and returns what one more costs and what many cost together.
func (b *bench) slope(ctx context.Context, f Figure, of func(int) workload, many int, what string) ([]Figure, error) {
	one, err := b.compare(ctx, of(1), b.repeat)
	if err != nil {
		return nil, err
	}
	all, err := b.compare(ctx, of(many), b.repeat)
	if err != nil {
		return nil, err
	}
	for name := range all {
		f.set(name, milliseconds(all[name].took()-one[name].took())/float64(many-1))
	}
	total := Figure{Name: fmt.Sprintf("a run of %d %s", many, what), Unit: "ms"}
	for name := range all {
		total.set(name, milliseconds(all[name].took()))
	}
	return []Figure{f, total}, nil
}

// skewedGraph is where a ready queue differs from barriers. It takes seconds, so it is measured less often.
func skewedGraph(ctx context.Context, b *bench) ([]Figure, error) {
	s, err := b.compare(ctx, skewed(), max(1, b.repeat/3))
	if err != nil {
		return nil, err
	}
	f := Figure{
		Name: fmt.Sprintf("%d jobs: %d s by barriers, %d s by a ready queue", skewedChains*skewedLevels, skewedLevels*skewedSeconds, skewedLevels*skewedSeconds/2),
		Unit: "s", Budget: &Budget{Limit: 4.2, Of: "value"},
	}
	for name, s := range s {
		f.set(name, s.took().Seconds())
	}
	return []Figure{f}, nil
}

// hundredMegabytes is a noisy step, with secrets to mask, and what it does to memory.
func hundredMegabytes(ctx context.Context, b *bench) ([]Figure, error) {
	s, err := b.compare(ctx, noisy(), b.repeat)
	if err != nil {
		return nil, err
	}
	if got := s["gantry"][0].bytes; got < logBytes {
		return nil, fmt.Errorf("%d bytes came out, of %d", got, logBytes)
	}
	took := Figure{Name: "100 MB of log lines, masked", Unit: "s", Budget: &Budget{Limit: 1, Of: "value"}}
	peak := Figure{Name: "its peak of memory", Unit: "MB"}
	for name, s := range s {
		took.set(name, s.took().Seconds())
		if name != "floor" && s.peak() > 0 {
			peak.set(name, float64(s.peak())/1e6)
		}
	}
	return []Figure{took, peak}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
