// Package metrics measures what a release does to its services: Prometheus, embedded. It keeps samples in Prometheus' own
// time series database, scrapes targets with its scrape manager, evaluates its rule files, answers PromQL with its engine, and serves its
// HTTP API, so that Grafana, promtool and everything else that speaks to a Prometheus speaks to this.
//
// It promises:
//   - What was committed survives a kill -9 of the process. A damaged end of the write-ahead log is cut off, and the log says so.
//   - A target harms nobody but itself. One that hangs, answers garbage, or has more series than it may is down, and [Store.Targets] has the reason.
//   - Missing data stays missing: an empty answer is an empty answer, NaN is NaN, and a query that fails is an error with a kind
//     ([ErrBadQuery], [ErrTimeout], [ErrTooManySamples], [ErrUnavailable]), never a value.
//
// An installation that outgrows one process keeps its samples elsewhere: [Options.RemoteWrites] sends them to there, and [External] asks there
// by the same [Querier].
//
// It must not know what its samples mean: releases, verdicts and who may see what are other rooms'. Its handlers ask nobody
// for a name or a password; who mounts them does.
package metrics

import (
	"context"
	"time"
)

// Querier answers questions in PromQL. [Store] asks what is embedded, [External] what is elsewhere; both give the same answers to the same
// samples, and the same kinds of errors. It is safe for concurrent use.
type Querier interface {
	// Query evaluates an expression at a time. A scalar becomes one series without labels; a range vector gives its samples as they are.
	Query(ctx context.Context, expr string, at time.Time) (Result, error)
	// QueryRange evaluates an expression at Start, Start+Step and so on up to End.
	QueryRange(ctx context.Context, expr string, r Range) (Result, error)
}

// Range says when an expression is evaluated.
type Range struct {
	// Start and End are both included. End may not be before Start.
	Start, End time.Time
	// Step is at least 1 ms, and such that there are at most 11,000 steps; that is also the limit of Prometheus' HTTP API.
	Step time.Duration
}

// Result is the answer to a query.
type Result struct {
	// Series is empty if nothing matched. They are sorted by their labels unless the expression sorted them.
	Series []Series
	// Warnings say why the answer may be less than it seems: part of a storage that did not answer, a rate of what is no counter.
	Warnings []string
}

// Series is one series of an answer.
type Series struct {
	// Labels are the series' own; the metric's name is under __name__ if the expression left it there.
	Labels map[string]string
	// Points are in order of time. There is at least one.
	Points []Point
}

// Point is a value at a time, in milliseconds' precision. The value may be NaN or infinite.
type Point struct {
	Time  time.Time
	Value float64
}

// Sample is one value of one series, to be kept.
type Sample struct {
	// Labels must have the metric's name under __name__.
	Labels map[string]string
	Point
}
