package project

import (
	"math"
	"time"

	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/openslo"
)

// Baseline is what a candidate is compared with.
type Baseline string

const (
	// BaselineEqual is a second set of instances of the stable version, as old as the candidate's and with its weight, where weights allow;
	// else the stable version.
	BaselineEqual Baseline = "equal"
	// BaselineStable is the stable version as it runs.
	BaselineStable Baseline = "stable"
)

// Inconclusive says what follows when there is too little to judge by.
type Inconclusive string

const (
	// Hold stops where it is and waits for a person.
	Hold Inconclusive = "hold"
	// RollBack withdraws the candidate.
	RollBack Inconclusive = "rollback"
	// Extend goes on with the step for as long again, at most [Analysis.Extensions] times, and then holds.
	Extend Inconclusive = "extend"
)

// Analysis says how a candidate is judged. Missing data, NaN and failed queries never pass.
type Analysis struct {
	// Interval is the time between two looks, 1s to 1h; default 1s.
	Interval Duration `json:"interval"`
	Baseline Baseline `json:"baseline"`
	// Inconclusive is by default to watch for longer: too few requests are no reason to call somebody.
	Inconclusive Inconclusive `json:"inconclusive"`
	// Extensions is how often a step is extended, 1 to 100; default 3.
	Extensions int `json:"extensions"`
	// Errors is about the share of requests that fail, Latency about how long they take, both measured by the agent.
	Errors  Test `json:"errors"`
	Latency Test `json:"latency"`
	// Queries are the user's own, in PromQL.
	Queries []*Query `json:"queries,omitempty"`
	SLOs    []SLORef `json:"slos,omitempty"`
}

// Test is how a metric is compared.
type Test struct {
	// Off is set where the metric is not looked at.
	Off bool `json:"off,omitempty"`
	// Level is the rate of false alarms that is accepted over the release, above 0 and up to 0.2; default 0.01.
	Level float64 `json:"level,omitempty"`
	// Floor is the difference below which nothing is a regression, in percent: points of the share for errors (default 1), of the baseline's
	// own value for others (latency: 20, queries: 10).
	Floor float64 `json:"floor,omitempty"`
	// AtLeast is a floor in time for latency, in addition; default 1ms.
	AtLeast Duration `json:"at_least,omitempty"`
	// Samples is how many the candidate needs for a verdict, at least 1; default 50, for queries 10.
	Samples int `json:"samples,omitempty"`
	// Informative metrics are shown and never decide.
	Informative bool `json:"informative,omitempty"`
}

// Direction says which difference from the baseline is worse.
type Direction string

const (
	Higher    Direction = "higher"
	Lower     Direction = "lower"
	Different Direction = "different"
)

// Query is a metric in PromQL. One of Above, Below and Worse is set.
type Query struct {
	Name string `json:"name"`
	// Query yields one number. $service, $version, $environment and $region stand for those of the side that is asked for.
	Query string `json:"query"`
	// Above and Below are limits: a value beyond them fails.
	Above *float64 `json:"above,omitempty"`
	Below *float64 `json:"below,omitempty"`
	// Worse says which difference from the baseline fails.
	Worse Direction `json:"worse,omitempty"`
	Test
}

// SLORef names objectives in an OpenSLO file.
type SLORef struct {
	// File is a path relative to gantry.yaml.
	File string `json:"file"`
	// Name is the SLO's metadata.name; empty is all of the file.
	Name        string `json:"name,omitempty"`
	Informative bool   `json:"informative,omitempty"`
	// SLOs are what [Load] has read: at least one.
	SLOs []*openslo.SLO `json:"slos,omitempty"`
}

func defaultAnalysis() Analysis {
	return Analysis{
		Interval: Duration(time.Second), Baseline: BaselineEqual, Inconclusive: Extend, Extensions: 3,
		Errors:  Test{Level: 0.01, Floor: 1, Samples: 50},
		Latency: Test{Level: 0.01, Floor: 20, AtLeast: Duration(time.Millisecond), Samples: 50},
	}
}

func (a *Analysis) value() bind.Value {
	return bind.Of(bind.Object{
		Def: "analysis", What: "the analysis",
		Members: []bind.Member{
			{Key: "interval", Value: duration(&a.Interval, "the interval", time.Second, time.Hour), Doc: "Between two looks; 1s to 1h."},
			{Key: "baseline", Value: bind.Words(&a.Baseline, "the baseline", BaselineEqual, BaselineStable), Doc: "What the candidate is compared with: as many instances of the stable version that are as old and have the same weight (`equal`), where weights allow, or the stable version as it runs (`stable`)."},
			{Key: "inconclusive", Value: bind.Words(&a.Inconclusive, "inconclusive", Hold, RollBack, Extend), Doc: "What follows when there is too little to judge by: wait for a person, withdraw the candidate, or go on with the step."},
			{Key: "extensions", Value: bind.Int(&a.Extensions, "extensions", 1, 100), Doc: "How often `extend` does so before it holds."},
			{Key: "errors", Value: a.Errors.value("errors", false), Doc: "The share of requests that fail, or `none`. The floor is in points of the share."},
			{Key: "latency", Value: a.Latency.value("latency", true), Doc: "How long requests take, or `none`. The floor is relative to the baseline."},
			{Key: "queries", Value: bind.Named(&a.Queries, "the queries", nameKeys("the name of a query"), 0, newQuery, func(q *Query) string { return q.Name }, (*Query).value), Doc: "Metrics in PromQL, by names of your choice."},
			{Key: "slos", Value: bind.Items(&a.SLOs, "the SLOs", 0, (*SLORef).value), Doc: "OpenSLO files, relative to gantry.yaml."},
		},
	})
}

func (t *Test) members(timed bool) []bind.Member {
	members := []bind.Member{
		{Key: "level", Value: bind.Num(&t.Level, "the level", bind.Range{Least: 0, Most: 0.2, Above: true}), Doc: "The rate of false alarms that is accepted, above 0 and up to 0.2."},
		{Key: "floor", Value: bind.Percent(&t.Floor, "the floor", bind.Range{Least: 0, Most: 10_000}), Doc: "The difference in percent below which nothing is a regression."},
		{Key: "samples", Value: bind.Int(&t.Samples, "samples", 1, 1_000_000_000), Doc: "How many the candidate needs for a verdict; below, it is inconclusive."},
		{Key: "informative", Value: bind.Flag(&t.Informative, "informative"), Doc: "Shown, and never decides."},
	}
	if timed {
		members = append(members, bind.Member{Key: "at-least", Value: duration(&t.AtLeast, "at-least", 0, time.Hour), Doc: "A floor in time, in addition."})
	}
	return members
}

func (t *Test) value(what string, timed bool) bind.Value {
	none := bind.Word(what, "none", func(*bind.Node) { t.Off = true })
	return bind.Either(what, none, bind.Of(bind.Object{Def: what, What: what, Members: t.members(timed)}).Before(func() { t.Off = false }))
}

func newQuery(name string) *Query {
	return &Query{Name: name, Test: Test{Level: 0.01, Floor: 10, Samples: 10}}
}

func (q *Query) value() bind.Value {
	number := func(dst **float64, what string) bind.Value {
		return bind.Maybe(dst, func() *float64 { return new(float64) }, func(f *float64) bind.Value {
			return bind.Num(f, what, bind.Range{Least: math.Inf(-1), Most: math.Inf(1)})
		})
	}
	return bind.Of(bind.Object{
		Def: "query", What: "a query",
		Members: append([]bind.Member{
			{Key: "query", Required: true, Value: bind.String(&q.Query, "the query"), Doc: "PromQL that yields one number. `$service`, `$version`, `$environment` and `$region` stand for those of the side that is asked for."},
			{Key: "above", Value: number(&q.Above, "above"), Doc: "Fails above this value."},
			{Key: "below", Value: number(&q.Below, "below"), Doc: "Fails below this value."},
			{Key: "worse", Value: bind.Words(&q.Worse, "worse", Higher, Lower, Different), Doc: "Compares with the baseline: which difference fails."},
		}, q.Test.members(false)...),
		Choices: []bind.Choice{{Keys: []string{"above", "below", "worse"}, Need: true, Reset: func() { q.Above, q.Below, q.Worse = nil, nil, "" }}},
	})
}

func (s *SLORef) value() bind.Value {
	path := file(&s.File, "the SLO's file")
	return bind.Either("an SLO", path, bind.Of(bind.Object{
		What: "an SLO",
		Members: []bind.Member{
			{Key: "file", Required: true, Value: path, Doc: "An OpenSLO file, relative to gantry.yaml."},
			{Key: "name", Value: bind.String(&s.Name, "the SLO's name"), Doc: "The `metadata.name` of the one that is meant. Default: all of the file."},
			{Key: "informative", Value: bind.Flag(&s.Informative, "informative"), Doc: "Shown, and never decides."},
		},
	}))
}
