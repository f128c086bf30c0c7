package judge

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
)

// Counters are what one agent has counted of one version since its process began.
type Counters struct {
	Agent string
	// Boot is another one when the counters have begun again at zero.
	Boot string
	// Version is a candidate's, also of a baseline.
	Version  string
	Baseline bool
	// At is when the agent reported, by the server's clock; zero is never.
	At       time.Time
	Requests int64
	Errors   int64
	// Latency are the requests by the buckets of [analysis.DefaultBuckets].
	Latency analysis.Histogram
}

// silent is after how many intervals without a report an agent is silent; leastSilence is the least time for it, since reports come each second.
const (
	silent       = 3
	leastSilence = 3 * time.Second
)

// scrape is a look at both sides: what each did since the look before.
type scrape struct {
	From  time.Time     `json:"from"`
	At    time.Time     `json:"at"`
	Phase release.Phase `json:"phase"`
	Step  int           `json:"step"`
	New   window        `json:"new"`
	// Old is without the baseline.
	Old      window `json:"old"`
	Baseline window `json:"baseline,omitzero"`
	// Values are by the number of the plan's query.
	Values []pair `json:"values,omitempty"`
}

type window = analysis.Window

// last is where a counter stood.
type last struct {
	Boot     string             `json:"boot"`
	At       time.Time          `json:"at"`
	Requests int64              `json:"requests"`
	Errors   int64              `json:"errors,omitempty"`
	Latency  analysis.Histogram `json:"latency,omitempty"`
}

func (c *Counters) key(region string) string {
	key := region + " " + c.Agent + " " + c.Version
	if c.Baseline {
		key += " baseline"
	}
	return key
}

// need says which sides have to be there.
type need struct{ canary, old, baseline bool }

func needed(r release.Record) need {
	n := need{old: !r.State.Old.IsZero()}
	steps := r.State.Strategy.Plan(!r.State.Old.IsZero())
	switch r.State.Phase {
	case release.Holding:
		n.canary = true
		if r.State.Step < len(steps) {
			st := steps[r.State.Step]
			n.old = n.old && st.Weight < release.Whole
			n.baseline = st.Baseline > 0
		}
	case release.Soaking, release.Warm:
		n.canary, n.old = true, false
	default:
		n.old = n.old && r.State.Step == 0
	}
	return n
}

// difference takes what was counted since the last look. It reports false where no agent has said anything new and none is silent: then there is
// nothing to look at yet. Counters that were used are remembered in next. What cannot be counted leaves all as it was, so that it is in the look that
// succeeds; what makes no sense is left out for good.
func difference(before map[string]last, all map[string][]Counters, r release.Record, regions []string, now time.Time, interval time.Duration) (s scrape, next map[string]last, ok bool) {
	next = maps.Clone(before)
	if next == nil {
		next = map[string]last{}
	}
	limit := max(silent*interval, leastSilence)
	fresh, old := r.State.New.Version(), r.State.Old.Version()
	want := needed(r)
	moved, missing := false, false
	senseless := map[string]bool{}
	present := map[string]bool{}
	for _, region := range regions {
		there := need{}
		for i := range all[region] {
			c := &all[region][i]
			var side *window
			switch {
			case c.Version == fresh && !c.Baseline:
				side, there.canary = &s.New, true
			case c.Version == old && c.Baseline:
				side, there.baseline = &s.Baseline, true
			case c.Version == old:
				side, there.old = &s.Old, true
			default:
				continue
			}
			key := c.key(region)
			present[key] = true
			if c.At.IsZero() || now.Sub(c.At) > limit {
				side.Missing, missing = true, true
				continue
			}
			prior, known := before[key]
			if known && prior.Boot == c.Boot && prior.At.Equal(c.At) {
				continue // nothing new of it yet; it is in a later look
			}
			moved = true
			next[key] = last{Boot: c.Boot, At: c.At, Requests: c.Requests, Errors: c.Errors, Latency: slices.Clone(c.Latency)}
			if !known {
				continue // what it counted before it was looked at is nobody's
			}
			if prior.Boot != c.Boot {
				prior = last{}
			}
			if !add(side, c, prior) {
				// It is no better when more has come: what makes no sense is left out, and the next look begins here.
				side.Missing, missing, senseless[key] = true, true, true
			}
		}
		for _, side := range []struct {
			want, there bool
			w           *window
		}{{want.canary, there.canary, &s.New}, {want.old, there.old, &s.Old}, {want.baseline, there.baseline, &s.Baseline}} {
			if side.want && !side.there {
				side.w.Missing, missing = true, true
			}
		}
	}
	if !moved && !missing {
		return s, before, false
	}
	if missing {
		// What is known of a side that is not whole is nothing; it is counted when all is there again, except where counters have gone back.
		for key, n := range next {
			if b, ok := before[key]; ok && !senseless[key] && (b.Boot != n.Boot || n.Requests >= b.Requests && n.Errors >= b.Errors) && present[key] {
				next[key] = b
			}
		}
		for _, w := range []*window{&s.New, &s.Old, &s.Baseline} {
			*w = window{Missing: w.Missing}
		}
		return s, next, true
	}
	for key := range next {
		if !present[key] {
			delete(next, key)
		}
	}
	return s, next, true
}

// add counts what came since, and reports false where that makes no sense.
func add(w *window, c *Counters, prior last) bool {
	requests, errors := c.Requests-prior.Requests, c.Errors-prior.Errors
	if requests < 0 || errors < 0 || errors > requests || len(c.Latency) > analysis.DefaultBuckets.Count+1 {
		return false
	}
	var latency analysis.Histogram
	for i := range max(len(c.Latency), len(prior.Latency)) {
		n := at(c.Latency, i) - at(prior.Latency, i)
		if n < 0 {
			return false
		}
		if n > 0 {
			latency.Add(i, n)
		}
	}
	// Requests and their latencies are read one after the other, and requests end in between: the larger number is nearer to what has been.
	requests = max(requests, latency.Total())
	if w.Requests+requests > analysis.MaxWindow {
		return false
	}
	w.Requests += requests
	w.Errors += errors
	merge(&w.Latency, latency)
	return true
}

func at(h analysis.Histogram, i int) int64 {
	if i < len(h) {
		return h[i]
	}
	return 0
}

func merge(into *analysis.Histogram, h analysis.Histogram) {
	for i, n := range h {
		if n > 0 {
			into.Add(i, n)
		}
	}
}

// sum is two windows as one.
func sum(a, b window) window {
	w := window{Requests: a.Requests + b.Requests, Errors: a.Errors + b.Errors, Missing: a.Missing || b.Missing}
	if w.Missing {
		return window{Missing: true}
	}
	merge(&w.Latency, a.Latency)
	merge(&w.Latency, b.Latency)
	return w
}

// Samples are the counters of a place, by region.
type Samples interface {
	Counters(ctx context.Context, p release.Place) (map[string][]Counters, error)
	// Past is what was counted of the old version before: as much of it as is known, which may be nothing.
	Past(ctx context.Context, p release.Place) (map[string][]Trail, error)
}

// Trail are counts of one version at one place that counts it, the oldest first; they only grow.
type Trail struct {
	Version string
	Counts  []Count
}

// Count is what was counted until a time, by the server's clock.
type Count struct {
	At               time.Time
	Requests, Errors int64
}

// earlier puts trails of a version together into windows as long as an interval, the oldest first, that end at a time. What a trail has counted between two
// of its counts is in the window of the later one.
func earlier(trails []Trail, version string, until time.Time, interval time.Duration) []window {
	slots := map[int64]*window{}
	var least int64
	for _, t := range trails {
		if t.Version != version {
			continue
		}
		for i := 1; i < len(t.Counts); i++ {
			a, b := t.Counts[i-1], t.Counts[i]
			requests, errors := b.Requests-a.Requests, b.Errors-a.Errors
			if b.At.After(until) || requests < 0 || errors < 0 || errors > requests || requests > analysis.MaxWindow {
				continue
			}
			slot := -int64(until.Sub(b.At) / interval)
			if slots[slot] == nil {
				slots[slot] = &window{}
			}
			slots[slot].Requests += requests
			slots[slot].Errors += errors
			least = min(least, slot)
		}
	}
	var all []window
	for slot := least; slot <= 0; slot++ {
		if w := slots[slot]; w != nil && w.Requests > 0 {
			all = append(all, *w)
		}
	}
	return all
}
