package main

import (
	"math"
	"math/rand/v2"

	"github.com/gantry-ops/gantry/release/analysis"
)

// world is a kind of release. Times are in seconds, and a scrape takes one.
type world struct {
	name string
	// rate of requests a second, of which the canary gets a share; arrivals are independent.
	rate, share float64
	length      int
	// lead is how long the reference is watched before the canary gets requests.
	lead int
	// errors is the probability that a request fails, of both versions.
	errors float64
	// bad is the same for a canary that is worse; 0 where it is not.
	bad float64
	// slow is how many times longer a bad canary takes; tail, how likely one of its requests is to take ten times as long.
	slow, tail float64
	// from is when the canary turns bad.
	from int
	// sigma is the deviation of the logarithm of latencies, around 20 ms; 0 where there are none.
	sigma float64
	// outages are so likely to start in a second, last for 5 and make half of all requests of both versions fail.
	outages float64
	// retries are so likely to start in a second: a client that sticks to one version sends 6 requests in 2 seconds, which all fail.
	retries float64
	// pauses are so likely in a second, of each version for itself: half of its requests take 300 ms more.
	pauses float64
	// spells are so likely to start in a second, of each version for itself: for 10 seconds its requests take twice as long.
	spells float64
	// drift makes errors and latencies of both versions go up and down by a factor of 3, over 10 minutes.
	drift bool
}

func (w *world) equal() bool { return w.bad == 0 && w.slow == 0 && w.tail == 0 }

// worlds in the order of the table.
var worlds = []world{
	{name: "no-errors", rate: 20, share: 0.05, length: 600},
	{name: "sparse-errors", rate: 20, share: 0.05, length: 600, errors: 0.002},
	{name: "sparse-half", rate: 20, share: 0.5, length: 600, errors: 0.002},
	{name: "many-errors", rate: 20, share: 0.1, length: 600, errors: 0.05},
	{name: "trickle", rate: 0.5, share: 0.1, length: 1800, errors: 0.01},
	{name: "shared-outages", rate: 20, share: 0.05, length: 600, errors: 0.001, outages: 1.0 / 120},
	{name: "retries-unknown", rate: 20, share: 0.1, length: 600, errors: 0.001, retries: 1.0 / 30},
	{name: "retries-known", rate: 20, share: 0.1, length: 600, lead: 300, errors: 0.001, retries: 1.0 / 30},
	{name: "latency", rate: 50, share: 0.1, length: 300, sigma: 0.6},
	{name: "latency-half", rate: 20, share: 0.5, length: 300, sigma: 0.6},
	{name: "heavy-tail", rate: 50, share: 0.05, length: 300, sigma: 1.5},
	{name: "drift", rate: 50, share: 0.1, length: 600, errors: 0.005, sigma: 0.6, drift: true},
	{name: "pauses", rate: 50, share: 0.1, length: 300, sigma: 0.6, pauses: 1.0 / 60},
	{name: "slow-spells", rate: 50, share: 0.1, length: 300, sigma: 0.6, spells: 1.0 / 120},

	{name: "half-fail", rate: 20, share: 0.05, length: 120, lead: 120, bad: 0.5},
	{name: "half-fail-unknown", rate: 20, share: 0.05, length: 120, bad: 0.5},
	{name: "half-fail-noisy", rate: 20, share: 0.05, length: 120, errors: 0.01, bad: 0.5},
	{name: "half-fail-retries", rate: 20, share: 0.05, length: 120, lead: 300, errors: 0.001, retries: 1.0 / 30, bad: 0.5},
	{name: "half-fail-late", rate: 20, share: 0.05, length: 420, errors: 0.001, bad: 0.5, from: 300},
	{name: "all-fail-of-half", rate: 20, share: 0.5, length: 60, bad: 1},
	{name: "one-in-twenty", rate: 50, share: 0.1, length: 300, errors: 0.005, bad: 0.05},
	{name: "twice-as-slow-10%", rate: 50, share: 0.1, length: 120, sigma: 0.6, slow: 2},
	{name: "twice-as-slow-5%", rate: 50, share: 0.05, length: 120, sigma: 0.6, slow: 2},
	{name: "twice-heavy-5%", rate: 50, share: 0.05, length: 300, sigma: 1, slow: 2},
	{name: "twice-late", rate: 50, share: 0.1, length: 420, sigma: 0.6, slow: 2, from: 300},
	{name: "half-again", rate: 50, share: 0.1, length: 300, sigma: 0.6, slow: 1.5},
	{name: "little-slower", rate: 20, share: 0.05, length: 90, sigma: 0.6, slow: 1.3},
	{name: "few-failures", rate: 20, share: 0.1, length: 90, errors: 0.01, bad: 0.06},
	{name: "slow-tail", rate: 50, share: 0.1, length: 300, sigma: 0.6, tail: 0.08},
}

// release is one that is played.
type release struct {
	// before are from when there was no canary yet.
	before, scrapes []analysis.Scrape
	// bad is when the first bad response was given, in seconds; the start where latency is what is bad.
	bad float64
}

// roll plays one release.
func (w *world) roll(random *rand.Rand) release {
	r := release{bad: math.Inf(1)}
	if w.slow > 0 || w.tail > 0 {
		r.bad = float64(w.from)
	}
	outage := 0
	var slow [2]int // seconds that are left of a spell
	type retry struct{ canary, left int }
	var clients []retry
	for t := -w.lead; t < w.length; t++ {
		if outage--; random.Float64() < w.outages {
			outage = 5
		}
		if random.Float64() < w.retries {
			c := retry{left: 2}
			if t >= 0 && random.Float64() < w.share {
				c.canary = 1
			}
			clients = append(clients, c)
		}
		swing := 1.0
		if w.drift {
			swing = math.Pow(3, math.Sin(2*math.Pi*float64(t)/600))
		}
		var s analysis.Scrape
		for side, window := range []*analysis.Window{&s.Reference, &s.Canary} {
			bad := side == 1 && t >= max(w.from, 0) && !w.equal()
			rate := w.rate * w.share
			if t < 0 {
				rate = 0
			}
			if side == 0 {
				rate = w.rate - rate
			}
			// A world without spells throws no dice for them, so that its releases stay the same.
			if slow[side]--; w.spells > 0 && random.Float64() < w.spells {
				slow[side] = 10
			}
			pause := random.Float64() < w.pauses
			for range poisson(random, rate) {
				at := float64(t) + random.Float64()
				failing := w.errors * swing
				if bad && w.bad > 0 {
					failing = w.bad
				}
				if outage > 0 {
					failing = max(failing, 0.5)
				}
				window.Requests++
				if random.Float64() < failing {
					window.Errors++
					if bad && w.bad > 0 {
						r.bad = min(r.bad, at)
					}
				}
				if w.sigma > 0 {
					took := 0.02 * swing * math.Exp(w.sigma*random.NormFloat64())
					if bad && w.slow > 0 {
						took *= w.slow
					}
					if bad && random.Float64() < w.tail {
						took *= 10
					}
					if slow[side] > 0 {
						took *= 2
					}
					if pause && random.Float64() < 0.5 {
						took += 0.3
					}
					window.Latency.Add(analysis.DefaultBuckets.Index(took), 1)
				}
			}
			for i := range clients {
				if clients[i].canary == side && clients[i].left > 0 {
					clients[i].left--
					window.Requests += 3
					window.Errors += 3
				}
			}
		}
		if t < 0 {
			r.before = append(r.before, s)
		} else {
			r.scrapes = append(r.scrapes, s)
		}
	}
	return r
}

// poisson draws a count with a mean of at most some hundreds (D. E. Knuth's way).
func poisson(random *rand.Rand, mean float64) int {
	n, p := 0, random.Float64()
	for limit := math.Exp(-mean); p > limit; n++ {
		p *= random.Float64()
	}
	return n
}
