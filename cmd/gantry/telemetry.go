package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	manifest "github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/telemetry/metrics"
)

// telemetryOptions say where metrics are kept and asked for, as flags give them.
type telemetryOptions struct {
	retention string
	maxSize   string
	url       string
	tokenFile string
	write     []string
	rules     []string
}

func (o *telemetryOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.retention, "metrics-retention", "", "how long metrics are kept: a `DURATION` of at least 2h (default 15d)")
	f.StringVar(&o.maxSize, "metrics-max-size", "", "how much of the disk metrics may take, at least 64Mi; the oldest go first (default: no limit)")
	f.StringVar(&o.url, "metrics-url", "", "ask the Prometheus, Thanos, Mimir or VictoriaMetrics at this `URL` instead of the embedded one")
	f.StringVar(&o.tokenFile, "metrics-token-file", "", "`FILE` with the bearer token for --metrics-url and --metrics-write")
	f.StringArrayVar(&o.write, "metrics-write", nil, "send all samples by remote write to this `URL` as well; may be repeated")
	f.StringArrayVar(&o.rules, "metrics-rules", nil, "`FILE` with recording and alerting rules in Prometheus' format; may be repeated")
}

// defaultRetention is Prometheus' own.
const defaultRetention = 15 * 24 * time.Hour

// read reads a duration and a size, in the words of gantry.yaml; both may be missing.
func (o *telemetryOptions) read() (retention time.Duration, most int64, err error) {
	d := manifest.Duration(defaultRetention)
	if o.retention != "" {
		err = d.UnmarshalText([]byte(o.retention))
	}
	if err != nil || d.Duration() < 2*time.Hour {
		return 0, 0, usagef("--metrics-retention %s: expected a time of at least 2h, such as 15d or 36h", o.retention)
	}
	var size manifest.Size
	if o.maxSize != "" {
		if err := size.UnmarshalText([]byte(o.maxSize)); err != nil || size < 64<<20 {
			return 0, 0, usagef("--metrics-max-size %s: expected a size of at least 64Mi, such as 10Gi", o.maxSize)
		}
	}
	return d.Duration(), int64(size), nil
}

// telemetry is what the server knows of metrics: a Prometheus of its own that collects, and, where one is named, one elsewhere that answers.
type telemetry struct {
	store *metrics.Store
	// querier answers: the store, or the one elsewhere.
	querier metrics.Querier
	reading http.Handler
	writing http.Handler
}

// Where Prometheus' HTTP API is. Grafana's data source has the server's URL with the first.
const prometheusPrefix = "/prometheus"

// dialer reaches what is to be scraped.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// openTelemetry opens the embedded metrics in a folder.
func openTelemetry(o *telemetryOptions, dir string, dial dialer, log *slog.Logger) (*telemetry, error) {
	retention, most, err := o.read()
	if err != nil {
		return nil, err
	}
	opts := metrics.Options{Dir: filepath.Join(dir, "metrics"), Retention: retention, MaxBytes: most, Dial: dial, Log: slog.New(louder{log.Handler(), slog.LevelWarn}).With("room", "metrics")}
	for n, u := range o.write {
		opts.RemoteWrites = append(opts.RemoteWrites, metrics.RemoteWrite{Name: "write-" + strconv.Itoa(n+1), URL: u, BearerTokenFile: o.tokenFile})
	}
	s, err := metrics.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("open the metrics: %w", err)
	}
	t := &telemetry{store: s, querier: s, reading: s.Handler(prometheusPrefix), writing: s.Ingest(prometheusPrefix)}
	if o.url != "" {
		e, err := metrics.External(metrics.ExternalOptions{URL: o.url, BearerTokenFile: o.tokenFile})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--metrics-url: %w", err), s.Close())
		}
		t.querier, t.reading = e, e.Handler(prometheusPrefix)
	}
	if len(o.rules) > 0 {
		if err := s.SetRules(o.rules...); err != nil {
			return nil, errors.Join(fmt.Errorf("--metrics-rules: %w", err), s.Close())
		}
	}
	return t, nil
}

// louder drops what is below a level: an embedded engine tells of each of its steps.
type louder struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (h louder) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h louder) WithAttrs(a []slog.Attr) slog.Handler { return louder{h.Handler.WithAttrs(a), h.level} }

// WithGroup implements slog.Handler.
func (h louder) WithGroup(name string) slog.Handler {
	return louder{h.Handler.WithGroup(name), h.level}
}

// scraped is something to fetch metrics from: an agent, or an instance behind it.
type scraped struct {
	agent, instance, port, path string
	interval                    time.Duration
	labels                      map[string]string
}

// scrapeHost ends the addresses by which targets are told apart; nobody resolves them.
const scrapeHost = ".agent"

// address names a target: INSTANCE.PORT.AGENT.agent:80, or AGENT.agent:80 for the agent itself. None of the names has a point in it, except that of an
// instance; so it is read from its end.
func (s scraped) address() string {
	if s.instance == "" {
		return s.agent + scrapeHost + ":80"
	}
	return s.instance + "." + cmp.Or(s.port, "_") + "." + s.agent + scrapeHost + ":80"
}

// readScrapeAddress reads what address has written.
func readScrapeAddress(address string) (agent, instance, port string, ok bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", "", false
	}
	host, ok = strings.CutSuffix(host, scrapeHost)
	if !ok {
		return "", "", "", false
	}
	parts := strings.Split(host, ".")
	if len(parts) == 1 {
		return parts[0], "", "", true
	}
	if len(parts) < 3 {
		return "", "", "", false
	}
	n := len(parts)
	return parts[n-1], strings.Join(parts[:n-2], "."), parts[n-2], true
}

// scrape replaces what is scraped. The figures of an agent are about many services, which it labels itself.
func (t *telemetry) scrape(all []scraped) error {
	targets := make([]metrics.Target, 0, len(all))
	for _, s := range all {
		m := metrics.Target{Address: s.address(), Path: s.path, Interval: s.interval, Labels: map[string]string{"agent": s.agent}}
		if s.instance == "" {
			m.Instance = s.agent
		} else {
			m.Instance = s.instance
			m.Service, m.Version, m.Environment, m.Region = s.labels["service"], s.labels["version"], s.labels["environment"], s.labels["region"]
			m.Labels["project"] = s.labels["project"]
		}
		targets = append(targets, m)
	}
	return t.store.SetTargets(targets)
}

func (t *telemetry) close() error { return t.store.Close() }

// checkQuery says what is wrong with a query of gantry.yaml, in PromQL's words and with its place in the query.
func checkQuery(text string) error {
	err := metrics.CheckQuery(text)
	if q, ok := errors.AsType[*metrics.QueryError](err); ok {
		return errors.New(q.Reason)
	}
	return err
}
