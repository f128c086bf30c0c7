// Package wall reckons between instants and what clocks on walls show, where changes of clocks leave gaps and repeat hours. What a clock shows
// is kept as a time in UTC, which has neither.
package wall

import (
	"sync"
	"time"
)

// Face is what a clock on a wall in a zone shows at a time, to the second.
func Face(t time.Time, loc *time.Location) time.Time {
	t = t.In(loc)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// First is when a clock shows a time first or, where it never does, when it jumps over it.
func First(face time.Time, loc *time.Location) time.Time {
	t := time.Date(face.Year(), face.Month(), face.Day(), face.Hour(), face.Minute(), face.Second(), 0, loc)
	start, end := t.ZoneBounds()
	switch shown := Face(t, loc); {
	case shown.After(face): // t is on the far side of a gap that the face is in; time.Date may choose either
		return start
	case shown.Before(face):
		return end
	}
	if !start.IsZero() {
		_, now := t.Zone()
		_, before := start.Add(-time.Nanosecond).Zone()
		if first := t.Add(-time.Duration(before-now) * time.Second); first.Before(start) && Face(first, loc).Equal(face) {
			return first
		}
	}
	return t
}

// Last is when a clock shows a time last, where that differs: in an hour that comes twice.
func Last(face time.Time, loc *time.Location) time.Time {
	t := First(face, loc)
	if _, end := t.ZoneBounds(); !end.IsZero() {
		_, now := t.Zone()
		_, after := end.Zone()
		if second := t.Add(time.Duration(now-after) * time.Second); !second.Before(end) && Face(second, loc).Equal(face) {
			return second
		}
	}
	return t
}

// Calendar is when calendars mean a time (RFC 5545, 3.3.5): the first of two, and one in a gap by the offset from before the gap.
func Calendar(face time.Time, loc *time.Location) time.Time {
	t := First(face, loc)
	if Face(t, loc).Equal(face) {
		return t
	}
	_, before := t.Add(-time.Nanosecond).Zone()
	return time.Unix(face.Unix()-int64(before), 0).In(loc)
}

// locations are the time zones that were loaded: reading one takes longer than all that is done with it.
var locations sync.Map

// Location is time.LoadLocation, which reads the same zone once.
func Location(name string) (*time.Location, error) {
	if loc, ok := locations.Load(name); ok {
		return loc.(*time.Location), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	locations.Store(name, loc)
	return loc, nil
}
