package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/api"
	"github.com/gantry-ops/gantry/web"
)

// newHandler is what the server answers requests by.
func (s *server) newHandler(ctx context.Context) (http.Handler, error) {
	receiver := &hooks{secrets: s.secrets, now: time.Now}
	a, err := api.New(ctx, api.Options{
		Runs: s.runs, Auth: s.auth, Secrets: s.secrets, DB: s.db, UI: web.Handler(),
		Webhook: receiver.receive, Refusal: refusal,
		Checks: []api.Check{
			{Name: "database", Run: s.db.Ping},
			{Name: "serving", Run: s.ready},
		},
		Info: api.Info{
			Version: currentVersion().Version, Database: string(s.db.Kind), URL: s.url, Listen: s.listener.Addr().String(),
			TLS: strings.HasPrefix(s.url, "https:"), OIDCIssuer: s.o.oidcIssuer, StartedAt: time.Now().UTC(),
		},
		Fleet: s.fleet, Ship: s.ship, Rollouts: s.rollouts, Judge: s.judge,
		Metrics: s.metrics.reading, MetricsIngest: s.metrics.writing,
		PublicMetrics: s.o.publicMetrics, TokenSecret: forgeTokenSecret, HookSecret: webhookSecretValue, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	return a, s.listenMetrics(ctx, a)
}

// listenMetrics serves metrics on an address of their own, where one was given.
func (s *server) listenMetrics(ctx context.Context, a *api.Server) error {
	if s.o.metricsListen == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.o.metricsListen)
	if err != nil {
		return usagef("--metrics-listen %s: %v", s.o.metricsListen, err)
	}
	m := &http.Server{Handler: a.Metrics(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := m.Serve(l); err != nil && err != http.ErrServerClosed {
			s.log.Warn("metrics are not served any longer", "error", err)
		}
	}()
	s.closers = append(s.closers, m.Close)
	return nil
}
