package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// finding is a metric looked at, before it is known what its p has to be held against.
type finding struct {
	result Result
	level  float64
	// closed findings have their verdict; the others get it by their evidence.
	closed   bool
	evidence []evidence
	// least is the smallest p that samples of these sizes could have had.
	least float64
	// unsure says why the margin is not kept for certain; empty where it is, or none is asked for.
	unsure string
}

// evidence is one test of a metric.
type evidence struct {
	test      string
	statistic float64
	// p includes what a metric pays for having several tests.
	p          float64
	dispersion float64
	effect     Effect
	// sized: the effect reaches the floor, in the direction that is worse; nearly says that it does so with its standard error only.
	sized, nearly bool
	// words says what was found, without a verdict.
	words string
}

func (f *finding) close(v Verdict, format string, args ...any) *finding {
	f.closed, f.result.Verdict, f.result.Reason = true, v, fmt.Sprintf(format, args...)
	return f
}

// p is that of the metric: its strongest evidence's.
func (f *finding) p() float64 {
	p := 1.0
	for _, e := range f.evidence {
		p = min(p, e.p)
	}
	return p
}

// Judge gives the verdict at the end of a step. data are by the names of metrics; one that is not there is an [Error].
//
// Any metric that fails fails the canary; else one that could not be measured makes it an error; else one that is inconclusive makes it
// inconclusive. It passes when all that decide pass, and there is at least one. Of a configuration with mistakes all that is said is an error.
func Judge(c Config, data map[string]Data) Judgement {
	c = c.WithDefaults()
	if err := c.Check(); err != nil {
		return Judgement{Verdict: Error, Reason: "the configuration is wrong: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	found := make([]*finding, len(c.Metrics))
	for i := range c.Metrics {
		m := &c.Metrics[i]
		f := &finding{level: m.Level, result: Result{Metric: m.Name, Kind: m.Kind, Informative: m.Informative}}
		d, ok := data[m.Name]
		if !ok {
			f.close(Error, "no samples were handed over")
		} else {
			m.look(f, &d, &c)
		}
		found[i] = f
	}
	hold(found, c.Level)
	j := Judgement{Results: make([]Result, len(found))}
	for i, f := range found {
		f.conclude(&c.Metrics[i])
		f.result.settle()
		j.Results[i] = f.result
	}
	j.sumUp()
	return j
}

// look finds what is to be said of a metric.
func (m *Metric) look(f *finding, d *Data, c *Config) {
	for _, side := range []struct {
		name string
		s    *Samples
	}{{"canary", &d.Canary}, {"reference", &d.Reference}} {
		if side.s.Failed {
			f.close(Error, "measuring the %s failed: %s", side.name, stated(side.s.Missing))
			return
		}
	}
	switch m.Kind {
	case Errors, Latency:
		m.lookWindows(f, d, c)
	case Values:
		m.lookValues(f, d, c)
	case Threshold:
		m.lookThreshold(f, d)
	case SLO:
		m.lookSLO(f, d)
	}
}

func stated(reason string) string {
	if reason == "" {
		return "no reason was stated"
	}
	return reason
}

// hold sets what each p is held against: S. Holm's method ("A simple sequentially rejective multiple test procedure", 1979) with
// weights. The metric with the smallest p for its weight is held against its part of the level; when that is significant, what it had
// is shared among those that remain. So the rate of false alarms over all metrics is the level, whatever they have to do with each
// other. Metrics whose p could not be computed keep their part: nobody gains by another's missing data. Thresholds have no p and no part;
// informative metrics are held against their own level.
func hold(found []*finding, level float64) {
	var open []*finding
	var weights float64
	for _, f := range found {
		switch {
		case f.result.Informative:
			f.result.Limit = f.level
		case f.result.Kind != Threshold:
			weights += f.level
			if !f.closed {
				open = append(open, f)
			}
		}
	}
	slices.SortStableFunc(open, func(a, b *finding) int { return cmp.Compare(a.p()/a.level, b.p()/b.level) })
	for _, f := range open {
		f.result.Limit = rounded(level * f.level / weights)
		if rounded(f.p()) <= f.result.Limit {
			weights = max(weights-f.level, f.level*1e-9)
		}
	}
}

// conclude gives an open finding its verdict.
func (f *finding) conclude(m *Metric) {
	if f.closed {
		return
	}
	r := &f.result
	shown := 0
	for i, e := range f.evidence {
		switch failing, best := f.failing(e), f.failing(f.evidence[shown]); {
		case failing && !best, failing == best && e.p < f.evidence[shown].p:
			shown = i
		}
	}
	e := f.evidence[shown]
	r.Test, r.Statistic, r.Dispersion = e.test, e.statistic, e.dispersion
	r.P, r.Effect = new(float64), &e.effect
	*r.P = e.p
	significant := rounded(e.p) <= r.Limit
	var say string
	switch {
	case f.failing(e):
		r.Verdict, say = Fail, fmt.Sprintf("p is %s, at most the limit of %s", short(e.p), short(r.Limit))
		if e.nearly {
			say += fmt.Sprintf(", and with its standard error the difference reaches the floor of %s", m.floor())
		}
	case f.least > r.Limit:
		r.Verdict, say = Inconclusive, fmt.Sprintf("with so few samples no outcome could have had a p of at most %s", short(r.Limit))
	case f.unsure != "":
		r.Verdict, say = Inconclusive, f.unsure
	case significant && e.effect.Estimate != 0:
		r.Verdict, say = Pass, fmt.Sprintf("p is %s, but the difference is not above the floor of %s", short(e.p), m.floor())
	default:
		r.Verdict, say = Pass, fmt.Sprintf("p is %s, above the limit of %s", short(e.p), short(r.Limit))
	}
	r.Reason = e.words + "; " + say
	if e.dispersion > 1.005 {
		r.Reason += fmt.Sprintf("; what was measured comes in clumps, so the evidence was divided by %.3g", e.dispersion)
	}
}

func (f *finding) failing(e evidence) bool {
	return e.sized && rounded(e.p) <= f.result.Limit
}

// sumUp gives the judgement its verdict.
func (j *Judgement) sumUp() {
	verdict, decisive := Pass, 0
	for _, r := range j.Results {
		if r.Informative {
			continue
		}
		decisive++
		if r.Verdict.Worse(verdict) {
			verdict = r.Verdict
		}
	}
	if decisive == 0 {
		j.Verdict, j.Reason = Inconclusive, "there is no metric that decides"
		return
	}
	j.Verdict = verdict
	var names []string
	for _, r := range j.Results {
		if !r.Informative && r.Verdict == verdict {
			names = append(names, r.Metric)
		}
	}
	which := listed(names)
	switch verdict {
	case Fail:
		j.Reason = which + " failed"
	case Error:
		j.Reason = which + " could not be measured"
	case Inconclusive:
		j.Reason = "there is too little to judge " + which + " by"
	default:
		j.Reason = which + " passed"
	}
}

// lookWindows is for errors and latency.
func (m *Metric) lookWindows(f *finding, d *Data, c *Config) {
	canary, err := sum(d.Canary.Windows, c.Buckets)
	if err != nil {
		f.close(Error, "the canary's samples are garbage: %v", err)
		return
	}
	reference, err := sum(d.Reference.Windows, c.Buckets)
	if err != nil {
		f.close(Error, "the reference's samples are garbage: %v", err)
		return
	}
	if len(d.Canary.Windows) != len(d.Reference.Windows) && len(d.Canary.Windows) > 0 && len(d.Reference.Windows) > 0 {
		f.close(Error, "the two sides' windows are not of the same times: %d and %d", len(d.Canary.Windows), len(d.Reference.Windows))
		return
	}
	r := &f.result
	r.Canary = Counts{Samples: canary.requests, Bad: canary.errors, Missing: canary.missing}
	r.Reference = Counts{Samples: reference.requests, Bad: reference.errors, Missing: reference.missing}
	if m.Kind == Latency {
		r.Canary = Counts{Samples: canary.latency.Total(), Missing: canary.missing}
		r.Reference = Counts{Samples: reference.latency.Total(), Missing: reference.missing}
	}
	if v, why := silence(longestSilence(d.Canary.Windows), longestSilence(d.Reference.Windows), c.MissingScrapes); why != "" {
		f.close(v, "%s", why)
		return
	}
	if bothTooFew(f, d, m.Samples) || tooMany(f, "scrapes", len(d.Canary.Windows), len(d.Reference.Windows), max(m.Gaps, missingScrapes)) {
		return
	}
	if m.Kind == Errors {
		m.compareErrors(f, d, canary, reference)
	} else {
		m.compareLatency(f, d, canary, reference, c)
	}
}

// missingScrapes is the share of scrapes that may fail, if never too many in a row: counters tell with the next one what they have missed.
const missingScrapes = 0.1

// tooFew closes a finding where a side has too few samples to be judged.
func tooFew(f *finding, side string, n int64, s *Samples, least int64) bool {
	switch {
	case n == 0:
		f.close(Inconclusive, "the %s has no samples%s", side, colon(s.Missing))
	case s.Missing != "":
		f.close(Inconclusive, "samples of the %s are missing: %s", side, s.Missing)
	case n < least:
		f.close(Inconclusive, "the %s has %s, and at least %d are needed", side, counted(n, "sample"), least)
	default:
		return false
	}
	return true
}

func bothTooFew(f *finding, d *Data, least int64) bool {
	return tooFew(f, "canary", f.result.Canary.Samples, &d.Canary, least) || tooFew(f, "reference", f.result.Reference.Samples, &d.Reference, least)
}

// tooMany closes a finding where too much of a side is missing.
func tooMany(f *finding, what string, canary, reference int, share float64) bool {
	for _, side := range []struct {
		name       string
		n, missing int
	}{{"canary", canary, f.result.Canary.Missing}, {"reference", reference, f.result.Reference.Missing}} {
		if float64(side.missing) > share*float64(side.n) {
			f.close(Inconclusive, "%d of the %s's %d %s are missing, and at most %s may be", side.missing, side.name, side.n, what, percent(share))
			return true
		}
	}
	return false
}

// silence is the verdict of scrapes that failed, so many in a row of each side; no reason is none. A canary that does not answer while its
// reference does is broken; when neither answers, the measuring is.
func silence(canary, reference, limit int) (Verdict, string) {
	switch {
	case canary >= limit && reference >= limit:
		return Error, fmt.Sprintf("neither side could be scraped, %d times in a row", min(canary, reference))
	case reference >= limit:
		return Error, fmt.Sprintf("the reference could not be scraped, %d times in a row", reference)
	case canary >= limit:
		return Fail, fmt.Sprintf("the canary could not be scraped, %d times in a row, while its reference could: that is a failure, not silence", canary)
	}
	return Pass, ""
}

func longestSilence(windows []Window) int {
	longest, run := 0, 0
	for i := range windows {
		if run++; !windows[i].Missing {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// compareErrors tests the share of requests that failed.
func (m *Metric) compareErrors(f *finding, d *Data, canary, reference counts) {
	// By the reference alone: more failures of the canary must not weaken the evidence against it.
	var seen clumps
	for i := range d.Reference.Windows {
		if w := &d.Reference.Windows[i]; !w.Missing {
			seen.add(w.Errors, w.Requests, 1)
		}
	}
	by := seen.dispersion()
	low, high := Newcombe(canary.errors, canary.requests, reference.errors, reference.requests, widened(m.Level, by))
	difference := ratio(canary.errors, canary.requests) - ratio(reference.errors, reference.requests)
	f.least = weakened(leastP(canary.requests, reference.requests, Higher), by)
	f.evidence = []evidence{{
		test: "Fisher's exact test, one-sided", statistic: float64(canary.errors), p: weakened(Fisher(canary.errors, canary.requests, reference.errors, reference.requests, Higher), by), dispersion: by,
		effect: Effect{Estimate: difference, Low: min(low, difference), High: max(high, difference), Confidence: 1 - 2*m.Level, Unit: Share, Of: "share of failures"},
		sized:  difference > 0 && rounded(difference) >= m.Floor,
		words: fmt.Sprintf("%s of the canary failed (%s) and %s of the reference (%s)", of(canary.errors, canary.requests),
			percent(ratio(canary.errors, canary.requests)), of(reference.errors, reference.requests), percent(ratio(reference.errors, reference.requests))),
	}}
	f.margin(m, high, m.Margin, percent)
}

// margin notes where the interval of the difference does not stay below the margin.
func (f *finding) margin(m *Metric, worst, margin float64, show func(float64) string) {
	if m.Margin > 0 && rounded(worst) > margin {
		f.unsure = fmt.Sprintf("the canary may be worse by %s, and for a pass that must be at most %s for certain", show(worst), show(margin))
	}
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// weakened is the p of a deviate divided by the root of a dispersion: what quasi-likelihood does (R. W. M. Wedderburn, 1974), without
// rounding counts.
func weakened(p, by float64) float64 {
	if by <= 1 || p <= 0 || p >= 0.5 {
		return p
	}
	return normalTail(normalQuantile(p) / math.Sqrt(by))
}

// widened is the tail for which an interval is as much wider.
func widened(each, by float64) float64 {
	return normalTail(normalQuantile(each) * math.Sqrt(max(1, by)))
}
