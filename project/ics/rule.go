package ics

import (
	"strings"
	"time"

	"github.com/teambition/rrule-go"

	"github.com/gantry-ops/gantry/project/internal/wall"
)

// The bounds of repetition. Nobody plans a release further ahead.
const (
	firstYear = 1900
	lastYear  = 2100
	maxRules  = 100
	maxSpans  = 200_000
)

// cycle is after how many years the Gregorian calendar is the same again, weekdays included.
const cycle = 400

// shift moves a year to where the library gives up soon: it looks for a rule's next day until the year 9999.
const shift = (9999 - lastYear) / cycle * cycle

// repeat lays a rule out up to the last year. The library reckons with what clocks show, as if it were UTC, so that changes of clocks are
// ours alone.
func (p *parser) repeat(e *event) []moment {
	var kept []string
	var until *moment
	for part := range strings.SplitSeq(strings.TrimSpace(e.rule.value), ";") {
		name, value, _ := strings.Cut(part, "=")
		switch name = strings.ToUpper(name); name {
		case "":
			continue
		case "UNTIL":
			m, err := parseMoment(value, false, e.start.loc)
			if err != nil {
				p.errorf(*e.rule, codeRule, "", "UNTIL: %v", err)
				return nil
			}
			until = &m
			continue
		case "FREQ":
			switch strings.ToUpper(value) {
			case "DAILY", "WEEKLY", "MONTHLY", "YEARLY":
			default:
				p.errorf(*e.rule, codeRule, "use DAILY, WEEKLY, MONTHLY or YEARLY", "events that repeat %s are not supported", strings.ToLower(value))
				return nil
			}
		case "BYHOUR", "BYMINUTE", "BYSECOND":
			p.errorf(*e.rule, codeUnsupported, "write an event for each time of the day", "%s is not supported", name)
			return nil
		}
		kept = append(kept, strings.ToUpper(part))
	}
	option, err := rrule.StrToROption(strings.Join(kept, ";"))
	if err != nil {
		p.errorf(*e.rule, codeRule, "", "the rule is not valid: %v", err)
		return nil
	}
	if option.Interval < 0 || option.Count < 0 {
		p.errorf(*e.rule, codeRule, "", "the rule is not valid: INTERVAL and COUNT are above 0")
		return nil
	}
	option.Dtstart = e.start.face.AddDate(shift, 0, 0)
	rule, err := rrule.NewRRule(*option)
	if err != nil {
		p.errorf(*e.rule, codeRule, "", "the rule is not valid: %v", err)
		return nil
	}
	var out []moment
	next := rule.Iterator()
	for {
		at, ok := next()
		if !ok {
			break
		}
		m := moment{face: at.AddDate(-shift, 0, 0), date: e.start.date, loc: e.start.loc}
		if m.face.Year() > lastYear || until != nil && m.after(*until) {
			break
		}
		if !m.face.Equal(e.start.face) {
			out = append(out, m)
		}
		if len(out) > maxSpans {
			p.errorf(*e.rule, codeRule, "", "the rule yields more than %d events", maxSpans)
			return nil
		}
	}
	return out
}

// after compares with UNTIL: a date there is the last day, as the clock of the series shows it.
func (m moment) after(until moment) bool {
	if until.date {
		return m.face.Truncate(24 * time.Hour).After(until.face)
	}
	if m.loc != nil && until.loc != nil {
		return m.in(nil).After(until.in(nil))
	}
	face := until.face
	if m.loc != nil {
		face = wall.Face(until.in(m.loc), m.loc)
	}
	return m.face.After(face)
}
