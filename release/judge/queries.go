package judge

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/project/openslo"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
)

// Queries answers PromQL.
type Queries interface {
	// Value returns the values of all series that an instant query gives at a time; a scalar is one.
	Value(ctx context.Context, query string, at time.Time) ([]float64, error)
	// Trouble says why what a version measures of itself may be missing; empty where nothing is known of that.
	Trouble(ctx context.Context, p release.Place, version string) string
}

// askWithin is how long all queries of a look may take: the rollout waits for them.
const askWithin = 5 * time.Second

// answer is what came of a query: a number, or why there is none.
type answer struct {
	Value *analysis.Number `json:"value,omitempty"`
	// Failed says that asking went wrong, where Reason is not just that there is nothing.
	Failed bool   `json:"failed,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// pair are the answers of both sides.
type pair struct {
	Canary    answer `json:"canary"`
	Reference answer `json:"reference,omitzero"`
}

// ask asks all queries of a plan for both sides. The canary is asked for once it has traffic.
func (s *Service) ask(ctx context.Context, r release.Record, p *plan, now time.Time) []pair {
	if len(p.Asks) == 0 {
		return nil
	}
	switch r.State.Phase {
	case release.Holding, release.Soaking, release.Warm:
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	all := make([]pair, len(p.Asks))
	for i, a := range p.Asks {
		all[i].Canary = s.value(ctx, r.Place, r.State.New.Version(), a.Canary, now)
		if a.Reference != "" && r.State.Phase == release.Holding && step(r).Weight < release.Whole {
			all[i].Reference = s.value(ctx, r.Place, r.State.Old.Version(), a.Reference, now)
		}
	}
	return all
}

func (s *Service) value(ctx context.Context, p release.Place, version, query string, now time.Time) answer {
	if s.o.Queries == nil {
		return answer{Failed: true, Reason: "there is nobody to ask " + query}
	}
	values, err := s.o.Queries.Value(ctx, query, now)
	switch {
	case err != nil:
		return answer{Failed: true, Reason: fmt.Sprintf("%s: %v", query, err)}
	case len(values) == 0:
		reason := query + " gives nothing"
		if why := s.o.Queries.Trouble(ctx, p, version); why != "" {
			reason += " (" + why + ")"
		}
		return answer{Reason: reason}
	case len(values) > 1:
		return answer{Failed: true, Reason: fmt.Sprintf("%s gives %d series where one number is wanted; put them together, as by sum(…)", query, len(values))}
	}
	n := analysis.Number(values[0])
	a := answer{Value: &n}
	if math.IsNaN(values[0]) || math.IsInf(values[0], 0) {
		a.Reason = fmt.Sprintf("%s gives %v", query, values[0])
	}
	return a
}

// number is an answer's number, NaN where there is none.
func (a *answer) number() analysis.Number {
	if a.Value == nil {
		return analysis.Number(math.NaN())
	}
	return *a.Value
}

// collected are one query's answers of one side.
type collected struct {
	values []analysis.Number
	failed int
	gone   int
	reason string
}

func (c *collected) add(a *answer) {
	n := a.number()
	c.values = append(c.values, n)
	if a.Failed {
		c.failed++
	}
	if a.Reason != "" {
		c.gone++
		c.reason = a.Reason
	}
}

// samples says of values that they are whole, as far as gaps are tolerated.
func (c *collected) samples() analysis.Samples {
	s := analysis.Samples{Values: c.values}
	if n := len(c.values); n == 0 {
		s.Missing = "it was not asked for once"
	} else if float64(c.gone) > gaps*float64(n) {
		s.Missing, s.Failed = fmt.Sprintf("%d of %d times: %s", c.gone, n, c.reason), float64(c.failed) > gaps*float64(n)
	}
	return s
}

// series are the values of a metric with one query.
func (p *plan) series(metric string, all []scrape) (d analysis.Data) {
	for i, a := range p.Asks {
		if a.Metric != metric {
			continue
		}
		var canary, reference collected
		for j := range all {
			if i < len(all[j].Values) {
				canary.add(&all[j].Values[i].Canary)
				if a.Reference != "" {
					reference.add(&all[j].Values[i].Reference)
				}
			}
		}
		d.Canary = canary.samples()
		if a.Reference != "" {
			d.Reference = reference.samples()
		}
	}
	return d
}

// events are those of an objective: the increase of counters, the sum of numbers that are asked for, or looks at which a value was as it should be.
func (p *plan) events(metric string, all []scrape) analysis.Samples {
	var good, bad, total float64
	found, hasGood, hasBad := false, false, false
	for i, a := range p.Asks {
		if a.Metric != metric {
			continue
		}
		found = true
		var c collected
		for j := range all {
			if i < len(all[j].Values) {
				c.add(&all[j].Values[i].Canary)
			}
		}
		s := c.samples()
		if s.Missing != "" || s.Failed {
			return analysis.Samples{Missing: s.Missing, Failed: s.Failed}
		}
		var n float64
		switch a.Part {
		case partGood, partBad, partTotal:
			n = increase(c.values)
		default:
			for _, v := range c.values {
				if f := float64(v); !math.IsNaN(f) {
					n += f
				}
			}
		}
		switch a.Part {
		case partGood, partGoodNow:
			good, hasGood = n, true
		case partBad, partBadNow:
			bad, hasBad = n, true
		case partTotal, partTotalNow:
			total = n
		default:
			op, text, _ := strings.Cut(string(a.Part), " ")
			limit, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return analysis.Samples{Failed: true, Missing: "the limit " + text + " is no number"}
			}
			hasGood = true
			for _, v := range c.values {
				if f := float64(v); !math.IsNaN(f) {
					total++
					if openslo.Operator(op).Holds(f, limit) {
						good++
					}
				}
			}
		}
	}
	switch {
	case !found || !hasGood && !hasBad:
		return analysis.Samples{Failed: true, Missing: "the objective has no queries"}
	case !hasGood:
		good = total - bad
	}
	return analysis.Samples{Events: &analysis.Events{Good: analysis.Number(good), Total: analysis.Number(total)}}
}

// increase is by how much a counter has grown; where it went back, it began again at zero.
func increase(values []analysis.Number) (sum float64) {
	last := math.NaN()
	for _, v := range values {
		f := float64(v)
		if math.IsNaN(f) {
			continue
		}
		switch {
		case math.IsNaN(last):
		case f >= last:
			sum += f - last
		default:
			sum += f
		}
		last = f
	}
	return sum
}
