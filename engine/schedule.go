package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no time zones of its own

	"github.com/robfig/cron/v3"
)

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Next returns the first time after a time at which a cron line of five fields is due, in an IANA time zone ("" is UTC). A time that a
// change of clocks skips is due at the first instant after the gap; one that comes twice is due once, the first time. A line that
// is never due within the five years to come is an error.
func Next(line, zone string, after time.Time) (time.Time, error) {
	if n := len(strings.Fields(line)); n != 5 || strings.Contains(line, "=") {
		return time.Time{}, fmt.Errorf("cron line %q: five fields are needed: minute hour day month weekday", line)
	}
	schedule, err := cronParser.Parse(line)
	if err != nil {
		return time.Time{}, fmt.Errorf("cron line %q: %w", line, err)
	}
	if strings.EqualFold(zone, "local") { // would be this server's
		return time.Time{}, errors.New(`time zone "local" is not known; name one as "Europe/London"`)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("time zone %q is not known; name one as \"Europe/London\"", zone)
	}
	// The library reckons with what a clock on the wall shows, as if it were UTC, which has neither gaps nor repetitions.
	wall := face(after, loc)
	for {
		wall = schedule.Next(wall)
		if wall.IsZero() {
			return time.Time{}, fmt.Errorf("cron line %q is not due within five years", line)
		}
		if t := instant(wall, loc); t.After(after) {
			return t.UTC(), nil
		}
	}
}

// face is what a clock on a wall in a zone shows at a time, to the second, as if it were UTC.
func face(t time.Time, loc *time.Location) time.Time {
	t = t.In(loc)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// instant is when a clock on a wall shows a time first or, where it never does, when it jumps over it.
func instant(wall time.Time, loc *time.Location) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, loc)
	start, end := t.ZoneBounds()
	switch shown := face(t, loc); {
	case shown.After(wall): // t is on the far side of a gap that wall is in; time.Date may choose either
		return start
	case shown.Before(wall):
		return end
	}
	if start.IsZero() {
		return t
	}
	_, now := t.Zone()
	_, before := start.Add(-time.Nanosecond).Zone()
	if first := t.Add(-time.Duration(before-now) * time.Second); first.Before(start) && face(first, loc).Equal(wall) {
		return first
	}
	return t
}
