package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gantry-ops/gantry/runs"
)

// plain registers what is no operation of the API: webhooks, OpenID Connect, health, metrics, and the UI.
func (s *Server) plain(mux *http.ServeMux) {
	mux.HandleFunc("POST /hooks/{project}", s.hook)
	mux.HandleFunc("GET /auth/oidc/start", s.oidcStart)
	mux.HandleFunc("GET /auth/oidc/callback", s.oidcCallback)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", s.ready)
	metrics := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if !s.o.PublicMetrics && !local(r) {
			writeProblem(w, newProblem(http.StatusForbidden, "refused", "metrics are for this machine; --metrics-listen serves them to others"))
			return
		}
		metrics.ServeHTTP(w, r)
	})
	s.prometheus(mux)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, newProblem(http.StatusNotFound, "not-found", r.Method+" "+r.URL.Path+" is no operation; /openapi.json has those that there are"))
	})
	if s.o.UI != nil {
		mux.Handle("/", s.o.UI)
	}
}

// Metrics serves /metrics alone, for an address of its own.
func (s *Server) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// local reports whether a request comes from this machine and was not handed on by a proxy.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() && r.Header.Get("X-Forwarded-For") == ""
}

// readyTimeout bounds all checks together.
const readyTimeout = 3 * time.Second

// ready runs the checks.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	type result struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
		Error string `json:"error,omitempty"`
	}
	all, status := []result{}, http.StatusOK
	for _, c := range s.o.Checks {
		res := result{Name: c.Name, Ready: true}
		if err := c.Run(ctx); err != nil {
			s.o.Log.Warn("not ready", "check", c.Name, "error", err)
			res.Ready, res.Error, status = false, "see the server's log", http.StatusServiceUnavailable
		}
		all = append(all, res)
	}
	writeJSON(w, status, map[string]any{"ready": status == http.StatusOK, "checks": all})
}

// hook takes a forge's delivery. It is acknowledged once the runs that it starts are recorded.
func (s *Server) hook(w http.ResponseWriter, r *http.Request) {
	if n, ok := r.Context().Value(noteKey{}).(*note); ok {
		n.operation = "webhook"
	}
	select {
	case s.hooks <- struct{}{}:
		defer func() { <-s.hooks }()
	default:
		p := newProblem(http.StatusServiceUnavailable, "unavailable", "too many webhooks at the same time; send it again")
		p.retry = 5 * time.Second
		writeProblem(w, p)
		return
	}
	status, p := s.takeHook(w, r)
	if p != nil {
		writeProblem(w, p)
		return
	}
	writeJSON(w, http.StatusOK, status)
}

// hookAnswer says what became of a delivery.
type hookAnswer struct {
	Outcome string   `json:"outcome"`
	Reason  string   `json:"reason,omitempty"`
	Runs    []string `json:"runs"`
}

func (s *Server) takeHook(w http.ResponseWriter, r *http.Request) (*hookAnswer, *Problem) {
	ctx := r.Context()
	refusedSignature := newProblem(http.StatusUnauthorized, "credentials", "the delivery is not signed with the project's secret")
	if s.o.Webhook == nil {
		return nil, errNotFound
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Minute))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHookBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, newProblem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("a delivery has at most %d bytes", maxHookBody))
	case err != nil:
		return nil, newProblem(http.StatusRequestTimeout, "invalid", "the delivery did not arrive whole", Place{Location: "body", Message: "must arrive whole and in time"})
	}
	project, err := s.o.Runs.Project(ctx, r.PathValue("project"))
	if errors.Is(err, runs.ErrNotFound) {
		return nil, refusedSignature // who has no secret does not learn which projects there are
	}
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	triggers, reason, delivery, err := s.o.Webhook(ctx, project, r.Header, body)
	if err != nil {
		status := 0
		if s.o.Refusal != nil {
			status = s.o.Refusal(err)
		}
		switch status {
		case 0:
			return nil, s.problem(ctx, err)
		case http.StatusUnauthorized:
			s.o.Auth.RefusedDelivery(ctx, s.o.Auth.Client(r), project.ID, err)
			s.o.Log.Warn("a webhook was refused", "project", project.ID, "error", err)
			return nil, refusedSignature
		}
		return nil, newProblem(status, "invalid", err.Error(), Place{Location: "body", Message: err.Error()})
	}
	if !isText(delivery) {
		return nil, newProblem(http.StatusBadRequest, "invalid", "the delivery's ID "+notText, Place{Location: "header", Message: notText})
	}
	key := project.Forge.Kind + ":" + delivery
	if delivery != "" {
		seen, err := s.o.Runs.Seen(ctx, project.ID, key)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		if seen {
			return &hookAnswer{Outcome: "ignored", Reason: "this delivery was taken already", Runs: []string{}}, nil
		}
	}
	answer := &hookAnswer{Outcome: "ignored", Reason: reason, Runs: []string{}}
	for _, t := range triggers {
		started, err := s.o.Runs.Trigger(ctx, t)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		for _, run := range started.Runs {
			answer.Outcome = "started"
			answer.Runs = append(answer.Runs, run.ID)
		}
		if len(started.Runs) == 0 && len(started.NotStarted) > 0 && answer.Reason == "" {
			answer.Reason = started.NotStarted[0].File + ": " + started.NotStarted[0].Reason
		}
	}
	if answer.Outcome == "ignored" && answer.Reason == "" {
		answer.Reason = "the project has no pipeline that it starts"
	}
	name := r.Header.Get("X-GitHub-Event") + r.Header.Get("X-Gitlab-Event") + r.Header.Get("X-Event-Key")
	if err := s.o.Runs.RecordDelivery(ctx, runs.Delivery{ID: delivery, Project: project.ID, Event: name, Outcome: answer.Outcome, Reason: answer.Reason, Runs: answer.Runs}); err != nil {
		s.o.Log.Warn("a delivery could not be recorded", "project", project.ID, "error", err)
	}
	return answer, nil
}

// oidcStart sends a browser to the provider.
func (s *Server) oidcStart(w http.ResponseWriter, r *http.Request) {
	to, cookie, err := s.o.Auth.StartOIDC(r.Context(), r.URL.Query().Get("return"))
	if err != nil {
		s.signInFailed(w, r, err)
		return
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// oidcCallback takes a browser back.
func (s *Server) oidcCallback(w http.ResponseWriter, r *http.Request) {
	in, to, done, err := s.o.Auth.FinishOIDC(r.Context(), r)
	if done != nil {
		http.SetCookie(w, done)
	}
	if err != nil {
		s.signInFailed(w, r, err)
		return
	}
	http.SetCookie(w, in.Cookie)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// signInFailed sends a person back to the page where one signs in, with the sort of the problem.
func (s *Server) signInFailed(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r.Context(), err)
	s.o.Log.Warn("a sign-in by OpenID Connect failed", "error", err)
	http.Redirect(w, r, "/sign-in?problem="+strings.TrimPrefix(p.Type, "/problems/"), http.StatusSeeOther)
}

// writeJSON answers with JSON.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		writeProblem(w, newProblem(http.StatusInternalServerError, "internal", "the answer could not be written"))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// decode reads a body that is described by Go's types alone; what does not fit is told with its place.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	location, message, _ := splitBodyError(jsonError(err).Error())
	return newProblem(http.StatusUnprocessableEntity, "invalid", location+" "+message, Place{Location: location, Message: message})
}
