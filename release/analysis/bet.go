package analysis

import "math"

// The watch bets against equality. In each scrape it looks at which requests failed, of all of both sides together, and at how many of
// those fell to the canary. If the versions are equal, every way to deal them out is as likely as any other, whatever the rate of
// failures just is; a bet that is fair under that rule multiplies its stake by E with a mean of 1 (or less). So the product over scrapes,
// and any mixture of such products with weights that were fixed before, is a process that starts at 1 and ever exceeds 1/a with a
// probability of at most a, whenever one looks and for whatever reason one stops: J. Ville's inequality, 1939. Bets on tables of two
// streams are in R. J. Turner, A. Ly and P. D. Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for
// optional stopping", 2024.

// Bet is one alternative's stake.
type Bet float64

const (
	// early is the part of a stake that is bet from the first scrape; the rest starts later, in case that a canary is good at first.
	early = 0.9
	// patience is after how many scrapes half of that rest has started.
	patience = 600
	// mostStake keeps stakes finite; nothing asks for as much.
	mostStake = 1e30
)

// starting is the part of a stake that is first bet in a scrape, from 1. They add up to 1.
func starting(scrape int64) float64 {
	if scrape <= 1 {
		return early
	}
	t := float64(scrape-2) + patience
	return (1 - early) * patience / (t * (t + 1))
}

// waiting is the part that has not started after so many scrapes.
func waiting(scrapes int64) float64 {
	if scrapes <= 0 {
		return 1
	}
	return (1 - early) * patience / (float64(scrapes-1) + patience)
}

// grow takes one scrape in: what runs already and what starts now is multiplied.
func (b *Bet) grow(scrape int64, factor float64) {
	*b = Bet(min(mostStake, (float64(*b)+starting(scrape))*factor))
}

// alternative is a way to be worse, with its part of the stake.
type alternative struct {
	weight float64
	// odds, of failures: how many times a failure is rather the canary's than if equal.
	odds float64
	// times, of latency: all requests take so many times longer; 0 where only the slowest are more, odds times, beyond a quantile.
	times, quantile float64
}

// failures are the alternatives for the share of requests that fail. Most of the stake is on a service that hardly ever fails and a canary
// that does so often: there two failures are to be enough.
var failures = []alternative{{weight: 0.05, odds: 1.5}, {weight: 0.08, odds: 3}, {weight: 0.1, odds: 12}, {weight: 0.17, odds: 60}, {weight: 0.6, odds: 500}}

// slownesses are the alternatives for latency.
var slownesses = []alternative{
	{weight: 0.1, times: 1.25}, {weight: 0.2, times: 1.5}, {weight: 0.3, times: 2}, {weight: 0.15, times: 3}, {weight: 0.1, times: 5},
	{weight: 0.07, quantile: 0.9, odds: 3}, {weight: 0.08, quantile: 0.99, odds: 8},
}

// wealth is what all bets together have made of a stake of 1.
func wealth(bets []Bet, all []alternative, scrapes int64) float64 {
	e := waiting(scrapes)
	for i, b := range bets {
		e += all[i].weight * float64(b)
	}
	return e
}

// caution turns the logarithm of a fair factor into one that is used: divided by the dispersion of what is counted, and at most limit.
func caution(log, dispersion, limit float64) float64 {
	return math.Exp(min(log/dispersion, limit))
}

// failureFactor is the logarithm of the factor of a bet on odds: the probability of k of the fails being the canary's, if failures come to it
// with such odds, divided by that with equal ones. R. A. Fisher's noncentral hypergeometric distribution.
func failureFactor(k, canary, fails, all int64, odds float64) float64 {
	d := hypergeometric(float64(canary), float64(all), float64(fails))
	// The mode of the tilted distribution, where probabilities of neighbours are equal, is where the sum is started.
	n1, e, n0 := float64(canary), float64(fails), float64(all-canary)
	a, b, c := odds-1, -(odds*(n1+e) + n0 - e + 2), odds*n1*e-(n0-e+1)
	mode := d.mode
	if disc := b*b - 4*a*c; a != 0 && disc >= 0 {
		mode = math.Floor(2*c/(-b+math.Sqrt(disc))) + 1
	}
	mode = min(max(mode, d.low), d.high)
	sum := 1.0
	for x, term := mode, 1.0; x < d.high; x++ {
		if term *= d.ratio(x) * odds; term <= negligible*sum {
			break
		}
		sum += term
	}
	for x, term := mode, 1.0; x > d.low; x-- {
		if term /= d.ratio(x-1) * odds; term <= negligible*sum {
			break
		}
		sum += term
	}
	return (float64(k)-mode)*math.Log(odds) - d.log(mode) - math.Log(sum)
}

// band is a range of latencies, with how many requests of a scrape are in it.
type band struct{ canary, all int64 }

// exactDeals bounds the multiplications of one exact mean: some tenths of a millisecond.
const exactDeals = 200_000

// slownessFactor is the logarithm of the factor of a bet in which a request in a band speaks for the canary by the band's weight: the product
// of the canary's weights divided by the mean of that product over all ways to deal the scrape's requests to the sides.
func slownessFactor(bands []band, weights []float64) float64 {
	var n1, n int64
	var product float64
	for i, b := range bands {
		n1 += b.canary
		n += b.all
		product += float64(b.canary) * math.Log(weights[i])
	}
	small := n1
	tilt := weights
	if n-n1 < n1 {
		// The mean over those chosen is the product of all, times the mean of the inverse over those left out.
		small = n - n1
		tilt = make([]float64, len(weights))
		for i, b := range bands {
			tilt[i] = 1 / weights[i]
			product -= float64(b.all) * math.Log(weights[i])
		}
	}
	return product - logMean(bands, tilt, small, n)
}

// logMean is the logarithm of the mean of the product of weights over all choices of k of the n requests. For many requests it is
// C. Maclaurin's bound, the mean weight to the power of k: never too low, so that a bet never gains by it.
func logMean(bands []band, weights []float64, k, n int64) float64 {
	var mean float64
	for i, b := range bands {
		mean += weights[i] * float64(b.all) / float64(n)
	}
	if float64(k)*float64(n) > exactDeals {
		return float64(k) * math.Log(mean)
	}
	means := make([]float64, k+1) // over the requests so far, of choices of 0 to k
	means[0] = 1
	seen := int64(0)
	for i, b := range bands {
		w := weights[i] / mean
		for range b.all {
			seen++
			for j := min(seen, k); j >= 1; j-- {
				with := float64(j) / float64(seen)
				means[j] = means[j]*(1-with) + means[j-1]*with*w
			}
		}
	}
	return math.Log(means[k]) + float64(k)*math.Log(mean)
}

// cuts are the quantiles of the reference's past by which latencies are put into bands.
var cuts = []float64{0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.95, 0.99, 1}

// bandsOf returns the last bucket of each band but the highest.
func bandsOf(past spread) []int {
	var last []int
	for _, q := range cuts {
		if i := past.quantile(q * (1 - 1e-12)); len(last) == 0 || i > last[len(last)-1] {
			last = append(last, i)
		}
	}
	return last
}

const (
	// mostWeight is how much one request may speak for or against.
	mostWeight = 16
	// doubt is how many requests' worth of ignorance there is about the reference.
	doubt = 10
)

// places are the bands of all buckets.
func places(last []int, buckets int) []int {
	out := make([]int, buckets)
	at := 0
	for i := range out {
		for at < len(last) && i > last[at] {
			at++
		}
		out[i] = at
	}
	return out
}

// weightsFor returns how much more likely a request is in each band if the alternative holds, from the reference's past. They never fall
// with latency, so a faster canary never gains a bet. at are the bands of buckets.
func (a *alternative) weightsFor(past spread, last, at []int, b Buckets) []float64 {
	weights := make([]float64, len(last)+1)
	if a.times == 0 {
		from := past.quantile(a.quantile)
		for i := range weights {
			if weights[i] = 1; i > 0 && last[i-1] >= from {
				weights[i] = a.odds
			}
		}
		return weights
	}
	shift := max(1, int(math.Round(math.Log(a.times)/math.Log(b.Step))))
	total := past.total()
	now, then := make([]float64, len(weights)), make([]float64, len(weights))
	for bucket, w := range past {
		if w > 0 {
			now[at[bucket]] += w / total
			then[at[min(bucket+shift, b.Count)]] += w / total
		}
	}
	unknown := 1 / (total + doubt)
	for i := range weights {
		weights[i] = min(max((then[i]+unknown)/(now[i]+unknown), 1.0/mostWeight), mostWeight)
		if i > 0 {
			weights[i] = max(weights[i], weights[i-1])
		}
	}
	return weights
}
