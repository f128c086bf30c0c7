package judge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
)

const (
	// firstLook is after which time the new version is first judged when it has all of the traffic; each further look comes after twice the time.
	firstLook = 10 * time.Second
	// mostLooks bounds them.
	mostLooks = 24
	// mostWindows is how many windows a step's record has: longer steps have wider ones, since the analysis puts them together anyway.
	mostWindows = 600
	// pastLevel is how surely the old version's share of failures was no higher than what the new one is held against.
	pastLevel = 0.05
)

// nothingAfter is said of a step with all of the traffic where only differences are judged.
const nothingAfter = "the new version has all of the traffic, so there is nothing at the same time to compare its latency or its queries with; " +
	"analysis.errors, a query with a limit (above, below) or an objective in gantry.yaml can be judged then"

// conclude judges what is due to be judged: a step at its end, and the time after the last one in looks that are twice as far apart each time.
func (s *Service) conclude(ctx context.Context, r release.Record, l *loaded, now time.Time) (*Judgement, error) {
	if !l.Plan.decides() {
		return nil, nil
	}
	switch r.State.Phase {
	case release.Holding:
		if l.Step.Opinion != nil || !l.ended(r, now) {
			return nil, nil
		}
		return s.judgeStep(ctx, r, l, now)
	case release.Soaking, release.Warm:
		if l.Step.Looks >= mostLooks || now.Sub(l.Step.Since) < firstLook<<l.Step.Looks {
			return nil, nil
		}
		return s.judgeAfter(ctx, r, l, now)
	}
	return nil, nil
}

// span are the looks of the step, from its begin.
func (s *Service) span(ctx context.Context, r release.Record, l *loaded) ([]scrape, error) {
	chunks, err := s.chunks(ctx, r.ID, l, 0, l.Step.Begin)
	if err != nil {
		return nil, err
	}
	var all []scrape
	for _, c := range chunks {
		for _, sc := range c.Scrapes {
			if c.Wave == l.Wave && sc.Phase == r.State.Phase && sc.Step == r.State.Step && !sc.From.Before(l.Step.Begin) {
				all = append(all, sc)
			}
		}
	}
	return all, nil
}

func (s *Service) judgeStep(ctx context.Context, r release.Record, l *loaded, now time.Time) (*Judgement, error) {
	all, err := s.span(ctx, r, l)
	if err != nil {
		return nil, err
	}
	st := step(r)
	if st.Requests > 0 {
		var served int64
		for i := range all {
			served += all[i].New.Requests
		}
		// A count that is not reached in time is judged as it is: that it is too few, the rollout says itself.
		patience := st.Within
		if patience == 0 {
			patience = 2*st.Hold + time.Minute
		}
		if served < st.Requests*int64(len(regions(r))) && now.Sub(r.State.Since) < patience {
			return nil, nil
		}
	}
	config, data := l.samples(all, l.Plan.Step, st)
	if len(config.Metrics) == 0 {
		l.Step.Opinion = &release.Opinion{Verdict: analysis.Inconclusive, Reason: nothingAfter}
		return nil, nil
	}
	record, err := analysis.NewRecord(config, data)
	if err != nil {
		return nil, fmt.Errorf("judge a step of the rollout %d: %w", r.ID, err)
	}
	reason := because(record.Judgement)
	if record.Judgement.Verdict != analysis.Pass && record.Judgement.Verdict != analysis.Fail {
		reason += missing(config, data, reason)
	}
	l.Step.Opinion = &release.Opinion{Verdict: record.Judgement.Verdict, Reason: reason}
	j := judgement(r, StepKind, record, reason, now)
	return &j, nil
}

// missing says which query did not answer, and with what, where a reason does not say it already.
func missing(c analysis.Config, data map[string]analysis.Data, reason string) (words string) {
	for _, m := range c.Metrics {
		d := data[m.Name]
		for _, why := range []string{d.Canary.Missing, d.Reference.Missing} {
			if why != "" && !m.Informative && !strings.Contains(reason+words, why) {
				words += "; " + m.Name + ": " + why
			}
		}
	}
	return words
}

// judgeAfter judges the time in which the new version has all of the traffic. Only a failure is worth a record: nothing waits for a pass.
func (s *Service) judgeAfter(ctx context.Context, r release.Record, l *loaded, now time.Time) (*Judgement, error) {
	all, err := s.span(ctx, r, l)
	if err != nil {
		return nil, err
	}
	l.Step.Looks++
	level := max(l.Plan.Step/float64(int(1)<<l.Step.Looks), 1e-12)
	config, data := l.samples(all, level, release.Step{Weight: release.Whole})
	record, err := analysis.NewRecord(config, data)
	if err != nil {
		return nil, fmt.Errorf("judge the rollout %d after its steps: %w", r.ID, err)
	}
	if record.Judgement.Verdict != analysis.Fail {
		return nil, nil
	}
	reason := because(record.Judgement)
	l.Failed = &release.Opinion{Verdict: analysis.Fail, Early: true, Reason: reason}
	j := judgement(r, WatchKind, record, reason, now)
	return &j, nil
}

// samples puts looks together as the analysis takes them.
func (l *loaded) samples(all []scrape, level float64, st release.Step) (analysis.Config, map[string]analysis.Data) {
	config := l.Plan.config(level)
	data := map[string]analysis.Data{}
	metrics := config.Metrics[:0]
	for _, m := range config.Metrics {
		var d analysis.Data
		switch {
		case m.Kind == analysis.Latency && st.Weight == release.Whole, m.Kind == analysis.Values && st.Weight == release.Whole:
			continue // there is nothing at the same time
		case m.Kind == analysis.Errors && st.Weight == release.Whole:
			m, d = l.againstPast(m, all)
		case m.Kind == analysis.Errors || m.Kind == analysis.Latency:
			d.Canary.Windows, d.Reference.Windows = windows(all, st.Baseline > 0, m.Kind == analysis.Latency)
		case m.Kind == analysis.SLO:
			d.Canary = l.Plan.events(m.Name, all)
		default:
			d = l.Plan.series(m.Name, all)
		}
		metrics = append(metrics, m)
		data[m.Name] = d
	}
	config.Metrics = metrics
	return config, data
}

// againstPast holds failures against the share that the old version had before.
func (l *loaded) againstPast(m analysis.Metric, all []scrape) (analysis.Metric, analysis.Data) {
	var total, bad int64
	missing := 0
	for i := range all {
		if w := &all[i].New; w.Missing {
			missing++
		} else {
			total, bad = total+w.Requests, bad+w.Errors
		}
	}
	m.Kind = analysis.SLO
	_, budget := analysis.Wilson(l.Past.Errors, max(l.Past.Requests, 1), pastLevel)
	m.Objective = min(max(1-budget, 1e-9), 1-1e-9)
	d := analysis.Data{Canary: analysis.Samples{Events: &analysis.Events{Good: analysis.Number(total - bad), Total: analysis.Number(total)}}}
	switch {
	case l.Past.Requests == 0:
		d.Canary = analysis.Samples{Missing: "nothing is known of the old version's failures: it had no requests before this step"}
	case 2*missing > len(all):
		d.Canary.Missing = fmt.Sprintf("%d of %d looks failed", missing, len(all))
	}
	return m, d
}

// windows are those of both sides, put together where there are many.
func windows(all []scrape, baseline, latency bool) (canary, reference []analysis.Window) {
	width := max(1, (len(all)+mostWindows-1)/mostWindows)
	for i := 0; i < len(all); i += width {
		var c, f window
		for j := i; j < min(i+width, len(all)); j++ {
			one := all[j].Old
			if baseline {
				one = all[j].Baseline
			}
			if j == i {
				c, f = sum(all[j].New, window{}), sum(one, window{})
				continue
			}
			c, f = sum(c, all[j].New), sum(f, one)
		}
		if !latency {
			c.Latency, f.Latency = nil, nil
		}
		canary, reference = append(canary, c), append(reference, f)
	}
	return canary, reference
}

// because names the metrics that a verdict is of, with what was found.
func because(j analysis.Judgement) string {
	var parts []string
	for _, r := range j.Results {
		if r.Verdict == j.Verdict && !r.Informative && j.Verdict != analysis.Pass {
			parts = append(parts, r.Metric+": "+r.Reason)
		}
	}
	if len(parts) == 0 {
		return j.Reason
	}
	return strings.Join(parts, "; ")
}

func judgement(r release.Record, kind Kind, record *analysis.Record, reason string, now time.Time) Judgement {
	weight := step(r).Weight
	switch r.State.Phase {
	case release.Soaking, release.Warm:
		weight = release.Whole
	case release.Placing, release.Checking:
		weight = 0
		if r.State.Step > 0 {
			weight = r.State.Strategy.Plan(!r.State.Old.IsZero())[r.State.Step-1].Weight
		}
	}
	return Judgement{Rollout: r.ID, Wave: r.State.Wave, Step: r.State.Step, Weight: weight, Phase: r.State.Phase, Kind: kind, Verdict: record.Judgement.Verdict,
		Reason: reason, At: store.At(now), Results: record.Judgement.Results, Hash: record.Hash, Record: record}
}

// cloned is a copy of a watch's state, which shares memory with the watch.
func cloned(s *analysis.State) *analysis.State {
	if s == nil {
		return nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // it is made of numbers and texts alone
	}
	c := &analysis.State{}
	if err := json.Unmarshal(b, c); err != nil {
		panic(err)
	}
	return c
}
