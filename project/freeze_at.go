package project

import (
	"fmt"
	"slices"
	"time"

	"github.com/gantry-ops/gantry/project/internal/wall"
)

// maxWindow is the longest window of a cron line. It bounds how far one looks back for its begin.
const maxWindow = 31 * 24 * time.Hour

// horizon bounds how far windows that follow each other without a gap are looked through.
const horizon = 100 * 24 * time.Hour

// Frozen says whether a time is in one of the freezes, until when, and why. It follows windows that touch or overlap, so that until is when a
// release may begin; where there is no such time within 100 days, it is that far away. A freeze whose calendar was not read, or that cannot be understood, holds always:
// what is not known never passes. The result depends on its arguments alone.
func (g *Gates) Frozen(at time.Time) (until time.Time, reason string) {
	return Frozen(g.Freezes, at)
}

// Frozen is [Gates.Frozen] for some freezes.
func Frozen(freezes []*Freeze, at time.Time) (until time.Time, reason string) {
	now := at
	for now.Sub(at) < horizon {
		var latest time.Time
		for _, f := range freezes {
			t, why := f.Frozen(now)
			if t.After(latest) {
				latest = t
			}
			if reason == "" && !t.IsZero() {
				reason = why
			}
		}
		if !latest.After(now) {
			break
		}
		now = latest
	}
	if reason == "" {
		return time.Time{}, ""
	}
	return now.UTC(), reason
}

// Frozen says whether a time is in the freeze, until when this window holds, and why. A zero time is not frozen.
func (f *Freeze) Frozen(at time.Time) (until time.Time, reason string) {
	if problem := f.broken(); problem != "" {
		return at.Add(horizon), f.why(problem)
	}
	loc := f.location()
	if f.Calendar != "" && f.Events == nil {
		return at.Add(horizon), f.why(fmt.Sprintf("the calendar %s was not read", f.Calendar))
	}
	until, detail := f.window(at, loc)
	if until.IsZero() || f.Except == "" {
		return until, f.whyIf(until, detail)
	}
	if f.Lifted == nil {
		return until, f.why(fmt.Sprintf("%s; the calendar %s of its exceptions was not read", detail, f.Except))
	}
	if lifted, _ := f.Lifted.At(at, loc); !lifted.IsZero() {
		return time.Time{}, ""
	}
	if next := f.Lifted.Next(at, loc); !next.IsZero() && next.Before(until) {
		until = next
	}
	return until, f.why(detail)
}

func (f *Freeze) whyIf(until time.Time, detail string) string {
	if until.IsZero() {
		return ""
	}
	return f.why(detail)
}

func (f *Freeze) why(detail string) string {
	if f.Reason != "" {
		return fmt.Sprintf("%s: %s (%s)", f.Name, f.Reason, detail)
	}
	return f.Name + ": " + detail
}

// broken says what cannot be understood: of a freeze that [Parse] has made nothing, of one from elsewhere perhaps something.
func (f *Freeze) broken() string {
	if _, err := wall.Location(f.Zone); err != nil {
		return fmt.Sprintf("the time zone %q is not known", f.Zone)
	}
	if f.Cron != "" {
		if _, err := cronParser.Parse(f.Cron); err != nil {
			return fmt.Sprintf("the cron line %q is not valid", f.Cron)
		}
	}
	for _, d := range []string{f.Start, f.End} {
		if _, _, err := dateOf(d, time.UTC); d != "" && err != nil {
			return fmt.Sprintf("there is no date %q", d)
		}
	}
	for _, c := range []string{f.From, f.To} {
		if c != "" && !clockText.MatchString(c) {
			return fmt.Sprintf("there is no clock time %q", c)
		}
	}
	for _, d := range f.Days {
		if !slices.Contains(weekdays, d) {
			return fmt.Sprintf("there is no day %q", d)
		}
	}
	if what, _ := f.problem(); what != "" {
		return what
	}
	return ""
}

// location is the freeze's time zone; UTC where it is not known, which [Parse] refuses.
func (f *Freeze) location() *time.Location {
	loc, err := wall.Location(f.Zone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// window returns the end of the window that holds a time, without its exceptions.
func (f *Freeze) window(at time.Time, loc *time.Location) (until time.Time, detail string) {
	switch {
	case f.Calendar != "":
		until, summary := f.Events.At(at, loc)
		if summary == "" {
			summary = f.Calendar
		}
		return until, summary
	case f.Cron != "":
		return f.cronWindow(at, loc)
	case f.Start != "":
		from, to := f.span(loc)
		if at.Before(from) || !at.Before(to) {
			return time.Time{}, ""
		}
		return to, fmt.Sprintf("%s to %s", f.Start, f.End)
	}
	return f.weekly(at, loc)
}

// span is from Start to End; the last date is in it as a whole.
func (f *Freeze) span(loc *time.Location) (from, to time.Time) {
	start, _, err := dateOf(f.Start, time.UTC)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	from = wall.First(start, loc)
	end, whole, err := dateOf(f.End, time.UTC)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	if whole {
		end = end.AddDate(0, 0, 1)
	}
	return from, wall.First(end, loc)
}

// weekly looks at the windows that begin on the day of a time and on the day before.
func (f *Freeze) weekly(at time.Time, loc *time.Location) (until time.Time, detail string) {
	from, to := clock(f.From), clock(f.To)
	length := to - from
	if length <= 0 {
		length += 24 * time.Hour
	}
	day := wall.Face(at, loc).Truncate(24 * time.Hour)
	for back := range 3 {
		begin := day.AddDate(0, 0, -back)
		if len(f.Days) > 0 && !slices.Contains(f.Days, weekdays[begin.Weekday()]) {
			continue
		}
		start, end := wall.First(begin.Add(from), loc), wall.Last(begin.Add(from+length), loc)
		if !at.Before(start) && at.Before(end) && end.After(until) {
			until, detail = end, fmt.Sprintf("%s %s to %s %s", weekdays[begin.Weekday()], show(from), show(to), f.Zone)
		}
	}
	return until, detail
}

// cronWindow finds the last begin before a time. A begin that a change of clocks skips is at the first instant after the gap, one that comes
// twice is the first.
func (f *Freeze) cronWindow(at time.Time, loc *time.Location) (until time.Time, detail string) {
	schedule, err := cronParser.Parse(f.Cron)
	if err != nil {
		return time.Time{}, ""
	}
	length := min(f.For.Duration(), maxWindow)
	// The library reckons with what a clock on the wall shows, as if it were UTC, which has neither gaps nor repetitions. A day more is for
	// changes of clocks in between.
	on := wall.Face(at.Add(-length), loc).Add(-24 * time.Hour)
	for until.Sub(at) < horizon {
		on = schedule.Next(on)
		start := wall.First(on, loc)
		if on.IsZero() || start.After(at) && (until.IsZero() || start.After(until)) {
			break
		}
		// A window that begins before this one is over prolongs it.
		if end := start.Add(length); at.Before(end) && end.After(until) {
			until = end
		}
	}
	if until.IsZero() {
		return until, ""
	}
	return until, fmt.Sprintf("%s after %q in %s", f.For, f.Cron, f.Zone)
}

// clock reads "15:04"; nothing is midnight.
func clock(text string) time.Duration {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

func show(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}
