package ics

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Calendar is the times of a file's events. It may be used concurrently.
type Calendar struct {
	// source is the file's text: a calendar is the same as the text in JSON.
	source string
	spans  []span

	mu sync.Mutex
	// laid are the spans in order of their beginning, by the zone that floating times and dates are taken in.
	laid map[string][]laid
}

// span is an event, as the calendar has it.
type span struct {
	start   moment
	length  length
	summary string
}

// laid is a span in a zone.
type laid struct {
	from, to time.Time
	summary  string
}

// MarshalText implements [encoding.TextMarshaler]: a calendar is written as the file that it was read from.
func (c *Calendar) MarshalText() ([]byte, error) { return []byte(c.source), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *Calendar) UnmarshalText(text []byte) error {
	read, diags := Parse("calendar", text)
	if read == nil {
		return fmt.Errorf("read a calendar: %w", diags.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.source, c.spans, c.laid = read.source, read.spans, nil
	return nil
}

// Len returns the number of events, repetitions counted, up to the year 2100.
func (c *Calendar) Len() int { return len(c.spans) }

// in returns the spans of a zone.
func (c *Calendar) in(loc *time.Location) []laid {
	c.mu.Lock()
	defer c.mu.Unlock()
	if out, ok := c.laid[loc.String()]; ok {
		return out
	}
	out := make([]laid, 0, len(c.spans))
	for _, s := range c.spans {
		l := laid{from: s.start.in(loc), to: s.length.after(s.start, loc), summary: s.summary}
		if l.from.Before(l.to) {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b laid) int { return a.from.Compare(b.from) })
	if c.laid == nil {
		c.laid = map[string][]laid{}
	}
	c.laid[loc.String()] = out
	return out
}

// At returns when the event is over that holds a time, and what it is called; a zero time is none. Of several the one counts that ends last.
// Dates and times without a zone are in loc. An event holds its beginning and not its end.
func (c *Calendar) At(at time.Time, loc *time.Location) (until time.Time, summary string) {
	for _, l := range c.in(loc) {
		if l.from.After(at) {
			break
		}
		if at.Before(l.to) && l.to.After(until) {
			until, summary = l.to, l.summary
		}
	}
	return until, summary
}

// Next returns when the first event after a time begins; a zero time is never.
func (c *Calendar) Next(after time.Time, loc *time.Location) time.Time {
	all := c.in(loc)
	i, _ := slices.BinarySearchFunc(all, after, func(l laid, t time.Time) int {
		if l.from.After(t) {
			return 1
		}
		return -1
	})
	if i == len(all) {
		return time.Time{}
	}
	return all[i].from
}
