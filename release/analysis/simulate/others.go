package main

import (
	"cmp"
	"math"
	"slices"

	"github.com/gantry-ops/gantry/release/analysis"
)

// points are what the other judges see of a release: series with a point a scrape, and all latencies.
type points struct {
	errors, latency, all struct{ canary, reference []float64 }
	spread               struct{ canary, reference analysis.Histogram }
}

// add takes a scrape in. A side without requests gives no point, as a query that divides by 0 gives none.
func (p *points) add(s analysis.Scrape) {
	point := func(errors, latency *[]float64, all *analysis.Histogram, w *analysis.Window) {
		if w.Requests > 0 {
			*errors = append(*errors, float64(w.Errors)/float64(w.Requests))
		}
		var sum float64
		for bucket, n := range w.Latency {
			if n > 0 {
				all.Add(bucket, n)
				sum += float64(n) * analysis.DefaultBuckets.Upper(min(bucket, analysis.DefaultBuckets.Count-1))
			}
		}
		if n := w.Latency.Total(); n > 0 {
			*latency = append(*latency, sum/float64(n))
		}
	}
	point(&p.errors.canary, &p.latency.canary, &p.spread.canary, &s.Canary)
	point(&p.errors.reference, &p.latency.reference, &p.spread.reference, &s.Reference)
}

// whitney is a plain test at its stated level, halved where there are two metrics: of error ratios by scrape, and of the latencies of all requests.
func (p *points) whitney(timed bool) bool {
	each := level
	if timed {
		each /= 2
		if analysis.MannWhitneyHistograms(p.spread.canary, p.spread.reference, analysis.Higher, 1).P <= each {
			return true
		}
	}
	return normalWhitney(p.errors.canary, p.errors.reference) <= each
}

// normalWhitney is the test as most libraries have it for more than a handful of values: normal, with corrections for ties and continuity.
func normalWhitney(canary, reference []float64) float64 {
	type value struct {
		v      float64
		canary bool
	}
	var all []value
	for _, v := range canary {
		all = append(all, value{v, true})
	}
	for _, v := range reference {
		all = append(all, value{v, false})
	}
	slices.SortFunc(all, func(a, b value) int { return cmp.Compare(a.v, b.v) })
	n1, n0, n := float64(len(canary)), float64(len(reference)), float64(len(all))
	var ranks, ties float64
	for i := 0; i < len(all); {
		k, mine := i, 0
		for ; k < len(all) && all[k].v == all[i].v; k++ {
			if all[k].canary {
				mine++
			}
		}
		t := float64(k - i)
		ranks += float64(mine) * (float64(i+k) + 1) / 2
		ties += t*t*t - t
		i = k
	}
	variance := n1 * n0 / 12 * (n + 1 - ties/(n*(n-1)))
	if n1 == 0 || n0 == 0 || !(variance > 0) {
		return 1
	}
	z := (ranks - n1*(n1+1)/2 - n1*n0/2 - 0.5) / math.Sqrt(variance)
	return math.Erfc(z/math.Sqrt2) / 2
}

// kayentaPoints is how many points Kayenta's documentation asks for.
const kayentaPoints = 50

// kayenta is the rule of Spinnaker's NetflixACAJudge for metrics that must not increase: NaN points are removed, then outliers beyond three
// interquartile ranges; a metric is High where the lower end of the 98 % interval of the Hodges-Lehmann shift is above a quarter of the shift's
// estimate; the score is the share of metrics that pass; below 75 the canary fails. A metric without points is not scored, and nothing to score passes.
func (p *points) kayenta(timed bool) bool {
	pass, scored := 0.0, 0.0
	judge := func(canary, reference []float64) {
		canary, reference = withoutOutliers(canary), withoutOutliers(reference)
		if len(canary) < kayentaPoints || len(reference) < kayentaPoints {
			return
		}
		scored++
		if same(canary, reference) {
			pass++
			return
		}
		shift := analysis.HodgesLehmann(canary, reference, 0.01, 1)
		if shift.Low <= 0.25*math.Abs(shift.Estimate) {
			pass++
		}
	}
	judge(p.errors.canary, p.errors.reference)
	if timed {
		judge(p.latency.canary, p.latency.reference)
	}
	return scored > 0 && 100*pass/scored < 75
}

// same says that there is one value only.
func same(a, b []float64) bool {
	return slices.Min(a) == slices.Max(a) && slices.Min(b) == slices.Max(b) && a[0] == b[0]
}

func withoutOutliers(values []float64) []float64 {
	if len(values) == 0 {
		return nil
	}
	s := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 { return s[int(q*float64(len(s)-1))] }
	low, high := at(0.25), at(0.75)
	reach := 3 * (high - low)
	return slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v < low-reach || v > high+reach })
}
