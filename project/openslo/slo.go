package openslo

import (
	"time"

	"github.com/gantry-ops/gantry/pipeline"
)

// SLO is a service level objective.
type SLO struct {
	// Name is metadata.name.
	Name string       `json:"name"`
	Pos  pipeline.Pos `json:"-"`
	// Title is metadata.displayName, or the name.
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Service     string `json:"service,omitempty"`
	// Indicator is what is measured.
	Indicator Indicator `json:"indicator"`
	// Window is what the objectives are reckoned over; the zero Window where the file says none.
	Window Window `json:"window,omitzero"`
	// Objectives are one or more; exactly one for [Threshold].
	Objectives []Objective `json:"objectives"`
}

// Kind says how an indicator is measured.
type Kind string

const (
	// Ratio is good (or total without bad) events out of all.
	Ratio Kind = "ratio"
	// Raw is a share that somebody else has computed.
	Raw Kind = "raw"
	// Threshold is a value that is compared with a limit.
	Threshold Kind = "threshold"
)

// Indicator is a service level indicator. The queries are PromQL.
type Indicator struct {
	Kind Kind `json:"kind"`
	// Counter: the queries of a ratio are of counters that only grow, so that increases count; else they are numbers of their own.
	Counter bool `json:"counter,omitempty"`
	// Good or Bad, and Total, are those of a ratio.
	Good  string `json:"good,omitempty"`
	Bad   string `json:"bad,omitempty"`
	Total string `json:"total,omitempty"`
	// Raw is a share from 0 to 1: of failures where RawFailure is set, else of successes.
	Raw        string `json:"raw,omitempty"`
	RawFailure bool   `json:"raw_failure,omitempty"`
	// Threshold is the value that objectives compare.
	Threshold string `json:"threshold,omitempty"`
}

// Window is a time window.
type Window struct {
	// Text is the file's: "30d", "1M".
	Text string `json:"text"`
	// Length takes a month for 30 days, a quarter for 90 and a year for 365.
	Length time.Duration `json:"length"`
	// Rolling windows end now; others are aligned with a calendar from Start, "2006-01-02 15:04:05" in Zone.
	Rolling bool   `json:"rolling"`
	Start   string `json:"start,omitempty"`
	Zone    string `json:"zone,omitempty"`
}

// Operator compares a value with a limit; the comparison holds where all is well.
type Operator string

const (
	AtMost  Operator = "lte"
	AtLeast Operator = "gte"
	Below   Operator = "lt"
	Above   Operator = "gt"
)

// Holds compares.
func (o Operator) Holds(value, limit float64) bool {
	switch o {
	case AtMost:
		return value <= limit
	case AtLeast:
		return value >= limit
	case Below:
		return value < limit
	case Above:
		return value > limit
	}
	return false
}

// Objective is a target.
type Objective struct {
	Title string `json:"title,omitempty"`
	// Target is the share that has to be good, from 0 to less than 1.
	Target float64 `json:"target"`
	// Operator and Limit are those of a [Threshold].
	Operator Operator `json:"operator,omitempty"`
	Limit    float64  `json:"limit,omitempty"`
}
