package ics

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/project/internal/lazy"
	"github.com/gantry-ops/gantry/project/internal/wall"
)

// moment is a date or a time as a calendar has it: what a clock shows, in a zone or in any.
type moment struct {
	face time.Time
	// date: it is a day, in whatever zone one asks for.
	date bool
	// loc is nil for dates and floating times.
	loc *time.Location
}

// in returns the instant; floating ones are in loc.
func (m moment) in(loc *time.Location) time.Time {
	if m.loc != nil {
		loc = m.loc
	}
	return wall.Calendar(m.face, loc)
}

// sort says of what kind a moment is; those of one event are of one kind.
func (m moment) sort() string {
	switch {
	case m.date:
		return "a date"
	case m.loc == nil:
		return "a time without a zone"
	}
	return "a time in a zone"
}

// parseMoment reads DATE or DATE-TIME (RFC 5545, 3.3.4 and 3.3.5).
func parseMoment(text string, asDate bool, loc *time.Location) (moment, error) {
	if asDate || len(text) == len("20060102") {
		t, err := time.Parse("20060102", text)
		if err != nil {
			return moment{}, fmt.Errorf("%q is no date such as 20261224", text)
		}
		return moment{face: t, date: true}, nil
	}
	base, utc := strings.CutSuffix(text, "Z")
	t, err := time.Parse("20060102T150405", base)
	if err != nil {
		return moment{}, fmt.Errorf("%q is no time such as 20261224T180000", text)
	}
	if utc {
		loc = time.UTC
	}
	return moment{face: t, loc: loc}, nil
}

// length is how long an event takes: whole days on the calendar, and then a span of time.
type length struct {
	days  int
	exact time.Duration
}

var durationText = lazy.New(`^\+?P(?:(\d{1,4})W|(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?)$`)

// parseLength reads DURATION (RFC 5545, 3.3.6).
func parseLength(text string) (length, error) {
	m := durationText.FindStringSubmatch(text)
	if m == nil || strings.HasSuffix(text, "P") || strings.HasSuffix(text, "T") {
		return length{}, fmt.Errorf("%q is no duration such as PT6H30M", text)
	}
	var n [6]int
	for i := 1; i < len(m); i++ {
		if m[i] != "" {
			v, err := strconv.Atoi(m[i])
			if err != nil {
				return length{}, errors.New("the duration is too long")
			}
			n[i] = v
		}
	}
	l := length{days: 7*n[1] + n[2], exact: time.Duration(n[3])*time.Hour + time.Duration(n[4])*time.Minute + time.Duration(n[5])*time.Second}
	if l.days > maxDays || l.exact > maxDays*24*time.Hour {
		return length{}, errors.New("the duration is too long")
	}
	return l, nil
}

// maxDays is how long an event may take.
const maxDays = 3660

// after returns the end of an event that begins at a moment.
func (l length) after(m moment, loc *time.Location) time.Time {
	m.face = m.face.AddDate(0, 0, l.days)
	return m.in(loc).Add(l.exact)
}
