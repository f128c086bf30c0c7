package ics

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/lazy"
	"github.com/gantry-ops/gantry/project/internal/wall"
)

const maxEvents = 20_000

// parser walks over the lines of a file.
type parser struct {
	file  string
	diags *pipeline.Diagnostics
	// zones are the time zones that the file describes, by their names there, where they say an IANA name.
	zones  map[string]string
	events []*event
}

// event is a VEVENT.
type event struct {
	at      line
	uid     string
	summary string
	start   *moment
	length  length
	rule    *line
	more    []moment // RDATE
	except  []moment // EXDATE
	// instance is the RECURRENCE-ID: the event stands for one of a series.
	instance  *moment
	cancelled bool
	bad       bool
}

func (p *parser) errorf(l line, code, hint, format string, args ...any) {
	p.diags.Add(pipeline.Diagnostic{Pos: l.pos, Width: l.width, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Parse reads a calendar. file is the name that messages call it. The calendar is nil where one of the diagnostics is an error.
func Parse(file string, src []byte) (*Calendar, pipeline.Diagnostics) {
	var diags pipeline.Diagnostics
	p := &parser{file: file, diags: &diags, zones: map[string]string{}}
	all := lines(file, src, &diags)
	if all == nil && !diags.HasErrors() {
		diags.Add(pipeline.Diagnostic{Pos: pipeline.Pos{File: file, Line: 1, Col: 1}, Code: codeSyntax, Message: "the calendar is empty", Hint: "an iCalendar file begins with BEGIN:VCALENDAR"})
	}
	if !diags.HasErrors() {
		// Zones may be described after the events that are in them.
		p.walk(all, p.zoneLine, nil)
		p.walk(all, nil, p.component)
	}
	var c *Calendar
	if !diags.HasErrors() {
		c = p.calendar()
	}
	diags.Sort()
	if diags.HasErrors() {
		return nil, diags
	}
	c.source = string(src)
	return c, diags
}

// walk follows BEGIN and END. Lines go to each with the components that they are in, VEVENTs as a whole to event. Only one of the two
// passes reports the nesting.
func (p *parser) walk(all []line, each func(path []string, l line), event func(begin line, body []line)) {
	var path []string
	var body []line
	var begin line
	report := event != nil
	seen := false
	for _, l := range all {
		switch l.name {
		case "BEGIN":
			name := strings.ToUpper(strings.TrimSpace(l.value))
			if report && len(path) == 0 && name != "VCALENDAR" {
				p.errorf(l, codeSyntax, "an iCalendar file begins with BEGIN:VCALENDAR", "%s stands outside of a VCALENDAR", name)
				return
			}
			seen = true
			if len(path) == 16 {
				if report {
					p.errorf(l, codeSyntax, "", "components nest too deeply")
				}
				return
			}
			path = append(path, name)
			if len(path) == 2 && name == "VEVENT" {
				begin, body = l, nil
			}
			continue
		case "END":
			name := strings.ToUpper(strings.TrimSpace(l.value))
			if len(path) == 0 || path[len(path)-1] != name {
				if report {
					p.errorf(l, codeSyntax, "", "END:%s does not end what began last", name)
				}
				return
			}
			if event != nil && len(path) == 2 && name == "VEVENT" {
				event(begin, body)
			}
			path = path[:len(path)-1]
			continue
		}
		if len(path) == 0 {
			if report {
				p.errorf(l, codeSyntax, "an iCalendar file begins with BEGIN:VCALENDAR", "%s stands outside of a VCALENDAR", l.name)
			}
			return
		}
		if each != nil {
			each(path, l)
		}
		if len(path) == 2 && path[1] == "VEVENT" {
			body = append(body, l)
		}
	}
	if report && (len(path) > 0 || !seen) {
		last := all[len(all)-1]
		p.errorf(last, codeSyntax, "the file may be cut off", "the file ends within a component")
	}
}

// zoneLine finds the IANA names that programs note beside names of their own.
func (p *parser) zoneLine(path []string, l line) {
	if len(path) != 2 || path[1] != "VTIMEZONE" {
		return
	}
	switch l.name {
	case "TZID":
		p.zones[""] = l.value
	case "X-LIC-LOCATION":
		if own := p.zones[""]; own != "" {
			p.zones[own] = l.value
		}
	}
}

// ianaTail is an IANA name at the end of a longer one: "/example.org/20260101/Europe/London".
var ianaTail = lazy.New(`[A-Za-z_]+(/[A-Za-z_+-]+[0-9]*){1,2}$`)

// zone finds a time zone by its name in the file.
func (p *parser) zone(l line) (*time.Location, bool) {
	id := l.param("TZID")
	if id == "" {
		return nil, true
	}
	for _, name := range []string{id, p.zones[id], ianaTail.FindString(id)} {
		if name == "" || strings.EqualFold(name, "local") || strings.Contains(name, "..") {
			continue
		}
		if loc, err := wall.Location(name); err == nil {
			return loc, true
		}
	}
	p.errorf(l, codeZone, "export the calendar with IANA time zones such as Europe/London", "the time zone %q is not known", id)
	return nil, false
}

// moments reads the value of DTSTART and its like.
func (p *parser) moments(l line) []moment {
	if v := l.param("VALUE"); v == "PERIOD" {
		p.errorf(l, codeUnsupported, "write an event of its own for it", "%s with periods is not supported", l.name)
		return nil
	}
	loc, ok := p.zone(l)
	if !ok {
		return nil
	}
	var out []moment
	for text := range strings.SplitSeq(l.value, ",") {
		m, err := parseMoment(strings.TrimSpace(text), l.param("VALUE") == "DATE", loc)
		if err != nil {
			p.errorf(l, codeEvent, "", "%s: %v", l.name, err)
			return nil
		}
		if y := m.face.Year(); y < firstYear || y > lastYear {
			p.errorf(l, codeEvent, "", "%s: the year %d is not between %d and %d", l.name, y, firstYear, lastYear)
			return nil
		}
		out = append(out, m)
	}
	return out
}

// one wants a single moment.
func (p *parser) one(l line) *moment {
	switch ms := p.moments(l); len(ms) {
	case 0:
		return nil
	case 1:
		return &ms[0]
	}
	p.errorf(l, codeEvent, "", "%s has more than one value", l.name)
	return nil
}

// component reads a VEVENT.
func (p *parser) component(begin line, body []line) {
	e := &event{at: begin}
	var end *moment
	var endLine line
	var duration *line
	before := len(*p.diags)
	seen := map[string]bool{}
	for i := range body {
		l := body[i]
		switch l.name {
		case "DTSTART", "DTEND", "DURATION", "RRULE", "UID", "RECURRENCE-ID", "STATUS":
			if seen[l.name] {
				p.errorf(l, codeEvent, "", "the event has %s twice", l.name)
				continue
			}
			seen[l.name] = true
		}
		switch l.name {
		case "DTSTART":
			e.start = p.one(l)
		case "DTEND":
			end, endLine = p.one(l), l
		case "DURATION":
			duration = &body[i]
		case "RRULE":
			e.rule = &body[i]
		case "RDATE":
			e.more = append(e.more, p.moments(l)...)
		case "EXDATE":
			e.except = append(e.except, p.moments(l)...)
		case "EXRULE":
			p.errorf(l, codeUnsupported, "write the exceptions as EXDATE", "EXRULE is not supported")
		case "RECURRENCE-ID":
			if l.param("RANGE") != "" {
				p.errorf(l, codeUnsupported, "end the series by UNTIL, and begin another one", "changes of all that follow (RANGE) are not supported")
				continue
			}
			e.instance = p.one(l)
		case "UID":
			e.uid = l.value
		case "SUMMARY":
			e.summary = unescape(l.value)
		case "STATUS":
			e.cancelled = strings.EqualFold(strings.TrimSpace(l.value), "CANCELLED")
		}
	}
	if len(*p.diags) > before {
		return
	}
	if len(p.events) == maxEvents {
		p.errorf(begin, codeSize, "", "the calendar has more than %d events", maxEvents)
		return
	}
	if e.start == nil {
		p.errorf(begin, codeEvent, "add DTSTART", "the event has no beginning")
		return
	}
	if p.measure(e, end, endLine, duration) {
		p.events = append(p.events, e)
	}
}

// measure finds out how long an event takes.
func (p *parser) measure(e *event, end *moment, endLine line, duration *line) bool {
	switch {
	case end != nil && duration != nil:
		p.errorf(*duration, codeEvent, "keep one of them", "the event has both DTEND and DURATION")
		return false
	case end != nil:
		if end.date != e.start.date || (end.loc == nil) != (e.start.loc == nil) {
			p.errorf(endLine, codeEvent, "", "the event begins with %s and ends with %s", e.start.sort(), end.sort())
			return false
		}
		if e.start.date {
			e.length.days = int(end.face.Sub(e.start.face) / (24 * time.Hour))
		} else {
			e.length.exact = end.in(time.UTC).Sub(e.start.in(time.UTC))
		}
		if e.length.days < 0 || e.length.exact < 0 {
			p.errorf(endLine, codeEvent, "", "the event ends before it begins")
			return false
		}
		if e.length.days > maxDays || e.length.exact > maxDays*24*time.Hour {
			p.errorf(endLine, codeEvent, "", "the event takes more than %d days", maxDays)
			return false
		}
	case duration != nil:
		l, err := parseLength(duration.value)
		if err == nil && e.start.date && l.exact != 0 {
			err = fmt.Errorf("an event of whole days cannot take hours")
		}
		if err != nil {
			p.errorf(*duration, codeEvent, "", "%v", err)
			return false
		}
		e.length = l
	case e.start.date:
		e.length.days = 1
	}
	if e.length == (length{}) {
		p.diags.Add(pipeline.Diagnostic{Severity: pipeline.Warning, Pos: e.at.pos, Width: e.at.width, Code: codeEvent, Message: "the event takes no time: nothing is frozen by it", Hint: "add DTEND or DURATION"})
	}
	return true
}

// calendar lays the events out.
func (p *parser) calendar() *Calendar {
	c := &Calendar{}
	// What an event with RECURRENCE-ID stands for is taken out of its series.
	moved := map[string][]moment{}
	for _, e := range p.events {
		if e.instance != nil {
			moved[e.uid] = append(moved[e.uid], *e.instance)
		}
	}
	rules := 0
	for _, e := range p.events {
		if e.cancelled {
			continue
		}
		starts := []moment{*e.start}
		if e.rule != nil && e.instance == nil {
			if rules++; rules > maxRules {
				p.errorf(*e.rule, codeSize, "", "the calendar has more than %d rules of repetition", maxRules)
				return nil
			}
			starts = append(starts, p.repeat(e)...)
		}
		starts = append(starts, e.more...)
		without := exceptions(e.except)
		if e.instance == nil {
			without = exceptions(slices.Concat(e.except, moved[e.uid]))
		}
		for _, s := range starts {
			if !without.has(s) {
				c.spans = append(c.spans, span{start: s, length: e.length, summary: e.summary})
			}
		}
		if len(c.spans) > maxSpans {
			p.errorf(e.at, codeSize, "end series by UNTIL or COUNT", "the calendar has more than %d events when its repetitions are counted", maxSpans)
			return nil
		}
	}
	return c
}

// except are the moments that EXDATE and RECURRENCE-ID take out of a series. They may be in another zone than the series; a date takes all of its
// day, as the clock of the series shows it.
type except struct {
	// days, floating and instants are of dates, of times without a zone, and of others; any has the days of all.
	days, any, floating map[time.Time]bool
	instants            map[int64]bool
	faces               map[time.Time]bool
}

func exceptions(moments []moment) except {
	x := except{days: map[time.Time]bool{}, any: map[time.Time]bool{}, floating: map[time.Time]bool{}, faces: map[time.Time]bool{}, instants: map[int64]bool{}}
	for _, m := range moments {
		x.any[day(m)] = true
		x.faces[m.face] = true
		switch {
		case m.date:
			x.days[day(m)] = true
		case m.loc == nil:
			x.floating[m.face] = true
		default:
			x.instants[m.in(nil).Unix()] = true
		}
	}
	return x
}

func day(m moment) time.Time { return m.face.Truncate(24 * time.Hour) }

func (x except) has(m moment) bool {
	switch {
	case m.date:
		return x.any[day(m)]
	case x.days[day(m)], x.floating[m.face]:
		return true
	case m.loc == nil:
		return x.faces[m.face]
	}
	return x.instants[m.in(nil).Unix()]
}
