package project

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no time zones of its own

	"github.com/robfig/cron/v3"

	"github.com/gantry-ops/gantry/project/ics"
	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
	"github.com/gantry-ops/gantry/project/internal/wall"
)

// Freeze is a set of times in which nothing is released: weekly windows, windows that a cron line begins, a span of dates, or the events of
// a calendar.
type Freeze struct {
	Name string `json:"name"`
	// Reason is told to those who are kept waiting.
	Reason string `json:"reason,omitempty"`
	// Zone is the IANA time zone of everything here that says none; default UTC.
	Zone string `json:"time_zone"`
	// Days with From and To are weekly windows, in clock time "15:04". A window that ends before it begins, or as it begins, ends the next day.
	// Days are "mon" to "sun"; without them it is every day.
	Days []string `json:"days,omitempty"`
	From string   `json:"from,omitempty"`
	To   string   `json:"to,omitempty"`
	// Cron is a line of five fields; each time it is due, a window of For begins, up to 31d.
	Cron string   `json:"cron,omitempty"`
	For  Duration `json:"for,omitempty"`
	// Start and End are dates "2006-01-02", both within the freeze, or times "2006-01-02T15:04", the second of which is not.
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
	// Calendar is an iCalendar file, relative to gantry.yaml; its events are the freeze.
	Calendar string `json:"calendar,omitempty"`
	// Except is an iCalendar file whose events lift the freeze: an exchange's holidays lift the one of its market hours.
	Except string `json:"except,omitempty"`

	// Events and Lifted are what [Load] has read of Calendar and Except.
	Events *ics.Calendar `json:"events,omitempty"`
	Lifted *ics.Calendar `json:"lifted,omitempty"`
}

func newFreeze(name string) *Freeze { return &Freeze{Name: name, Zone: "UTC"} }

var (
	zoneText  = lazy.New(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)
	clockText = lazy.New(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	dateText  = lazy.New(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?$`)
	daysText  = lazy.New(`^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?$`)
	cronText  = lazy.New(`^[^ =]+( +[^ =]+){4}$`)
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

func (f *Freeze) value() bind.Value {
	clock := func(dst *string, what string) bind.Value {
		return bind.Parsed(dst, what, bind.Grammar[string]{Form: `a clock time in quotes, such as "09:30"`, Pattern: clockText, Parse: asIs}).
			Hint(`write it in quotes: "09:30"`)
	}
	date := func(dst *string, what string) bind.Value {
		return bind.Parsed(dst, what, bind.Grammar[string]{Form: "a date such as 2026-12-24, or a time such as 2026-12-24T18:00", Pattern: dateText, Parse: func(s string) (string, error) {
			_, _, err := dateOf(s, time.UTC)
			return s, err
		}})
	}
	days := func(s *string) bind.Value {
		return bind.Parsed(s, "a day", bind.Grammar[string]{Form: "a day such as mon, or days such as mon-fri", Pattern: daysText, Parse: asIs})
	}
	return bind.Of(bind.Object{
		Def: "freeze", What: "a freeze",
		Members: []bind.Member{
			{Key: "reason", Value: bind.String(&f.Reason, "the reason"), Doc: "Told to those who are kept waiting. Default: the name."},
			{Key: "timezone", Value: bind.Parsed(&f.Zone, "the time zone", bind.Grammar[string]{
				Form: "an IANA name such as America/New_York", Pattern: zoneText, Parse: parseZone, Format: itself,
			}), Doc: "The IANA time zone of everything here that says none."},
			{Key: "days", Value: bind.Either("the days", bind.One(&f.Days, days), bind.Items(&f.Days, "the days", 1, days)).Then(func() { f.Days = expandDays(f.Days) }), Doc: "Days of the week: `mon-fri`, or a list. Default: every day."},
			{Key: "from", Value: clock(&f.From, "from"), Doc: "When the window of a day begins. Default: `\"00:00\"`."},
			{Key: "to", Value: clock(&f.To, "to"), Doc: "When it ends; on the next day where that is not later than `from`. Default: `\"00:00\"`."},
			{Key: "cron", Value: bind.Parsed(&f.Cron, "the cron line", bind.Grammar[string]{
				Form: "five fields: minute hour day month weekday", Pattern: cronText, Parse: func(s string) (string, error) {
					schedule, err := cronParser.Parse(s)
					if err == nil && schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
						err = errors.New("it is not due within five years")
					}
					return s, err
				},
			}), Doc: "When a window begins, in five fields."},
			{Key: "for", Value: duration(&f.For, "for", time.Minute, maxWindow), Doc: "How long a window of `cron` takes; 1m to 31d."},
			{Key: "start", Value: date(&f.Start, "start"), Doc: "The first date, or a time."},
			{Key: "end", Value: date(&f.End, "end"), Doc: "The last date, or the time when it is over."},
			{Key: "calendar", Value: file(&f.Calendar, "the calendar"), Doc: "An iCalendar file, relative to gantry.yaml, whose events are the freeze."},
			{Key: "except", Value: file(&f.Except, "the exceptions"), Doc: "An iCalendar file whose events lift the freeze, such as an exchange's holidays."},
		},
		Choices: []bind.Choice{{Sets: [][]string{{"days", "from", "to"}, {"cron", "for"}, {"start", "end"}, {"calendar"}}}},
	})
}

// parseZone refuses "Local" as well: it would be the server's.
func parseZone(name string) (string, error) {
	if strings.EqualFold(name, "local") {
		return "", errors.New("it would be that of the server; name one as Europe/London")
	}
	if _, err := wall.Location(name); err != nil {
		return "", errors.New("there is no such time zone; name one as Europe/London")
	}
	return name, nil
}

// expandDays turns ranges into days, from Sunday on.
func expandDays(in []string) []string {
	var on [7]bool
	for _, d := range in {
		first, last, isRange := strings.Cut(d, "-")
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if from < 0 || isRange && to < 0 {
			continue // reported where it was read
		}
		on[from] = true
		for ; isRange && from != to; from = (from + 1) % 7 {
			on[from] = true
		}
		on[from] = true
	}
	var out []string
	for i, d := range weekdays {
		if on[i] {
			out = append(out, d)
		}
	}
	return out
}

// dateOf reads a date, or a time without a zone.
func dateOf(text string, loc *time.Location) (t time.Time, whole bool, err error) {
	if len(text) == len("2006-01-02") {
		t, err = time.ParseInLocation("2006-01-02", text, loc)
		whole = true
	} else {
		t, err = time.ParseInLocation("2006-01-02T15:04", text, loc)
	}
	if err != nil {
		return time.Time{}, false, errors.New("there is no such date")
	}
	return t, whole, nil
}

// problem says what is missing for the freeze to mean something, once it is read.
func (f *Freeze) problem() (what, hint string) {
	const hours = `write days, from and to; or cron and for; or start and end; or calendar`
	weekly := f.From != "" || f.To != "" || len(f.Days) > 0
	switch {
	case !weekly && f.Cron == "" && f.For == 0 && f.Start == "" && f.End == "" && f.Calendar == "":
		return "it says no time", hours
	case f.Cron != "" && f.For == 0:
		return "a window that a cron line begins needs a length", "add for: 2h"
	case f.Cron == "" && f.For != 0:
		return "a length needs a cron line that says when it begins", hours
	case f.Start != "" && f.End == "":
		return "a freeze that starts needs an end", "add end: and a date; both dates are in the freeze"
	case f.Start == "" && f.End != "":
		return "a freeze that ends needs a start", "add start: and a date"
	case f.Start != "":
		from, to := f.span(f.location())
		if !from.Before(to) {
			return fmt.Sprintf("it ends (%s) before it starts (%s)", f.End, f.Start), ""
		}
	}
	return "", ""
}
