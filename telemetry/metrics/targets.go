package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
)

// The labels that tell who a target is. Prometheus' own job is the service as well, for dashboards that know no other.
const (
	labelService     = "service"
	labelVersion     = "version"
	labelEnvironment = "environment"
	labelRegion      = "region"
)

// Target is a place where metrics are fetched.
type Target struct {
	// Address is host:port.
	Address string
	// Scheme is http, which is the default, or https, see [Options.ScrapeTLS].
	Scheme string
	// Path is /metrics by default. It may have a query.
	Path string

	// Service, Version, Environment and Region become labels of these names on every series of the target; what is empty does not. The service
	// is also the label job, which is gantry where it is empty. If the target has labels of these names itself, those are kept with exported_ before them.
	Service, Version, Environment, Region string
	// Instance is the label instance, by default the address. No two targets have the same labels.
	Instance string
	// Labels are further ones.
	Labels map[string]string

	// Interval is how often it is scraped, between 100 ms and an hour; by default [Options.ScrapeInterval].
	Interval time.Duration
	// Timeout is how long a scrape may take; by default, and at most, [Options.ScrapeTimeout] or the interval, whichever is less.
	Timeout time.Duration
}

// Health is how a target is.
type Health string

const (
	// Up is a target whose last scrape was good.
	Up Health = "up"
	// Down is one whose last scrape was not. Its series up is 0, and its other series have ended.
	Down Health = "down"
	// Empty is one whose last scrape was answered without a single sample. Its series up is 1, for so Prometheus has it, but there is nothing to judge it by.
	Empty Health = "empty"
	// Unknown is one that was not scraped yet.
	Unknown Health = "unknown"
	// Refused is one that is not scraped, because there is something wrong with what [Store.SetTargets] was told.
	Refused Health = "refused"
)

// TargetStatus is a target and how it is.
type TargetStatus struct {
	Target
	Health Health
	// Reason says why a target is not up.
	Reason string
	// LastScrape is when the last scrape began; zero if there was none.
	LastScrape time.Time
	// LastDuration is how long it took.
	LastDuration time.Duration
}

// SetTargets replaces all targets. Those that were there before are scraped on without a gap. A new one is scraped within its interval for the first time.
// A target with something wrong is refused, which the error and [Store.Targets] say; the others are scraped all the same.
func (s *Store) SetTargets(targets []Target) error { return s.scraper.set(targets) }

// Targets says how the targets are, in the order of their addresses.
func (s *Store) Targets() []TargetStatus {
	// A query that fails leaves nothing empty; the samples themselves are missing all the same.
	r, _ := s.Query(context.Background(), "scrape_samples_scraped == 0", time.Now())
	empty := map[string]bool{}
	for _, series := range r.Series {
		delete(series.Labels, model.MetricNameLabel)
		empty[labels.FromMap(series.Labels).String()] = true
	}
	return s.scraper.status(empty)
}

// normal returns a target with the defaults filled in.
func (t Target) normal(o Options) Target {
	defaulted(&t.Scheme, "http")
	defaulted(&t.Path, "/metrics")
	defaulted(&t.Instance, t.Address)
	defaulted(&t.Interval, o.ScrapeInterval)
	if t.Timeout == 0 || t.Timeout > o.ScrapeTimeout {
		t.Timeout = o.ScrapeTimeout
	}
	t.Timeout = min(t.Timeout, t.Interval)
	return t
}

// check says what is wrong with a target that has its defaults.
func (t Target) check() error {
	host, port, err := net.SplitHostPort(t.Address)
	if err != nil {
		return fmt.Errorf("target %q: the address is not host:port: %w", t.Address, err)
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("target %s: %s", t.Address, fmt.Sprintf(format, args...))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return refuse("port %q is not a number between 1 and 65535", port)
	}
	switch {
	case host == "" || strings.ContainsAny(host, "/?#@ "):
		return refuse("%q is no name or address of a host", host)
	case t.Scheme != "http" && t.Scheme != "https":
		return refuse("scheme %q is neither http nor https", t.Scheme)
	case !strings.HasPrefix(t.Path, "/"):
		return refuse("path %q does not begin with /", t.Path)
	case t.Interval < minInterval || t.Interval > maxInterval:
		return refuse("interval %s is not within %s and %s", t.Interval, minInterval, maxInterval)
	case t.Timeout < time.Millisecond:
		return refuse("timeout %s is below 1ms", t.Timeout)
	}
	for name, value := range t.Labels {
		switch {
		case !model.UTF8Validation.IsValidLabelName(name) || strings.HasPrefix(name, model.ReservedLabelPrefix):
			return refuse("label %q has a name that a label must not have", name)
		case slices.Contains([]string{labelService, labelVersion, labelEnvironment, labelRegion, model.JobLabel, model.InstanceLabel}, name):
			return refuse("label %q has a field of its own", name)
		case !model.LabelValue(value).IsValid():
			return refuse("label %q has a value that is not UTF-8", name)
		}
	}
	return nil
}

// labels returns what every series of a target has.
func (t Target) labels() labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	for name, value := range t.Labels {
		b.Set(name, value)
	}
	for _, l := range []struct{ name, value string }{
		{model.JobLabel, cmp.Or(t.Service, pool)}, {labelService, t.Service}, {labelVersion, t.Version}, {labelEnvironment, t.Environment}, {labelRegion, t.Region},
		{model.InstanceLabel, t.Instance},
	} {
		b.Set(l.name, strings.ToValidUTF8(l.value, "\uFFFD"))
	}
	return b.Labels()
}

// group returns a target in the form that the scrape manager takes.
func (t Target) group(key string) *targetgroup.Group {
	path, query, _ := strings.Cut(t.Path, "?")
	set := model.LabelSet{
		model.AddressLabel:        model.LabelValue(t.Address),
		model.SchemeLabel:         model.LabelValue(t.Scheme),
		model.MetricsPathLabel:    model.LabelValue(path),
		model.ScrapeIntervalLabel: model.LabelValue(model.Duration(t.Interval.Truncate(time.Millisecond)).String()),
		model.ScrapeTimeoutLabel:  model.LabelValue(model.Duration(t.Timeout.Truncate(time.Millisecond)).String()),
		keyLabel:                  model.LabelValue(key),
	}
	for _, pair := range strings.Split(query, "&") {
		if name, value, _ := strings.Cut(pair, "="); name != "" {
			set[model.LabelName(model.ParamLabelPrefix+name)] = model.LabelValue(value)
		}
	}
	t.labels().Range(func(l labels.Label) { set[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return &targetgroup.Group{Targets: []model.LabelSet{set}, Source: key}
}

// errTwice is a target whose labels another has.
var errTwice = errors.New("another target has the same service, version, environment, region and instance: their series would be one")
