package analysis

import (
	"errors"
	"fmt"
	"math"
)

// Kind says what a metric's samples are, and so how they are tested.
type Kind string

const (
	// Errors compares the share of requests that failed: Fisher's exact test, and bets on each scrape in a [Watch].
	Errors Kind = "errors"
	// Latency compares how long requests took, by histograms: Mann-Whitney over buckets, Fisher's test on the slowest, bets in a watch.
	Latency Kind = "latency"
	// Values compares two series of numbers: Mann-Whitney.
	Values Kind = "values"
	// Threshold holds a series, or one number, against limits.
	Threshold Kind = "threshold"
	// SLO holds counts of good and all events against an objective: the exact binomial test.
	SLO Kind = "slo"
)

// Metric is what is judged, and how.
type Metric struct {
	// Name is what people call it, unique within a configuration.
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Query is what was asked to get the samples, for the record; nothing here reads it.
	Query string `json:"query,omitempty"`
	// Worse is the difference that fails, for values; errors and latency are always worse when higher.
	Worse Direction `json:"worse,omitempty"`
	// Level is the metric's part of the rate of false alarms relative to those of the other metrics, above 0 and below 0.5. Intervals are
	// given at this level. The rate that is kept is [Config]'s.
	Level float64 `json:"level"`
	// Floor is the difference below which nothing is a regression: points of the share for errors and SLO (0.01 is one percent of all requests),
	// relative to the reference for latency and values (0.2 is a fifth more).
	Floor float64 `json:"floor,omitempty"`
	// AtLeast is a floor in the unit of the values, seconds for latency, in addition.
	AtLeast float64 `json:"at_least,omitempty"`
	// Margin, where it is above 0, asks for more than the absence of evidence: to pass, the whole interval of the difference must be at most
	// this, in the unit of Floor. This is a test of non-inferiority; without enough samples for it, the metric is inconclusive.
	Margin float64 `json:"margin,omitempty"`
	// Samples is how many requests, events or values the canary (and, where there is one, the reference) needs, at least 1.
	Samples int64 `json:"samples"`
	// Gaps is the share of a series that may be NaN or missing, 0 to 0.5; any more is inconclusive.
	Gaps float64 `json:"gaps,omitempty"`
	// Above and Below are a threshold's limits, finite; one or both are set. A value beyond fails.
	Above *float64 `json:"above,omitempty"`
	Below *float64 `json:"below,omitempty"`
	// Tolerated is how many values of a series may be beyond a limit, default none.
	Tolerated int `json:"tolerated,omitempty"`
	// Objective is the share of good events that an SLO asks for, above 0 and below 1.
	Objective float64 `json:"objective,omitempty"`
	// Informative metrics are told and never decide.
	Informative bool `json:"informative,omitempty"`
}

// Config is what a judgement goes by.
type Config struct {
	// Level bounds how often an equal version fails, above 0 and below 0.5: in a judgement, or at any time of a watch.
	Level   float64  `json:"level"`
	Metrics []Metric `json:"metrics"`
	Buckets Buckets  `json:"buckets,omitzero"`
	// MissingScrapes is how many scrapes in a row must fail for a watch to take that for a failure, 1 to 1,000.
	MissingScrapes int `json:"missing_scrapes,omitempty"`
	// Seed is for permutation tests.
	Seed uint64 `json:"seed"`
}

// Defaults for what a configuration leaves at 0.
const (
	DefaultLevel          = 0.01
	DefaultMissingScrapes = 3
)

// WithDefaults returns the configuration with what it leaves out filled in: level, buckets, missing scrapes, and of metrics the level and the
// direction.
func (c Config) WithDefaults() Config {
	if c.Level == 0 {
		c.Level = DefaultLevel
	}
	if c.Buckets == (Buckets{}) {
		c.Buckets = DefaultBuckets
	}
	if c.MissingScrapes == 0 {
		c.MissingScrapes = DefaultMissingScrapes
	}
	metrics := make([]Metric, len(c.Metrics))
	for i, m := range c.Metrics {
		if m.Level == 0 {
			m.Level = c.Level
		}
		if m.Worse == "" {
			m.Worse = Higher
		}
		if m.Samples == 0 {
			m.Samples = 1
		}
		metrics[i] = m
	}
	c.Metrics = metrics
	return c
}

// Check says what is wrong with a configuration whose defaults are filled in.
func (c Config) Check() error {
	var errs []error
	if !(c.Level > 0 && c.Level < 0.5) {
		errs = append(errs, fmt.Errorf("the level must be above 0 and below 0.5"))
	}
	if c.MissingScrapes < 1 || c.MissingScrapes > 1000 {
		errs = append(errs, fmt.Errorf("the number of missing scrapes must be 1 to 1000"))
	}
	if err := c.Buckets.check(); err != nil {
		errs = append(errs, err)
	}
	seen := map[string]bool{}
	for i := range c.Metrics {
		m := &c.Metrics[i]
		if err := m.check(); err != nil {
			errs = append(errs, fmt.Errorf("metric %q: %w", m.Name, err))
		}
		if seen[m.Name] {
			errs = append(errs, fmt.Errorf("metric %q: there are two of this name", m.Name))
		}
		seen[m.Name] = true
	}
	return errors.Join(errs...)
}

// largest is the largest value of a series, a floor or a limit; what is beyond is taken for garbage. Sums and products of such values do not
// overflow.
const largest = 1e150

func usable(f float64) bool { return math.Abs(f) <= largest }

func (m *Metric) check() error {
	switch {
	case m.Name == "":
		return errors.New("a name is needed")
	case !(m.Level > 0 && m.Level < 0.5):
		return errors.New("the level must be above 0 and below 0.5")
	case !m.Worse.valid():
		return fmt.Errorf("%q is no direction; there are higher, lower and different", string(m.Worse))
	case m.Samples < 1 || m.Samples > MaxCount:
		return errors.New("the minimum of samples must be at least 1")
	case !(m.Floor >= 0 && m.AtLeast >= 0 && m.Margin >= 0) || !usable(m.Floor) || !usable(m.AtLeast) || !usable(m.Margin):
		return errors.New("floors and margins must be 0 or more")
	case !(m.Gaps >= 0 && m.Gaps <= 0.5):
		return errors.New("the share of gaps must be 0 to 0.5")
	case m.Tolerated < 0:
		return errors.New("the number of tolerated values must be 0 or more")
	}
	switch m.Kind {
	case Errors, Latency:
		if m.Worse != Higher {
			return fmt.Errorf("%s are worse when higher", m.Kind)
		}
	case Values:
	case Threshold:
		if m.Above == nil && m.Below == nil {
			return errors.New("a threshold needs a limit")
		}
		for _, l := range []*float64{m.Above, m.Below} {
			if l != nil && !usable(*l) {
				return errors.New("a limit must be a finite number")
			}
		}
	case SLO:
		if !(m.Objective > 0 && m.Objective < 1) {
			return errors.New("an objective must be above 0 and below 1")
		}
	default:
		return fmt.Errorf("%q is no kind of metric", string(m.Kind))
	}
	return nil
}

// Split divides the rate of false alarms that is accepted over a whole release between its watch and each of the judgements at the ends of its
// steps. The watch gets nine tenths: what it finds, it finds in seconds, and for the end of a step there are always more samples.
func Split(level float64, steps int) (watch, step float64) {
	return level * 0.9, level * 0.1 / float64(max(1, steps))
}
