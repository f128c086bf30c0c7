package metrics

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grafana/regexp"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/features"

	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// prometheusVersion is the Prometheus that is embedded. Grafana decides by it what it may ask. The module counts its versions as 0.3xx.y.
const prometheusVersion = "3.16.0"

// The paths below /api/v1 on which metrics are taken in. All others read.
const (
	writePath = "/write"
	otlpPath  = "/otlp/v1/metrics"
)

// Handler serves the reading part of Prometheus' HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/) below prefix, at
// prefix/api/v1/query and so on: queries, series, labels, targets, rules, alerts, metadata, status, remote read. Its administration is off.
// A data source in Grafana, or promtool, has the address of prefix. The requests come with the prefix in their path.
//
// Also there are prefix/-/healthy and prefix/-/ready.
func (s *Store) Handler(prefix string) http.Handler {
	return s.serve(prefix, func(path string) bool { return path != writePath && path != otlpPath })
}

// Ingest serves the writing part below prefix: remote write of versions 1 and 2 at prefix/api/v1/write, and OTLP metrics over HTTP, in protobuf
// and JSON, at prefix/api/v1/otlp/v1/metrics. A request may have 32 MiB after decompression. Samples more than 10 minutes ahead of this
// machine's clock are dropped, those that are older than [Options.OutOfOrder] allows are refused.
func (s *Store) Ingest(prefix string) http.Handler {
	return s.serve(prefix, func(path string) bool { return path == writePath || path == otlpPath })
}

func (s *Store) serve(prefix string, has func(path string) bool) http.Handler {
	prefix = strings.TrimSuffix(prefix, "/")
	// The API is made with the first request: that takes a tenth of a second, most of it for a document that describes it, and a server should start quickly.
	router := sync.OnceValue(func() *route.Router {
		router := route.New().WithPrefix(prefix + "/api/v1")
		s.api().Register(router)
		return router
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, leave, ok := s.gate.enter(r.Context())
		if !ok {
			http.Error(w, errClosed.Error(), http.StatusServiceUnavailable)
			return
		}
		defer leave()
		path, below := strings.CutPrefix(r.URL.Path, prefix)
		api, isAPI := strings.CutPrefix(path, "/api/v1")
		switch {
		case below && isAPI && has(api):
			router().ServeHTTP(w, r.WithContext(ctx))
		case below && (path == "/-/healthy" || path == "/-/ready") && has(path):
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write([]byte("The metrics are ready.\n")) // Who asked may have gone away.
		default:
			http.NotFound(w, r)
		}
	})
}

// newAPI wires Prometheus' own API to our parts.
func (s *Store) newAPI() *v1.API {
	// Who is served has come through the gate.
	ready := func(f http.HandlerFunc) http.HandlerFunc { return f }
	noOverride := v1.OverrideErrorCode(nil)
	return v1.NewAPI(
		s.engine,
		s.db,      // what queries read
		s.storage, // what remote write and OTLP write to
		s.db,      // exemplars
		func(context.Context) v1.ScrapePoolsRetriever { return s.scraper.manager },
		func(context.Context) v1.TargetRetriever { return s.scraper.manager },
		func(context.Context) v1.AlertmanagerRetriever { return noAlertmanagers{} },
		s.shownConfig,
		s.flags(),
		v1.GlobalURLOptions{ListenAddress: "localhost:9090", Host: "localhost:9090", Scheme: "http"},
		ready,
		tsdbStats{s.db},
		s.opts.Dir,
		false, // the administration: nobody deletes samples over HTTP
		false, // the search, which is experimental
		0,
		s.opts.Log,
		func(context.Context) v1.RulesRetriever { return rulesRetriever{s.rules} },
		50_000_000, 10, 1<<20, // remote read, as Prometheus has it by default
		false,
		regexp.MustCompile("^$"), // no other site's scripts
		s.runtimeInfo,
		&v1.PrometheusVersion{Version: prometheusVersion, Branch: "gantry", GoVersion: runtime.Version()},
		s.notices.Get,
		s.notices.Sub,
		s.registry,
		s.registry,
		nil,
		true,
		remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType},
		true, true, false, // OTLP; deltas become totals
		s.opts.Lookback,
		false,
		false,
		noOverride,
		features.NewRegistry(),
		v1.OpenAPIOptions{Version: prometheusVersion},
		s.parser,
		false,
		s.opts.QueryTimeout,
	)
}

// flags are what /api/v1/status/flags shows: those of Prometheus' flags that mean something here.
func (s *Store) flags() map[string]string {
	o := s.opts
	duration := func(d time.Duration) string { return model.Duration(max(0, d)).String() }
	return map[string]string{
		"query.lookback-delta":                  o.Lookback.String(),
		"query.max-concurrency":                 strconv.Itoa(o.MaxQueries),
		"query.max-samples":                     strconv.Itoa(o.MaxSamples),
		"query.timeout":                         duration(o.QueryTimeout),
		"storage.tsdb.path":                     o.Dir,
		"storage.tsdb.retention.size":           strconv.FormatInt(o.MaxBytes, 10) + "B",
		"storage.tsdb.retention.time":           duration(o.Retention),
		"web.enable-admin-api":                  "false",
		"web.enable-lifecycle":                  "false",
		"web.enable-otlp-receiver":              "true",
		"web.enable-remote-write-receiver":      "true",
		"storage.tsdb.out-of-order-time-window": duration(o.OutOfOrder),
	}
}

func (s *Store) runtimeInfo() (v1.RuntimeInfo, error) {
	host, err := os.Hostname()
	if err != nil {
		return v1.RuntimeInfo{}, err
	}
	retention := model.Duration(s.opts.Retention).String()
	if s.opts.MaxBytes > 0 {
		retention += " or " + strconv.FormatInt(s.opts.MaxBytes>>20, 10) + "MiB"
	}
	return v1.RuntimeInfo{
		StartTime: s.started, CWD: s.opts.Dir, Hostname: host, ServerTime: time.Now().UTC(),
		ReloadConfigSuccess: true, LastConfigTime: s.started,
		GoroutineCount: runtime.NumGoroutine(), GOMAXPROCS: runtime.GOMAXPROCS(0), GOMEMLIMIT: debug.SetMemoryLimit(-1),
		GOGC: os.Getenv("GOGC"), GODEBUG: os.Getenv("GODEBUG"), StorageRetention: retention,
	}, nil
}

// tsdbStats is the database as the API wants it for its status pages.
type tsdbStats struct{ *tsdb.DB }

func (t tsdbStats) Stats(label string, limit int) (*tsdb.Stats, error) {
	return t.Head().Stats(label, limit), nil
}

func (t tsdbStats) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{}, nil
}

func (t tsdbStats) BlockMetas() ([]tsdb.BlockMeta, error) { return t.DB.BlockMetas(), nil }

// rulesRetriever is the rules as the API wants them.
type rulesRetriever struct{ manager *rules.Manager }

func (r rulesRetriever) RuleGroups() []*rules.Group           { return r.manager.RuleGroups() }
func (r rulesRetriever) AlertingRules() []*rules.AlertingRule { return r.manager.AlertingRules() }

// noAlertmanagers says that alerts are told to a function, not to Prometheus' Alertmanager.
type noAlertmanagers struct{}

func (noAlertmanagers) Alertmanagers() []*url.URL        { return nil }
func (noAlertmanagers) DroppedAlertmanagers() []*url.URL { return nil }
