package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/gantry-ops/gantry/release/analysis"
)

// level is the rate of false alarms that is accepted over a release.
const level = 0.01

// watchLevel and stepLevel are its parts, for a release of one step.
var watchLevel, stepLevel = analysis.Split(level, 1)

// score is how many releases failed, by judge.
type score struct {
	runs                                                int
	watch, judge, ours, same, whitney, peeking, kayenta int
	// delays and peekDelays are the seconds from the first bad response to the failure, of the releases in which it came.
	delays, peekDelays []float64
}

func (s *score) share(n int) string { return fmt.Sprintf("%.4g %%", 100*float64(n)/float64(s.runs)) }

// after is a quantile of the delays, of all releases; those that never failed are the longest.
func (s *score) after(delays []float64, q float64) string {
	d := s.delay(delays, q)
	if math.IsInf(d, 1) {
		return "never"
	}
	return fmt.Sprintf("%.1f s", d)
}

func (s *score) delay(delays []float64, q float64) float64 {
	i := int(math.Ceil(q*float64(s.runs))) - 1
	if i >= len(delays) {
		return math.Inf(1)
	}
	return slices.Sorted(slices.Values(delays))[max(i, 0)]
}

// config of a world's metrics.
func (w *world) config(level float64) analysis.Config {
	c := analysis.Config{Level: level, Metrics: []analysis.Metric{
		{Name: "errors", Kind: analysis.Errors, Floor: 0.01, Samples: 50, Level: 0.01},
	}}
	if w.sigma > 0 {
		c.Metrics = append(c.Metrics, analysis.Metric{Name: "latency", Kind: analysis.Latency, Floor: 0.2, AtLeast: 0.001, Samples: 50, Level: 0.01})
	} else {
		// Judged in every release, and here without samples: its part of the level is not given to errors.
		c.Metrics = append(c.Metrics, analysis.Metric{Name: "latency", Kind: analysis.Latency, Samples: 50, Level: 0.01})
	}
	return c
}

// play plays releases, each by dice of its own, so that the table does not depend on how many processors there are. Others than our judges
// take most of the time, and may be left out.
func (w *world) play(runs int, seed uint64, workers int, others bool) *score {
	s := &score{runs: runs}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for worker := range workers {
		wait.Go(func() {
			for i := worker; i < runs; i += workers {
				random := rand.New(rand.NewPCG(seed, uint64(i)<<8+nameSum(w.name)))
				o := w.judge(w.roll(random), others)
				mu.Lock()
				s.count(o)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return s
}

func nameSum(name string) uint64 {
	var h uint64
	for _, c := range []byte(name) {
		h = h*131 + uint64(c)
	}
	return h << 32
}

// outcome of one release: when each judge said that it fails, never is +Inf; and whether those at the end did: ours at its part of the level, and at
// the whole level, as Mann-Whitney is.
type outcome struct {
	bad                           float64
	watch, peeking                float64
	judge, same, whitney, kayenta bool
}

func (s *score) count(o outcome) {
	add := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	// A failure before anything was bad is a false alarm and finds nothing.
	watch, peeking := !math.IsInf(o.watch, 1), !math.IsInf(o.peeking, 1)
	if o.bad >= 0 && !math.IsInf(o.bad, 1) {
		if watch = watch && o.watch >= o.bad; watch {
			s.delays = append(s.delays, o.watch-o.bad)
		}
		if peeking = peeking && o.peeking >= o.bad; peeking {
			s.peekDelays = append(s.peekDelays, o.peeking-o.bad)
		}
	}
	add(&s.watch, watch)
	add(&s.judge, o.judge)
	add(&s.ours, watch || o.judge)
	add(&s.same, o.same)
	add(&s.whitney, o.whitney)
	add(&s.peeking, peeking)
	add(&s.kayenta, o.kayenta)
}

// judge lets the judges judge a release.
func (w *world) judge(r release, others bool) outcome {
	o := outcome{bad: r.bad, watch: math.Inf(1), peeking: math.Inf(1)}
	watch, err := analysis.NewWatch(w.config(watchLevel))
	if err != nil {
		panic(err) // the configuration above is wrong
	}
	for _, s := range r.before {
		watch.Observe(s)
	}
	p := points{}
	for t, s := range r.scrapes {
		if watch.Observe(s) && math.IsInf(o.watch, 1) {
			o.watch = float64(t + 1)
		}
		if !others {
			if watch.Failed() {
				return o // the judgement at the end could add nothing
			}
			continue
		}
		p.add(s)
		if t%10 == 9 && math.IsInf(o.peeking, 1) && p.whitney(w.sigma > 0) {
			o.peeking = float64(t + 1)
		}
	}
	var d analysis.Data
	for _, s := range r.scrapes {
		d.Canary.Windows = append(d.Canary.Windows, s.Canary)
		d.Reference.Windows = append(d.Reference.Windows, s.Reference)
	}
	data := map[string]analysis.Data{"errors": d, "latency": d}
	o.judge = analysis.Judge(w.config(stepLevel), data).Verdict == analysis.Fail
	if !others {
		return o
	}
	o.same = analysis.Judge(w.config(level), data).Verdict == analysis.Fail
	o.whitney, o.kayenta = p.whitney(w.sigma > 0), p.kayenta(w.sigma > 0)
	return o
}
