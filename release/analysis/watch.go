package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Watch looks at a release scrape by scrape, to say as early as it can that the canary is bad. The probability that an equal version ever fails
// is at most the configuration's level, however long it is watched (see the package's comment for what that rests on).
//
// Each decisive metric of kind [Errors] or [Latency] has its own part of the level, errors four times that of latency for the same Level, and fails
// when its evidence reaches the inverse of that part and the difference, over the last minute or so, reaches its floor. Other kinds are
// for [Judge]. A watch never passes anything: what has not failed is inconclusive.
//
// The reference should be all that serves beside the canary, stable and baseline together: the more requests it has in a scrape, the more a
// failure of the canary says. Scrapes from before the canary has requests may be fed too; the watch learns the reference by them.
//
// A Watch is not safe for concurrent use.
type Watch struct {
	config Config
	state  State
	parts  []float64 // of the level, by metric; 0 for those that are not watched
}

// Scrape is what both sides did between two looks at them.
type Scrape struct {
	Canary    Window `json:"canary"`
	Reference Window `json:"reference"`
}

// State is what a watch keeps between scrapes, a few kilobytes of JSON. It is exact: a watch that is resumed from it goes on as if it
// had not been interrupted.
type State struct {
	Scrapes int64 `json:"scrapes"`
	// CanaryMissing and ReferenceMissing are how many scrapes have failed in a row.
	CanaryMissing    int `json:"canary_missing,omitempty"`
	ReferenceMissing int `json:"reference_missing,omitempty"`
	// Garbage says what was wrong with the last scrape that made no sense; it counts as missing.
	Garbage string `json:"garbage,omitempty"`
	// Metrics are in the order of the configuration's.
	Metrics []MetricState `json:"metrics"`
	// Failed is the judgement, once there is one; it stays.
	Failed *Judgement `json:"failed,omitempty"`
}

// MetricState is what is kept of a metric.
type MetricState struct {
	// Bets are by alternative, and Rounds how often they were made.
	Bets   []Bet `json:"bets,omitempty"`
	Rounds int64 `json:"rounds,omitempty"`
	// Clumps say how much the reference's requests hang together.
	Clumps []clumps `json:"clumps,omitempty"`
	Canary Recent   `json:"canary"`
	// Reference is the same of the reference.
	Reference Recent `json:"reference"`
}

// Recent is what is known of one side: counts of all, and what fades.
type Recent struct {
	Requests int64 `json:"requests,omitempty"`
	Bad      int64 `json:"bad,omitempty"`
	// Lately and LatelyBad are the counts, halved every [halfLife] scrapes.
	Lately    float64 `json:"lately,omitempty"`
	LatelyBad float64 `json:"lately_bad,omitempty"`
	// Latency fades as slowly.
	Latency spread `json:"latency,omitempty"`
}

const (
	// halfLife is after how many scrapes a count is worth half, for the size of a difference.
	halfLife = 40
	// clumpLife is the same for the estimate of dispersion, which needs more of them.
	clumpLife = 300
	// enoughPast is how many requests the reference needs before bets are made on latency.
	enoughPast = 50
	// errorsShare is how much more of the level errors get than latency: there each bad answer counts.
	errorsShare = 4
	// One scrape must not be enough to fail a canary: each counts for at most this part of the logarithm that is needed. Two are enough for
	// failures where it is known whether those of the reference come in clumps; else three. Pauses of a process are more usual than failures in
	// one second alone, so latency always needs three.
	knownLimit, unknownLimit, slowLimit = 0.7, 0.5, 0.4
	// knownAfter is how many scrapes of the reference are needed to know, and knownBad how many failures in them.
	knownAfter, knownBad = 30, 10
	// knownShare is how many requests the canary may have, relative to those of a reference that has failed too seldom to know. The first clump
	// that comes to either side comes to the canary with the canary's share of the requests until then, so while that is small, two scrapes are taken for what they
	// look like.
	knownShare = 0.02
)

// fade is the factor for one scrape.
func fade(life float64) float64 { return math.Exp2(-1 / life) }

// NewWatch starts a watch.
func NewWatch(c Config) (*Watch, error) { return Resume(c, nil) }

// Resume goes on from a state; nil is the beginning. A state of other metrics is an error.
func Resume(c Config, s *State) (*Watch, error) {
	c = c.WithDefaults()
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w := &Watch{config: c, parts: make([]float64, len(c.Metrics))}
	if s == nil {
		s = &State{Metrics: make([]MetricState, len(c.Metrics))}
	}
	if err := s.check(c); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w.state = s.clone()
	var all float64
	for i := range c.Metrics {
		m := &c.Metrics[i]
		if w.parts[i] = m.watched(); !m.Informative {
			all += w.parts[i]
		}
	}
	for i := range c.Metrics {
		m := &c.Metrics[i]
		if w.parts[i] > 0 && len(w.state.Metrics[i].Bets) == 0 {
			ms := &w.state.Metrics[i]
			ms.Bets, ms.Clumps = make([]Bet, len(m.alternatives())), make([]clumps, len(m.clumped()))
		}
		switch {
		case !m.Informative:
			w.parts[i] /= max(all, math.SmallestNonzeroFloat64)
		case w.parts[i] > 0:
			w.parts[i] = 1 // it decides nothing, and takes nothing from the others
		}
	}
	return w, nil
}

// watched is a metric's part relative to others; 0 for what is not watched.
func (m *Metric) watched() float64 {
	switch m.Kind {
	case Errors:
		return errorsShare * m.Level
	case Latency:
		return m.Level
	}
	return 0
}

func (m *Metric) alternatives() []alternative {
	if m.Kind == Latency {
		return slownesses
	}
	return failures
}

// clumped are the quantiles beyond which requests are counted to see whether they come in clumps; failures need none.
func (m *Metric) clumped() []float64 {
	if m.Kind == Latency {
		return []float64{0.5, 0.9}
	}
	return []float64{1}
}

// clone copies what a watch changes.
func (s *State) clone() State {
	c := *s
	c.Metrics = slices.Clone(s.Metrics)
	for i := range c.Metrics {
		m := &c.Metrics[i]
		m.Bets, m.Clumps = slices.Clone(m.Bets), slices.Clone(m.Clumps)
		m.Canary.Latency, m.Reference.Latency = slices.Clone(m.Canary.Latency), slices.Clone(m.Reference.Latency)
	}
	return c
}

// check refuses states that no watch has left: they come from disk.
func (s *State) check(c Config) error {
	if len(s.Metrics) != len(c.Metrics) {
		return fmt.Errorf("the state has %d metrics and the configuration %d", len(s.Metrics), len(c.Metrics))
	}
	bad := errors.New("the state is damaged")
	if s.Scrapes < 0 || s.CanaryMissing < 0 || s.ReferenceMissing < 0 {
		return bad
	}
	amount := func(f float64) bool { return f >= 0 && f <= largest }
	for i := range s.Metrics {
		m, ms := &c.Metrics[i], &s.Metrics[i]
		if len(ms.Bets) > 0 && (m.watched() == 0 || len(ms.Bets) != len(m.alternatives()) || len(ms.Clumps) != len(m.clumped())) {
			return bad
		}
		if ms.Rounds < 0 {
			return bad
		}
		for _, b := range ms.Bets {
			if !amount(float64(b)) {
				return bad
			}
		}
		for _, k := range ms.Clumps {
			if !validCounts(k.Bad, k.Requests) || k.Windows < 0 || k.Windows >= 10 {
				return bad
			}
			for _, e := range []clumping{k.Each, k.Tens} {
				if !amount(e.Windows) || !amount(e.Requests) || !amount(e.Bad) || !amount(e.Squares) {
					return bad
				}
			}
		}
		for _, r := range []*Recent{&ms.Canary, &ms.Reference} {
			if r.Requests < 0 || r.Bad < 0 || !amount(r.Lately) || !amount(r.LatelyBad) || len(r.Latency) > c.Buckets.Count+1 {
				return bad
			}
			for _, f := range r.Latency {
				if !amount(f) {
					return bad
				}
			}
		}
	}
	return nil
}

// State returns what has to be kept to resume. It shares memory with the watch: encode it before the next scrape.
func (w *Watch) State() *State { return &w.state }

// Failed reports whether the canary has failed. It stays so.
func (w *Watch) Failed() bool { return w.state.Failed != nil }

// Observe takes the next scrape in, and reports whether the canary has failed. A scrape that makes no sense counts as missing.
func (w *Watch) Observe(s Scrape) bool {
	if w.Failed() {
		return true
	}
	st := &w.state
	st.Scrapes++
	for _, side := range []struct {
		name    string
		window  *Window
		missing *int
	}{{"canary", &s.Canary, &st.CanaryMissing}, {"reference", &s.Reference, &st.ReferenceMissing}} {
		if err := side.window.check(w.config.Buckets); err != nil {
			st.Garbage = fmt.Sprintf("scrape %d of the %s: %v", st.Scrapes, side.name, err)
			*side.window = Window{Missing: true}
		}
		if *side.missing++; !side.window.Missing {
			*side.missing = 0
		}
	}
	for i := range w.config.Metrics {
		switch m, ms := &w.config.Metrics[i], &st.Metrics[i]; m.Kind {
		case Errors:
			ms.observeErrors(&s, w.log(i))
		case Latency:
			ms.observeLatency(&s, w.log(i), w.config.Buckets)
		}
	}
	if w.suspicious() {
		if j := w.Judgement(); j.Verdict == Fail {
			st.Failed = &j
		}
	}
	return w.Failed()
}

// Learn takes in what the reference did before the watch began, in windows of about the length of a scrape, the oldest first, so that the watch knows from
// its first scrape on how seldom the reference fails, and whether its failures come in clumps. Only counts are looked at: what latencies were
// is learned from scrapes. Windows that make no sense are left out.
func (w *Watch) Learn(reference []Window) {
	for i := range reference {
		r := &reference[i]
		if r.Missing || r.check(w.config.Buckets) != nil {
			continue
		}
		for k := range w.config.Metrics {
			if w.config.Metrics[k].Kind == Errors {
				w.state.Metrics[k].observeErrors(&Scrape{Reference: *r}, w.log(k))
			}
		}
	}
}

// suspicious says that it is worth to look closer: most scrapes end here.
func (w *Watch) suspicious() bool {
	if w.state.CanaryMissing >= w.config.MissingScrapes {
		return true
	}
	for i := range w.config.Metrics {
		m, ms := &w.config.Metrics[i], &w.state.Metrics[i]
		if w.parts[i] > 0 && rounded(wealth(ms.Bets, m.alternatives(), ms.Rounds)) >= rounded(w.needed(i)) {
			return true
		}
	}
	return false
}

// needed is the evidence at which a metric fails.
func (w *Watch) needed(i int) float64 { return 1 / (w.config.Level * w.parts[i]) }

func (w *Watch) log(i int) float64 { return math.Log(w.needed(i)) }

func (r *Recent) add(requests, bad int64) {
	r.Requests = min(r.Requests+requests, MaxCount)
	r.Bad = min(r.Bad+bad, MaxCount)
	r.Lately, r.LatelyBad = r.Lately*fade(halfLife)+float64(requests), r.LatelyBad*fade(halfLife)+float64(bad)
}

// known says that two scrapes are enough: whether failures come in clumps is known of the reference, or the canary has had too few requests, those of
// this scrape with them, for a clump to have come to it first.
func (ms *MetricState) known(now int64) bool {
	each := &ms.Clumps[0].Each
	return each.Windows >= knownAfter &&
		(each.Bad >= knownBad || float64(ms.Canary.Requests+now) <= knownShare*float64(ms.Reference.Requests))
}

// observeErrors bets on the failures of a scrape. needed is the logarithm of the evidence that fails.
func (ms *MetricState) observeErrors(s *Scrape, needed float64) {
	most := needed * unknownLimit
	if ms.known(s.Canary.Requests) {
		most = needed * knownLimit
	}
	by := ms.Clumps[0].dispersion() // of the scrapes before this one: a bet is made before the dice fall
	if !s.Canary.Missing && !s.Reference.Missing && s.Canary.Requests > 0 && s.Reference.Requests > 0 {
		ms.Rounds++
		fails, all := s.Canary.Errors+s.Reference.Errors, s.Canary.Requests+s.Reference.Requests
		for i, a := range failures {
			factor := 1.0
			if fails > 0 && fails < all {
				factor = caution(failureFactor(s.Canary.Errors, s.Canary.Requests, fails, all, a.odds), by, most)
			}
			ms.Bets[i].grow(ms.Rounds, factor)
		}
	}
	if !s.Canary.Missing {
		ms.Canary.add(s.Canary.Requests, s.Canary.Errors)
	}
	if !s.Reference.Missing {
		ms.Reference.add(s.Reference.Requests, s.Reference.Errors)
		ms.Clumps[0].add(s.Reference.Errors, s.Reference.Requests, fade(clumpLife))
	}
}

// observeLatency bets on which requests of a scrape are the slow ones.
func (ms *MetricState) observeLatency(s *Scrape, needed float64, b Buckets) {
	past := ms.Reference.Latency
	canary, reference := s.Canary.Latency.Total(), s.Reference.Latency.Total()
	known := past.total() >= enoughPast
	if known && !s.Canary.Missing && !s.Reference.Missing && canary > 0 && reference > 0 {
		by := 1.0
		for i := range ms.Clumps {
			by = max(by, ms.Clumps[i].dispersion())
		}
		last := bandsOf(past)
		at := places(last, b.Count+1)
		bands := make([]band, len(last)+1)
		for bucket, n := range s.Canary.Latency {
			if n != 0 {
				bands[at[bucket]].canary += n
				bands[at[bucket]].all += n
			}
		}
		for bucket, n := range s.Reference.Latency {
			if n != 0 {
				bands[at[bucket]].all += n
			}
		}
		ms.Rounds++
		for i := range slownesses {
			factor := slownessFactor(bands, slownesses[i].weightsFor(past, last, at, b))
			ms.Bets[i].grow(ms.Rounds, caution(factor, by, needed*slowLimit))
		}
	}
	if !s.Canary.Missing {
		ms.Canary.add(canary, 0)
		ms.Canary.Latency.add(s.Canary.Latency, fade(halfLife))
	}
	if !s.Reference.Missing {
		if known {
			for i, q := range []float64{0.5, 0.9} {
				ms.Clumps[i].add(s.Reference.Latency.above(past.quantile(q)), reference, fade(clumpLife))
			}
		}
		ms.Reference.add(reference, 0)
		ms.Reference.Latency.add(s.Reference.Latency, fade(halfLife))
	}
}
