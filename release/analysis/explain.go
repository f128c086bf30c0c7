package analysis

import (
	"fmt"
	"strings"
)

// Explain writes in plain words what was judged, by what, and why: a heading, a paragraph for each metric, and how to check it.
func (r *Record) Explain() string {
	var b strings.Builder
	j := &r.Judgement
	what := "end of step"
	if r.watched() {
		what = "watch"
	}
	fmt.Fprintf(&b, "Verdict: %s (%s)\n%s.\n", j.Verdict, what, sentence(j.Reason))
	metrics := map[string]*Metric{}
	for i := range r.Config.Metrics {
		metrics[r.Config.Metrics[i].Name] = &r.Config.Metrics[i]
	}
	for i := range j.Results {
		res := &j.Results[i]
		fmt.Fprintf(&b, "\n%s: %s", res.Metric, res.Verdict)
		if res.Informative {
			b.WriteString(" (does not decide)")
		}
		fmt.Fprintf(&b, "\n  why        %s\n", res.Reason)
		if m := metrics[res.Metric]; m != nil && m.Query != "" {
			fmt.Fprintf(&b, "  query      %s\n", strings.ReplaceAll(m.Query, "\n", "\n             "))
		}
		fmt.Fprintf(&b, "  canary     %s\n", res.Canary.words(res.Kind))
		if res.Reference != (Counts{}) {
			fmt.Fprintf(&b, "  reference  %s\n", res.Reference.words(res.Kind))
		}
		if res.Test != "" {
			fmt.Fprintf(&b, "  test       %s\n", res.words())
		}
		if res.Effect != nil {
			fmt.Fprintf(&b, "  difference %s\n", res.Effect.words())
		}
		if m := metrics[res.Metric]; m != nil && res.Effect != nil {
			fmt.Fprintf(&b, "  floor      %s\n", m.floor())
		}
	}
	if r.watched() {
		fmt.Fprintf(&b, "\nThe probability that an equal version ever fails by this watch is at most %s.\n", percent(r.Config.Level))
	} else {
		fmt.Fprintf(&b, "\nThe probability that an equal version fails by this judgement is at most %s, over all metrics that decide (Holm's method).\n", percent(r.Config.Level))
	}
	fmt.Fprintf(&b, "Record version %d, configuration sha256:%s, seed %d.\n", r.Version, r.Hash, r.Config.Seed)
	return b.String()
}

func (r *Record) watched() bool { return r.Start != nil || len(r.Scrapes) > 0 }

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (c *Counts) words(k Kind) string {
	var parts []string
	what, bad := "request", ""
	typical := ""
	switch k {
	case Errors:
		bad = "failed"
	case Latency:
		typical = seconds(c.Typical)
	case SLO:
		what, bad = "event", "bad"
	case Threshold:
		what, bad, typical = "value", "beyond the limit", short(c.Typical)
	default:
		what, typical = "value", short(c.Typical)
	}
	parts = append(parts, counted(c.Samples, what))
	if bad != "" && c.Samples > 0 {
		parts = append(parts, fmt.Sprintf("%d %s", c.Bad, bad))
	}
	if typical != "" && c.Typical != 0 {
		parts = append(parts, "median "+typical)
	}
	if c.Missing > 0 {
		parts = append(parts, fmt.Sprintf("%d missing", c.Missing))
	}
	return strings.Join(parts, ", ")
}

func (r *Result) words() string {
	s := fmt.Sprintf("%s: statistic %s", r.Test, short(r.Statistic))
	switch {
	case r.E != nil:
		s = fmt.Sprintf("%s: evidence %s, limit %s", r.Test, short(*r.E), short(r.Limit))
	case r.P != nil:
		s += fmt.Sprintf(", p %s, limit %s", short(*r.P), short(r.Limit))
	}
	if r.Dispersion > 1.005 {
		s += fmt.Sprintf(", divided by a dispersion of %s", short(r.Dispersion))
	}
	return s
}

func (e *Effect) words() string {
	show := short
	if e.Unit != Plain {
		show = percent
	}
	s := fmt.Sprintf("%s %s", e.Of, signed(show, e.Estimate))
	if e.Confidence > 0 {
		s += fmt.Sprintf(" (%s to %s with a confidence of %s)", signed(show, e.Low), signed(show, e.High), percent(e.Confidence))
	}
	return s
}

func signed(show func(float64) string, f float64) string {
	if f > 0 {
		return "+" + show(f)
	}
	return show(f)
}
