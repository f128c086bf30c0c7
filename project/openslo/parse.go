package openslo

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no time zones of its own

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Codes of findings beside those about the form of a file, stable as in docs/diagnostics.md.
const (
	codeVersion     = "openslo-version"
	codeReference   = "openslo-reference"
	codeUnsupported = "openslo-unsupported"
	codeObjective   = "openslo-objective"
	codeDuplicate   = "duplicate-name"
)

// Codes documents the package's codes, for docs/diagnostics.md: each with its severities and what it means.
var Codes = [][3]string{
	{codeVersion, "error", "an object of an OpenSLO file whose apiVersion or kind is not known"},
	{codeReference, "error", "an SLO refers to an SLI or a data source that the file does not have"},
	{codeUnsupported, "error", "something that would change the verdict and is not understood: time slices, composites, other sources than Prometheus"},
	{codeObjective, "error", "an objective that does not fit its indicator"},
}

// apiVersion is the one that is read.
const apiVersion = "openslo/v1"

// kinds of objects; those that are no SLO and say nothing about one are left alone.
var kinds = []string{"SLO", "SLI", "DataSource", "Service", "AlertPolicy", "AlertCondition", "AlertNotificationTarget"}

// parser reads the objects of a file.
type parser struct {
	r       *bind.Reader
	slis    map[string]*indicator
	sources map[string]string
}

// Parse reads the SLOs of a file, at least one, in their order. file is the name that messages call it. There are none where one of the
// diagnostics is an error.
func Parse(file string, src []byte) ([]*SLO, pipeline.Diagnostics) {
	var diags pipeline.Diagnostics
	docs := bind.LoadAll(file, "OpenSLO", src, &diags)
	p := &parser{r: bind.NewReader(&diags), slis: map[string]*indicator{}, sources: map[string]string{}}
	var slos []*bind.Node
	for _, n := range docs {
		switch p.kind(n) {
		case "SLO":
			slos = append(slos, n)
		case "SLI":
			p.sli(n)
		case "DataSource":
			p.source(n)
		}
	}
	if len(slos) == 0 && !diags.HasErrors() {
		diags.Errorf(pipeline.Pos{File: file, Line: 1, Col: 1}, codeReference, "the file has no SLO")
	}
	var out []*SLO
	names := map[string]bool{}
	for _, n := range slos {
		s := p.slo(n)
		if s.Name != "" && names[s.Name] {
			p.r.Report(pipeline.Error, n.Get("metadata").Get("name"), codeDuplicate, "", "there is an SLO %q already", s.Name)
		}
		names[s.Name] = true
		out = append(out, s)
	}
	diags.Sort()
	if diags.HasErrors() {
		return nil, diags
	}
	return out, diags
}

// kind returns an object's kind, "" where it cannot be read.
func (p *parser) kind(n *bind.Node) string {
	if n.Kind != bind.Map {
		p.r.Errorf(n, bind.CodeType, "an object has apiVersion, kind, metadata and spec", "an object is a mapping, not %s", n.Kind)
		return ""
	}
	version, kind := n.Get("apiVersion"), n.Get("kind")
	if version == nil || kind == nil {
		p.r.Report(pipeline.Error, n, codeVersion, "add apiVersion: "+apiVersion+" and kind: SLO", "an object of OpenSLO has apiVersion and kind")
		return ""
	}
	if version.Text != apiVersion {
		p.r.Report(pipeline.Error, version, codeVersion, "convert it to "+apiVersion, "the version %q is not supported", version.Text)
		return ""
	}
	if !slices.Contains(kinds, kind.Text) {
		p.r.Report(pipeline.Error, kind, codeVersion, "the kinds are "+bind.Or(kinds), "there is no kind %q", kind.Text)
		return ""
	}
	return kind.Text
}

// object is what all kinds share.
func object(what string, name, title *string, spec bind.Value) bind.Value {
	var version, kind string
	return bind.Of(bind.Object{What: what, Members: []bind.Member{
		{Key: "apiVersion", Required: true, Value: bind.String(&version, "the version")},
		{Key: "kind", Required: true, Value: bind.String(&kind, "the kind")},
		{Key: "metadata", Required: true, Value: metadata(name, title)},
		{Key: "spec", Required: true, Value: spec},
	}})
}

func metadata(name, title *string) bind.Value {
	return bind.Of(bind.Object{What: "metadata", Members: []bind.Member{
		{Key: "name", Required: true, Value: bind.String(name, "the name")},
		{Key: "displayName", Value: bind.String(title, "the display name")},
		{Key: "labels", Value: bind.Anything()},
		{Key: "annotations", Value: bind.Anything()},
	}})
}

func (p *parser) sli(n *bind.Node) {
	var name, title string
	i := &indicator{}
	p.r.Read(n, object("an SLI", &name, &title, i.spec()))
	p.slis[name] = i
}

func (p *parser) source(n *bind.Node) {
	var name, title, kind, description string
	p.r.Read(n, object("a data source", &name, &title, bind.Of(bind.Object{What: "a data source", Members: []bind.Member{
		{Key: "description", Value: bind.String(&description, "the description")},
		{Key: "type", Required: true, Value: bind.String(&kind, "the type")},
		{Key: "connectionDetails", Value: bind.Anything()},
	}})))
	p.sources[name] = kind
}

// objective is an objective as the file has it.
type objective struct {
	Objective
	percent      float64
	limit        bool
	slice        string
	sliceMinutes float64
	sliceTarget  float64
}

func (o *objective) value() bind.Value {
	in := bind.Range{Least: 0, Most: 1, Under: true}
	all := bind.Range{Least: math.Inf(-1), Most: math.Inf(1)}
	return bind.Of(bind.Object{
		What: "an objective",
		Members: []bind.Member{
			{Key: "displayName", Value: bind.String(&o.Title, "the display name")},
			{Key: "op", Value: bind.Words(&o.Operator, "the operator", AtMost, AtLeast, Below, Above)},
			{Key: "value", Value: bind.Num(&o.Limit, "the value", all).Then(func() { o.limit = true })},
			{Key: "target", Value: bind.Num(&o.Target, "the target", in)},
			{Key: "targetPercent", Value: bind.Num(&o.percent, "the target in percent", bind.Range{Least: 0, Most: 100, Under: true}).Then(func() { o.Target = o.percent / 100 })},
			{Key: "timeSliceTarget", Value: bind.Num(&o.sliceTarget, "the target of time slices", bind.Range{Least: 0, Most: 1})},
			{Key: "timeSliceWindow", Value: bind.Either("the window of time slices", bind.Num(&o.sliceMinutes, "the window of time slices", all), bind.String(&o.slice, "the window of time slices"))},
			{Key: "indicator", Value: bind.Anything().Then(func() { o.slice = "composite" })},
			{Key: "indicatorRef", Value: bind.Anything().Then(func() { o.slice = "composite" })},
			{Key: "compositeWeight", Value: bind.Anything().Then(func() { o.slice = "composite" })},
		},
		Choices: []bind.Choice{{Keys: []string{"target", "targetPercent"}, Need: true}},
	})
}

// window is a time window as the file has it.
type window struct {
	Window
	rolling, calendar bool
}

var (
	lengthText = lazy.New(`^[1-9][0-9]{0,4}[mhdwMQY]$`)
	startText  = lazy.New(`^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$`)
)

const dayLength = 24 * time.Hour

var units = map[string]time.Duration{
	"m": time.Minute, "h": time.Hour, "d": dayLength, "w": 7 * dayLength, "M": 30 * dayLength, "Q": 90 * dayLength, "Y": 365 * dayLength,
}

// longest is the longest window.
const longest = 10 * 366 * dayLength

func (w *window) value() bind.Value {
	return bind.Of(bind.Object{What: "a time window", Members: []bind.Member{
		{Key: "duration", Required: true, Value: bind.Parsed(&w.Text, "the duration", bind.Grammar[string]{
			Form: "a number and one of m, h, d, w, M, Q and Y, such as 30d", Pattern: lengthText,
			Parse: func(text string) (string, error) {
				n, err := strconv.Atoi(text[:len(text)-1])
				if err != nil {
					return "", err
				}
				if w.Length = time.Duration(n) * units[text[len(text)-1:]]; w.Length > longest {
					return "", errors.New("it is more than ten years")
				}
				return text, nil
			},
		})},
		{Key: "isRolling", Value: bind.Flag(&w.Rolling, "isRolling").Then(func() { w.rolling = true })},
		{Key: "calendar", Value: bind.Of(bind.Object{What: "a calendar", Members: []bind.Member{
			{Key: "startTime", Required: true, Value: bind.Parsed(&w.Start, "the start", bind.Grammar[string]{
				Form: "a time such as 2026-01-01 00:00:00", Pattern: startText,
				Parse: func(text string) (string, error) {
					_, err := time.Parse(time.DateTime, text)
					if err != nil {
						err = errors.New("there is no such time")
					}
					return text, err
				},
			})},
			{Key: "timeZone", Required: true, Value: bind.Parsed(&w.Zone, "the time zone", bind.Grammar[string]{
				Form: "an IANA name such as America/New_York", Pattern: lazy.New(`^[A-Za-z][A-Za-z0-9_+/-]*$`),
				Parse: func(text string) (string, error) {
					if _, err := time.LoadLocation(text); err != nil || strings.EqualFold(text, "local") {
						return "", errors.New("there is no such time zone")
					}
					return text, nil
				},
			})},
		}}).Then(func() { w.calendar = true })},
	}})
}

func (p *parser) slo(n *bind.Node) *SLO {
	s := &SLO{Pos: n.Pos}
	var inline indicator
	var ref, method string
	var windows []window
	var objectives []objective
	var sliName, sliTitle string
	p.r.Read(n, object("an SLO", &s.Name, &s.Title, bind.Of(bind.Object{
		What: "an SLO",
		Members: []bind.Member{
			{Key: "description", Value: bind.String(&s.Description, "the description")},
			{Key: "service", Value: bind.String(&s.Service, "the service")},
			{Key: "indicator", Value: bind.Of(bind.Object{What: "an indicator", Members: []bind.Member{
				{Key: "metadata", Value: metadata(&sliName, &sliTitle)},
				{Key: "spec", Required: true, Value: inline.spec()},
			}})},
			{Key: "indicatorRef", Value: bind.String(&ref, "the indicator's name")},
			{Key: "timeWindow", Value: bind.Items(&windows, "the time window", 1, (*window).value)},
			{Key: "budgetingMethod", Value: bind.Words(&method, "the budgeting method", "Occurrences", "Timeslices", "RatioTimeslices")},
			{Key: "objectives", Required: true, Value: bind.Items(&objectives, "the objectives", 1, (*objective).value)},
			{Key: "alertPolicies", Value: bind.Anything()},
		},
		Choices: []bind.Choice{{Keys: []string{"indicator", "indicatorRef"}, Need: true}},
	})))
	if s.Title == "" {
		s.Title = s.Name
	}
	if method != "" && method != "Occurrences" {
		p.r.Report(pipeline.Error, p.r.At(&method), codeUnsupported, "use budgetingMethod: Occurrences", "the budgeting method %s is not supported", method)
	}
	i := &inline
	if ref != "" {
		var ok bool
		if i, ok = p.slis[ref]; !ok {
			p.r.Report(pipeline.Error, p.r.At(&ref), codeReference, "write it into the same file, or inline as indicator", "there is no SLI %q in this file", ref)
			return s
		}
	}
	s.Indicator = p.indicator(i)
	p.window(s, windows)
	p.objectives(s, objectives)
	return s
}

func (p *parser) window(s *SLO, windows []window) {
	if len(windows) == 0 {
		return
	}
	if len(windows) > 1 {
		p.r.Report(pipeline.Error, p.r.At(&windows[1]), codeUnsupported, "keep one", "an SLO has one time window")
		return
	}
	w := &windows[0]
	if !w.rolling {
		w.Rolling = !w.calendar
	}
	if w.Rolling == w.calendar {
		p.r.Report(pipeline.Error, p.r.At(w), codeObjective, "a rolling window has isRolling: true, another one a calendar", "the window is both rolling and aligned with a calendar, or neither")
	}
	s.Window = w.Window
}

func (p *parser) objectives(s *SLO, objectives []objective) {
	for i := range objectives {
		o := &objectives[i]
		at := p.r.At(o)
		if o.slice == "composite" {
			p.r.Report(pipeline.Error, at, codeUnsupported, "write an SLO for each indicator", "objectives with indicators of their own are not supported")
			continue
		}
		if threshold := s.Indicator.Kind == Threshold; threshold && (o.Operator == "" || !o.limit) {
			p.r.Report(pipeline.Error, at, codeObjective, "add op: lte and value: 0.5, say", "an objective about a thresholdMetric needs op and value")
		} else if !threshold && o.limit && s.Indicator.Kind != "" {
			p.r.Report(pipeline.Error, at, codeObjective, "remove op and value", "an objective about a ratio has a target and no value")
		}
		s.Objectives = append(s.Objectives, o.Objective)
	}
	if s.Indicator.Kind == Threshold && len(objectives) > 1 {
		p.r.Report(pipeline.Error, p.r.At(&objectives[1]), codeObjective, "write an SLO for each", "an SLO about a thresholdMetric has one objective")
	}
}
