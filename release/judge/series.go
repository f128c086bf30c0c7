package judge

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
)

// Side is one of the versions that run beside each other.
type Side string

// The sides. The old one is without its baseline.
const (
	SideNew      Side = "new"
	SideOld      Side = "old"
	SideBaseline Side = "baseline"
)

// Point is what a side did since the point before.
type Point struct {
	At   store.Time `json:"at"`
	Side Side       `json:"side"`
	// Requests and Errors are counts.
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"`
	// P50 and P99 are quantiles of how long requests took in seconds, the upper bounds of their buckets; 0 without requests.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// mostPoints is how many points a side has at most.
const mostPoints = 600

// Series are a rollout's points, by side and then by time; where there are many, each is of several looks. A look that failed has none. [ErrNotFound] says
// that it was not looked at.
func (s *Service) Series(ctx context.Context, rollout int64) ([]Point, error) {
	l, err := s.load(ctx, rollout)
	if err != nil {
		return nil, err
	}
	if l.version == 0 {
		return nil, fmt.Errorf("the rollout %d was not watched: %w", rollout, ErrNotFound)
	}
	chunks, err := s.chunks(ctx, rollout, l, 0, time.Time{})
	if err != nil {
		return nil, err
	}
	var all []scrape
	for _, c := range chunks {
		all = append(all, c.Scrapes...)
	}
	points := []Point{}
	width := max(1, (len(all)+mostPoints-1)/mostPoints)
	for _, side := range []Side{SideNew, SideOld, SideBaseline} {
		for i := 0; i < len(all); i += width {
			var w window
			end, seen := all[min(i+width, len(all))-1].At, false
			for j := i; j < min(i+width, len(all)); j++ {
				one := map[Side]*window{SideNew: &all[j].New, SideOld: &all[j].Old, SideBaseline: &all[j].Baseline}[side]
				if !one.Missing {
					w, seen = sum(w, *one), true
				}
			}
			if seen {
				points = append(points, Point{At: store.At(end), Side: side, Requests: w.Requests, Errors: w.Errors, P50: quantile(w.Latency, 0.5), P99: quantile(w.Latency, 0.99)})
			}
		}
	}
	return points, nil
}

// quantile is the upper bound of the bucket that a quantile is in, in seconds. What took longer than all buckets has the bound of the last.
func quantile(h analysis.Histogram, q float64) float64 {
	rank := int64(math.Ceil(q * float64(h.Total())))
	if rank == 0 {
		return 0
	}
	for i, n := range h {
		if rank -= n; rank <= 0 {
			return analysis.DefaultBuckets.Upper(min(i, analysis.DefaultBuckets.Count-1))
		}
	}
	return 0
}
