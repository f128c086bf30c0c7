package pipeline

import "regexp"

// Trigger is one kind of event that starts a pipeline.
type Trigger struct {
	Pos Pos
	// Event is the event's name as the format calls it.
	Event string
	// Types are the activity types that count; empty: the event's default ones, which front ends fill in where they differ
	// from "all".
	Types []string
	// Branches, Tags and Paths restrict the event; nil: no restriction.
	Branches, Tags, Paths *Filter
	// Schedules are the times of a "schedule" event.
	Schedules []Schedule
	// Inputs are what a person may set when starting the pipeline by hand.
	Inputs []Input
	// Pipelines are the names of the pipelines whose completion starts this one ("workflow_run").
	Pipelines []string
}

// Schedule is a time by cron line, in a time zone.
type Schedule struct {
	Pos      Pos
	Cron     string
	TimeZone string // IANA name; empty: UTC
}

// Filter is a list of patterns, the last match wins.
type Filter struct {
	Patterns []Pattern
	// Ignore turns the filter round: what matches is left out.
	Ignore bool
}

// Pattern is one line of a filter.
type Pattern struct {
	Pos    Pos
	Source string
	Match  *regexp.Regexp
	// Negate: a match takes a name out that earlier patterns let in.
	Negate bool
}

// Allows reports whether a branch or tag passes. A nil filter lets everything pass.
func (f *Filter) Allows(name string) bool {
	if f == nil {
		return true
	}
	matched := false
	for _, p := range f.Patterns {
		if p.Match.MatchString(name) {
			matched = !p.Negate
		}
	}
	return matched != f.Ignore
}

// AllowsAny reports whether one of the paths passes, which is how filters on paths are meant: a
// change counts unless all of its files are filtered out.
func (f *Filter) AllowsAny(paths []string) bool {
	if f == nil {
		return true
	}
	for _, p := range paths {
		if f.Allows(p) {
			return true
		}
	}
	return false
}
