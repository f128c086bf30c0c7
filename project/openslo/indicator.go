package openslo

import (
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/bind"
)

// indicator is an SLI as the file has it.
type indicator struct {
	description, rawType              string
	counter, ratio                    bool
	good, bad, total, raw, thresholds metric
}

// metric is where a number comes from.
type metric struct {
	set              bool
	ref, kind, query string
}

func (m *metric) value(what string) bind.Value {
	return bind.Of(bind.Object{What: what, Members: []bind.Member{
		{Key: "metricSource", Required: true, Value: bind.Of(bind.Object{What: "a metric source", Members: []bind.Member{
			{Key: "metricSourceRef", Value: bind.String(&m.ref, "the data source's name")},
			{Key: "type", Value: bind.String(&m.kind, "the type")},
			{Key: "spec", Required: true, Value: bind.Of(bind.Object{What: "the spec of a Prometheus metric", Members: []bind.Member{
				{Key: "query", Required: true, Value: bind.String(&m.query, "the query"), Doc: "PromQL that yields one number"},
			}})},
		}})},
	}}).Then(func() { m.set = true })
}

// spec is the spec of an SLI.
func (i *indicator) spec() bind.Value {
	return bind.Of(bind.Object{
		What: "an SLI",
		Members: []bind.Member{
			{Key: "description", Value: bind.String(&i.description, "the description")},
			{Key: "thresholdMetric", Value: i.thresholds.value("a threshold metric")},
			{Key: "ratioMetric", Value: bind.Of(bind.Object{
				What: "a ratio metric",
				Members: []bind.Member{
					{Key: "counter", Value: bind.Flag(&i.counter, "counter")},
					{Key: "good", Value: i.good.value("the good events")},
					{Key: "bad", Value: i.bad.value("the bad events")},
					{Key: "total", Value: i.total.value("all events")},
					{Key: "rawType", Value: bind.Words(&i.rawType, "the type of the ratio", "success", "failure")},
					{Key: "raw", Value: i.raw.value("the ratio")},
				},
				Choices: []bind.Choice{
					{Keys: []string{"good", "bad", "raw"}, Need: true},
					{Keys: []string{"total", "raw"}, Need: true},
					{Keys: []string{"total", "rawType"}},
				},
			}).Then(func() { i.ratio = true })},
		},
		Choices: []bind.Choice{{Keys: []string{"thresholdMetric", "ratioMetric"}, Need: true}},
	})
}

// indicator checks the sources and says what is measured. Mistakes of its form are reported already.
func (p *parser) indicator(i *indicator) Indicator {
	for _, m := range []*metric{&i.good, &i.bad, &i.total, &i.raw, &i.thresholds} {
		p.prometheus(m)
	}
	switch {
	case i.thresholds.set:
		return Indicator{Kind: Threshold, Threshold: i.thresholds.query}
	case i.raw.set:
		if i.rawType == "" {
			p.r.Report(pipeline.Error, p.r.At(&i.raw.query), codeObjective, "add rawType: success, or failure", "a raw ratio needs its rawType")
		}
		return Indicator{Kind: Raw, Raw: i.raw.query, RawFailure: i.rawType == "failure"}
	case i.ratio:
		return Indicator{Kind: Ratio, Counter: i.counter, Good: i.good.query, Bad: i.bad.query, Total: i.total.query}
	}
	return Indicator{}
}

// prometheus wants a source of that type, said by the metric or by the data source that it refers to.
func (p *parser) prometheus(m *metric) {
	if !m.set || m.query == "" {
		return
	}
	kind, at := m.kind, p.r.At(&m.kind)
	if kind == "" && m.ref != "" {
		var ok bool
		at = p.r.At(&m.ref)
		if kind, ok = p.sources[m.ref]; !ok {
			p.r.Report(pipeline.Error, at, codeReference, "add type: Prometheus", "there is no data source %q in this file that says the type", m.ref)
			return
		}
	}
	switch {
	case kind == "":
		p.r.Report(pipeline.Error, p.r.At(&m.query), codeUnsupported, "add type: Prometheus to the metric source", "the metric source says no type")
	case !strings.EqualFold(kind, "Prometheus"):
		p.r.Report(pipeline.Error, at, codeUnsupported, "write the query for Prometheus", "metrics of the type %s are not supported", kind)
	}
}
