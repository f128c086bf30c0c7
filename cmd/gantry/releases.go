package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gantry-ops/gantry/agent/certs"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/fleet"
	manifest "github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/ship"
)

// later stands for the releases in rooms that are made before them.
type later struct{ s *server }

// Config implements [fleet.Configs] and [judge.Configs].
func (l later) Config(ctx context.Context, digest string) (manifest.Config, error) {
	return l.s.ship.Config(ctx, digest)
}

// OpenArtifact implements [fleet.Artifacts].
func (l later) OpenArtifact(ctx context.Context, digest string) (io.ReadSeekCloser, int64, error) {
	return l.s.ship.OpenArtifact(ctx, digest)
}

// Closed implements [release.Gate]. A rollout that will need this machine's own agent has it started.
func (l later) Closed(ctx context.Context, r release.Record, now time.Time) (string, error) {
	why, err := l.s.ship.Closed(ctx, r, now)
	if err != nil || why != "" || r.State.Phase != release.Waiting {
		return why, err
	}
	c, err := l.s.ship.Config(ctx, r.State.New.Config)
	if err != nil {
		return "", err
	}
	if needsLocal(c) {
		return "", l.s.own.ensure(ctx, manifest.LocalAgent)
	}
	return "", nil
}

// openReleases opens what releases are made of: the hosts' agents, the judge, rollouts, and releases themselves.
func (s *server) openReleases(ctx context.Context) error {
	authority, err := certs.OpenAuthority(cmp.Or(s.o.agentsCA, filepath.Join(s.o.data, "authority")), "Gantry", nil)
	if err != nil {
		return fmt.Errorf("open the agents' authority: %w", err)
	}
	s.fleet, err = fleet.New(ctx, fleet.Options{
		DB: s.db, Engine: s.engine, Authority: authority, Configs: later{s}, Secrets: fleetSecrets{s.secrets}, Artifacts: later{s}, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.judge, err = judge.New(ctx, judge.Options{DB: s.db, Configs: later{s}, Samples: samples{s.fleet}, Queries: questions{s.metrics}, Log: s.log})
	if err != nil {
		return err
	}
	s.rollouts, err = release.NewService(ctx, release.Options{DB: s.db, Engine: s.engine, Target: s.fleet, Judge: s.judge, Task: s.fleet, Gate: later{s}, Log: s.log})
	if err != nil {
		return err
	}
	s.ship, err = ship.New(ctx, ship.Options{
		DB: s.db, Engine: s.engine, Blobs: s.blobs, Rollouts: s.rollouts, Builds: &shipBuilds{s.runs}, Sources: &shipSources{s.sources, s.runs},
		Roles: shipRoles{s.auth}, Checks: shipChecks{s.runs}, CheckQuery: checkQuery, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.own = &ownAgents{fleet: s.fleet, dir: filepath.Join(s.o.data, "agents"), log: s.log, started: map[string]bool{}, ending: make(chan struct{})}
	s.closers = append(s.closers, s.own.close)
	return s.listenAgents(ctx)
}

// listenAgents opens the address that agents speak to.
func (s *server) listenAgents(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.o.agentsListen)
	if err != nil {
		return fmt.Errorf("listen for agents on %s: %w (another --agents-listen may be free)", s.o.agentsListen, err)
	}
	s.closers = append(s.closers, closing(l))
	s.agentsListener = l
	s.own.url = "https://" + l.Addr().String()
	if host, port, err := net.SplitHostPort(l.Addr().String()); err == nil && net.ParseIP(host).IsUnspecified() {
		s.own.url = "https://" + net.JoinHostPort("127.0.0.1", port)
	}
	return nil
}

// agentsAddress is the address for agents where nothing else is said: the server's own, and the port after its own.
func agentsAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "127.0.0.1:0"
	}
	n, err := strconv.Atoi(port)
	if err != nil || n == 0 || n == 65535 {
		return net.JoinHostPort(host, "0")
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}

// serveAgents serves them until the listener is closed.
func (s *server) serveAgents(ctx context.Context) (*http.Server, func() error) {
	h := &http.Server{
		Handler: s.fleet.Handler(), TLSConfig: s.fleet.TLSConfig(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return ctx },
	}
	return h, func() error {
		if err := h.ServeTLS(s.agentsListener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve agents: %w", err)
		}
		return nil
	}
}

// scrapeAgents keeps what is scraped as the fleet says it.
func (s *server) scrapeAgents(ctx context.Context) {
	for {
		var all []scraped
		for _, t := range s.fleet.ScrapeTargets() {
			all = append(all, scraped{agent: t.Agent, instance: t.Instance, port: t.Port, path: t.Path, interval: t.Interval, labels: t.Labels})
		}
		if err := s.metrics.scrape(all); err != nil {
			s.log.Warn("some metrics are not fetched", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.fleet.Changed():
		}
	}
}

// dialScrape reaches a target through the tunnel of its agent.
func (s *server) dialScrape(ctx context.Context, _, address string) (net.Conn, error) {
	agent, instance, port, ok := readScrapeAddress(address)
	if !ok || s.fleet == nil {
		return nil, fmt.Errorf("%s is no target of an agent", address)
	}
	if instance == "" {
		return s.fleet.Dial(ctx, agent, link.TunnelRequest{To: "metrics"})
	}
	if port == "_" {
		port = ""
	}
	return s.fleet.Dial(ctx, agent, link.TunnelRequest{To: "instance", Instance: instance, Port: port})
}

// samples are the counters of the fleet, as the judge wants them.
type samples struct{ fleet *fleet.Service }

var _ judge.Samples = samples{}

// Counters implements [judge.Samples].
func (s samples) Counters(ctx context.Context, p release.Place) (map[string][]judge.Counters, error) {
	all, err := s.fleet.Counters(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]judge.Counters, len(all))
	for region, list := range all {
		for _, c := range list {
			one := judge.Counters{Agent: c.Agent, Boot: c.Boot, Version: c.Version, Baseline: c.Baseline, At: c.At, Requests: c.Traffic.Requests, Errors: c.Traffic.Errors}
			for _, b := range c.Traffic.Latency {
				if b[0] >= 0 && b[0] <= int64(analysis.DefaultBuckets.Count) && b[1] > 0 {
					one.Latency.Add(int(b[0]), b[1])
				}
			}
			out[region] = append(out[region], one)
		}
	}
	return out, nil
}

// Past implements [judge.Samples].
func (s samples) Past(ctx context.Context, p release.Place) (map[string][]judge.Trail, error) {
	all, err := s.fleet.Past(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]judge.Trail, len(all))
	for region, list := range all {
		for _, t := range list {
			one := judge.Trail{Version: t.Version, Counts: make([]judge.Count, len(t.Counts))}
			for i, c := range t.Counts {
				one.Counts[i] = judge.Count(c)
			}
			out[region] = append(out[region], one)
		}
	}
	return out, nil
}

// questions asks in PromQL for the judge.
type questions struct{ *telemetry }

var _ judge.Queries = questions{}

// Value implements [judge.Queries].
func (q questions) Value(ctx context.Context, query string, at time.Time) ([]float64, error) {
	r, err := q.querier.Query(ctx, query, at)
	if err != nil {
		return nil, err
	}
	out := make([]float64, 0, len(r.Series))
	for _, s := range r.Series {
		out = append(out, s.Points[len(s.Points)-1].Value)
	}
	return out, nil
}

// Trouble implements [judge.Queries]: a target of the version that cannot be scraped.
func (q questions) Trouble(_ context.Context, p release.Place, version string) string {
	for _, t := range q.store.Targets() {
		if t.Service == p.Service && t.Version == version && t.Environment == p.Environment && t.Labels["project"] == p.Project && t.Reason != "" {
			return t.Instance + " cannot be scraped: " + t.Reason
		}
	}
	return ""
}

// shipRoles says who has which role. It implements [ship.Roles].
type shipRoles struct{ auth *auth.Service }

// HasRole reports whether an account has a role on a project, or on all.
func (r shipRoles) HasRole(ctx context.Context, project string, by ship.By, role string) (bool, error) {
	if by.Account == "" {
		return false, nil
	}
	a, err := r.auth.Account(ctx, by.Account)
	if errors.Is(err, auth.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(a.Grants, func(g auth.Grant) bool {
		return string(g.Role) == role && (g.Project == project || g.Project == auth.AllProjects)
	}), nil
}

// shipChecks are the jobs of a commit's runs. It implements [ship.Checks].
type shipChecks struct{ runs *runs.Service }

// Checks says of each name whether a job, a pipeline or "PIPELINE / JOB" of that name has succeeded for the commit; the newest run of each counts.
func (c shipChecks) Checks(ctx context.Context, project, commit string, names []string) ([]ship.Required, error) {
	page, err := c.runs.Runs(ctx, runs.RunQuery{Projects: []string{project}, SHA: commit, ListOptions: runs.ListOptions{Limit: buildsLooked}})
	if err != nil {
		return nil, err
	}
	known := map[string]ship.Required{}
	say := func(name string, status runs.Status, run string) {
		if _, ok := known[name]; ok {
			return // a newer run has said it
		}
		known[name] = ship.Required{Name: name, OK: status == runs.Success, Reason: fmt.Sprintf("%s in run %s", status, run)}
	}
	for _, r := range page.Items {
		say(r.Pipeline, r.Status, r.ID)
		jobs, err := c.runs.Jobs(ctx, r.ID, 0)
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			say(j.Name, j.Status, r.ID)
			say(r.Pipeline+" / "+j.Name, j.Status, r.ID)
		}
	}
	out := make([]ship.Required, 0, len(names))
	for _, n := range names {
		if k, ok := known[n]; ok {
			out = append(out, k)
		}
	}
	return out, nil
}
