package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/project/openslo"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
)

const (
	nameErrors  = "errors"
	nameLatency = "latency"
	// gaps is the share of a query's values that may be missing.
	gaps = 0.1
	// sloSamples is how many events an objective needs where its file cannot say: as many as errors do.
	sloSamples = 50
	// valueSamples is the same for an objective about a value.
	valueSamples = 10
)

// plan is what a wave is judged by. It is made once and kept, so that a restart by another version of this program judges on by the same.
type plan struct {
	Interval time.Duration `json:"interval"`
	// Watch and Step are the levels of the wave's watch and of one judgement of a step.
	Watch   float64           `json:"watch"`
	Step    float64           `json:"step"`
	Metrics []analysis.Metric `json:"metrics"`
	Asks    []ask             `json:"asks,omitempty"`
	Region  string            `json:"region"`
}

// ask is a query of a metric, or a part of one.
type ask struct {
	Metric string `json:"metric"`
	Part   part   `json:"part"`
	Canary string `json:"canary"`
	// Reference is empty where nothing is compared.
	Reference string `json:"reference,omitempty"`
}

// part says what a query's value is for its metric.
type part string

const (
	partValue part = "value"
	// partGood, partBad and partTotal are counters of events of which the increase counts.
	partGood  part = "good"
	partBad   part = "bad"
	partTotal part = "total"
	// partGoodNow, partBadNow and partTotalNow are numbers of events, or rates, at the time of asking.
	partGoodNow  part = "good-now"
	partBadNow   part = "bad-now"
	partTotalNow part = "total-now"
)

// makePlan turns what gantry.yaml says into what the analysis takes. Of a wave's regions the first one's analysis counts for all: they are judged together.
func makePlan(doc project.Config, r release.Record, regions []string) (plan, error) {
	place := doc.Placement(regions[0])
	if place == nil || place.Service == nil {
		return plan{}, fmt.Errorf("the configuration of %s has no region %s", r.Place, regions[0])
	}
	a := &place.Service.Analysis
	p := plan{Interval: max(a.Interval.Duration(), time.Second), Region: regions[0]}
	m := maker{plan: &p, r: r, regions: regions}
	if requests(place.Service) {
		m.test(nameErrors, analysis.Errors, a.Errors)
		m.test(nameLatency, analysis.Latency, a.Latency)
	}
	for _, q := range a.Queries {
		m.query(q)
	}
	for _, ref := range a.SLOs {
		for _, o := range ref.SLOs {
			m.slo(o, ref.Informative)
		}
	}
	level, judged := analysis.DefaultLevel, 1
	if len(p.Metrics) > 0 {
		deciding := slices.DeleteFunc(slices.Clone(p.Metrics), func(m analysis.Metric) bool { return m.Informative })
		if len(deciding) > 0 {
			level = slices.MaxFunc(deciding, func(a, b analysis.Metric) int { return cmp.Compare(a.Level, b.Level) }).Level
		}
	}
	for _, st := range r.State.Strategy.Plan(!r.State.Old.IsZero()) {
		if st.Analyse {
			judged += 1 + r.State.Strategy.Extend
		}
	}
	// One more than there are steps, for the time after them.
	watch, step := analysis.Split(level, judged*len(r.State.Waves))
	p.Watch, p.Step = watch/float64(len(r.State.Waves)), step
	return p, p.config(p.Watch).Check()
}

// requests says whether agents count requests of a service: connections of TCP have no answers.
func requests(s *project.Service) bool {
	return slices.ContainsFunc(s.Ports, func(p *project.Port) bool { return p.Listen != "" && p.Protocol != project.TCP })
}

// config is the analysis' for all metrics at a level.
func (p *plan) config(level float64) analysis.Config {
	return analysis.Config{Level: level, Metrics: slices.Clone(p.Metrics), Seed: 1}.WithDefaults()
}

// decides says whether there is a metric that can make a verdict.
func (p *plan) decides() bool {
	return slices.ContainsFunc(p.Metrics, func(m analysis.Metric) bool { return !m.Informative })
}

type maker struct {
	plan    *plan
	r       release.Record
	regions []string
}

func (m maker) add(one analysis.Metric, asks ...ask) {
	for i := 2; slices.ContainsFunc(m.plan.Metrics, func(o analysis.Metric) bool { return o.Name == one.Name }); i++ {
		one.Name = strings.TrimSuffix(one.Name, " ("+strconv.Itoa(i-1)+")") + " (" + strconv.Itoa(i) + ")"
	}
	m.plan.Metrics = append(m.plan.Metrics, one)
	for _, a := range asks {
		a.Metric = one.Name
		m.plan.Asks = append(m.plan.Asks, a)
	}
}

func (m maker) test(name string, kind analysis.Kind, t project.Test) {
	if t.Off {
		return
	}
	m.add(analysis.Metric{Name: name, Kind: kind, Level: t.Level, Floor: t.Floor / 100, AtLeast: t.AtLeast.Duration().Seconds(),
		Samples: int64(max(t.Samples, 1)), Informative: t.Informative})
}

// each calls f for each region that a metric's queries tell apart, with the metric's name there.
func (m maker) each(name string, f func(name, region string), queries ...string) {
	apart := slices.ContainsFunc(queries, func(q string) bool { return strings.Contains(q, "$region") })
	if !apart || len(m.regions) == 1 {
		f(name, m.regions[0])
		return
	}
	for _, region := range m.regions {
		f(name+" in "+region, region)
	}
}

func (m maker) expand(query, region string, c release.Candidate) string {
	if query == "" || c.IsZero() {
		return ""
	}
	return project.ExpandQuery(query, m.r.Service, c.Version(), m.r.Environment, region)
}

func (m maker) query(q *project.Query) {
	m.each(q.Name, func(name, region string) {
		one := analysis.Metric{Name: name, Kind: analysis.Threshold, Query: q.Query, Level: q.Level, Samples: int64(max(q.Samples, 1)), Gaps: gaps,
			Above: q.Above, Below: q.Below, Informative: q.Informative}
		a := ask{Part: partValue, Canary: m.expand(q.Query, region, m.r.State.New)}
		if q.Worse != "" {
			one.Kind, one.Worse, one.Floor = analysis.Values, analysis.Direction(q.Worse), q.Floor/100
			a.Reference = m.expand(q.Query, region, m.r.State.Old)
		}
		m.add(one, a)
	}, q.Query)
}

func (m maker) slo(o *openslo.SLO, informative bool) {
	in := o.Indicator
	m.each(o.Name, func(name, region string) {
		asks := func(list ...ask) []ask {
			for i := range list {
				list[i].Canary = m.expand(list[i].Canary, region, m.r.State.New)
			}
			return slices.DeleteFunc(list, func(a ask) bool { return a.Canary == "" })
		}
		for _, objective := range o.Objectives {
			one := analysis.Metric{Name: name, Kind: analysis.SLO, Query: in.Total, Level: analysis.DefaultLevel, Samples: sloSamples, Gaps: gaps,
				Objective: min(max(objective.Target, 1e-9), 1-1e-9), Informative: informative}
			switch in.Kind {
			case openslo.Ratio:
				good, bad, total := partGood, partBad, partTotal
				if !in.Counter {
					good, bad, total = partGoodNow, partBadNow, partTotalNow
				}
				m.add(one, asks(ask{Part: good, Canary: in.Good}, ask{Part: bad, Canary: in.Bad}, ask{Part: total, Canary: in.Total})...)
			case openslo.Raw:
				// A share without the number of events behind it has nothing to be tested by: it is held against the objective itself.
				one.Kind, one.Query, one.Objective, one.Samples = analysis.Threshold, in.Raw, 0, valueSamples
				limit := objective.Target
				if in.RawFailure {
					limit = 1 - limit
					one.Above = &limit
				} else {
					one.Below = &limit
				}
				m.add(one, asks(ask{Part: partValue, Canary: in.Raw})...)
			case openslo.Threshold:
				// Each look is an event: good where the comparison holds.
				one.Query, one.Samples = fmt.Sprintf("%s %s %g", in.Threshold, objective.Operator, objective.Limit), valueSamples
				m.add(one, asks(ask{Part: part(fmt.Sprintf("%s %s", objective.Operator, strconv.FormatFloat(objective.Limit, 'g', -1, 64))), Canary: in.Threshold})...)
			}
		}
	}, in.Good, in.Bad, in.Total, in.Raw, in.Threshold)
}
