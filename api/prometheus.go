package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/auth"
)

// Where Prometheus' own HTTP API is: for Grafana and promtool, and for callers that know this API's paths.
const (
	prometheusPrefix = "/prometheus"
	metricsPrefix    = "/api/v1/metrics/"
)

// prometheus registers Prometheus' HTTP API, behind the same sign-in as everything else. What it has is not described again in ours.
func (s *Server) prometheus(mux *http.ServeMux) {
	if s.o.Metrics == nil {
		return
	}
	for _, path := range []string{"/api/v1/write", "/api/v1/otlp/v1/metrics"} {
		mux.Handle("POST "+prometheusPrefix+path, s.guarded("write-metrics", auth.MetricsWrite, s.o.MetricsIngest))
	}
	read := s.guarded("read-metrics", auth.MetricsRead, s.o.Metrics)
	mux.Handle(prometheusPrefix+"/", read)
	mux.HandleFunc(metricsPrefix, func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path = prometheusPrefix + "/api/v1/" + strings.TrimPrefix(r.URL.Path, metricsPrefix)
		r.URL.RawPath = ""
		read.ServeHTTP(w, r)
	})
}

// guarded lets those through that may do an action on the server.
func (s *Server) guarded(name string, action auth.Action, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, ok := r.Context().Value(noteKey{}).(*note)
		if ok {
			n.operation = name
		}
		id, err := s.o.Auth.Authenticate(r.Context(), r)
		if err == nil {
			if ok {
				n.actor = id.Actor
			}
			err = s.o.Auth.Authorize(r.Context(), id, action, auth.AllProjects)
		}
		if err != nil {
			writeProblem(w, s.problem(r.Context(), err))
			return
		}
		// Neither the token nor the cookie is anybody's business behind this.
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
		r.Header.Del("Cookie")
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Now().Add(bodyTimeout))
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
		next.ServeHTTP(w, r)
	})
}
