// Package httpapi is the gateway's HTTP interface: orders, health and metrics. Errors are problem documents (RFC 9457).
// Every request is logged and counted by its route, never by its path, so that order numbers do not become label values.
package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"meridian.example/gateway/metrics"
	"meridian.example/gateway/order"
)

const (
	// maxBody bounds a request's body, in bytes.
	maxBody = 16 << 10
	// maxKey bounds an idempotency key, in bytes.
	maxKey = 64
)

// Server answers requests. Make one with New.
type Server struct {
	book  *order.Book
	log   *slog.Logger
	ready atomic.Bool

	results  *metrics.Counter
	requests *metrics.Counter
	took     *metrics.Histogram
	handler  http.Handler
}

// New returns a server for a book. It is not ready until SetReady says so.
func New(book *order.Book, log *slog.Logger, reg *metrics.Registry) *Server {
	s := &Server{
		book: book, log: log,
		results: reg.Counter("gateway_orders_total", "Orders by what came of them.", "result",
			"accepted", "replayed", "cancelled", "invalid", "over_limit", "key_reused", "book_full"),
		requests: reg.Counter("gateway_http_responses_total", "HTTP responses by status class.", "class", "2xx", "4xx", "5xx"),
		took: reg.Histogram("gateway_http_request_duration_seconds", "Time to answer a request, in seconds.", "route",
			0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.place)
	mux.HandleFunc("GET /orders/{id}", s.get)
	mux.HandleFunc("DELETE /orders/{id}", s.cancel)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", reg)
	s.handler = s.observed(mux)
	return s
}

// SetReady says whether load balancers should send requests.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() {
		s.problem(w, http.StatusServiceUnavailable, "not ready", "the gateway is starting or draining", nil)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

func (s *Server) place(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || len(key) > maxKey {
		s.results.Inc("invalid")
		s.problem(w, http.StatusBadRequest, "bad idempotency key", fmt.Sprintf("send an Idempotency-Key header of 1 to %d bytes", maxKey), nil)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		s.results.Inc("invalid")
		s.problem(w, http.StatusUnsupportedMediaType, "unsupported media type", "send application/json", nil)
		return
	}
	var req order.Request
	if err := decode(http.MaxBytesReader(w, r.Body, maxBody), &req); err != nil {
		s.results.Inc("invalid")
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		s.problem(w, status, "unreadable order", err.Error(), nil)
		return
	}
	o, replayed, err := s.book.Place(key, req)
	if err != nil {
		s.refuse(w, err)
		return
	}
	w.Header().Set("Location", "/orders/"+o.ID)
	if replayed {
		s.results.Inc("replayed")
		w.Header().Set("Idempotent-Replayed", "true")
		s.json(w, http.StatusOK, o)
		return
	}
	s.results.Inc("accepted")
	s.json(w, http.StatusCreated, o)
}

// refuse answers for an order that the book did not take.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	var (
		invalid *order.Invalid
		over    *order.OverLimit
	)
	switch {
	case errors.As(err, &invalid):
		s.results.Inc("invalid")
		s.problem(w, http.StatusUnprocessableEntity, "invalid order", "see problems", invalid.Problems)
	case errors.As(err, &over):
		s.results.Inc("over_limit")
		s.problem(w, http.StatusUnprocessableEntity, "over the risk limit", err.Error(), nil)
	case errors.Is(err, order.ErrKeyReused):
		s.results.Inc("key_reused")
		s.problem(w, http.StatusUnprocessableEntity, "idempotency key reused", err.Error(), nil)
	case errors.Is(err, order.ErrFull):
		s.results.Inc("book_full")
		s.problem(w, http.StatusServiceUnavailable, "order book full", err.Error(), nil)
	default:
		s.log.Error("place an order", "error", err)
		s.problem(w, http.StatusInternalServerError, "internal error", "the order was not placed", nil)
	}
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	o, err := s.book.Get(r.PathValue("id"))
	if err != nil {
		s.problem(w, http.StatusNotFound, "not found", err.Error(), nil)
		return
	}
	s.json(w, http.StatusOK, o)
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	o, changed, err := s.book.Cancel(r.PathValue("id"))
	if err != nil {
		s.problem(w, http.StatusNotFound, "not found", err.Error(), nil)
		return
	}
	if changed {
		s.results.Inc("cancelled")
	}
	s.json(w, http.StatusOK, o)
}

// decode reads one JSON document and nothing after it. Members that are not known are an error: a misspelt
// limit must not become an order without one.
func decode(r io.Reader, to any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the order")
	}
	return nil
}

func (s *Server) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	s.send(w, status, v)
}

func (s *Server) problem(w http.ResponseWriter, status int, title, detail string, problems []order.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	s.send(w, status, struct {
		Title    string          `json:"title"`
		Status   int             `json:"status"`
		Detail   string          `json:"detail"`
		Problems []order.Problem `json:"problems,omitempty"`
	}{title, status, detail, problems})
}

func (s *Server) send(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Warn("write a response", "error", err)
	}
}

// observed logs, counts and times what next answers.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		took := time.Since(start)
		route := r.Pattern // set by the mux
		if route == "" {
			route = "none"
		}
		s.requests.Inc(fmt.Sprintf("%dxx", rec.status/100))
		s.took.Observe(route, took)
		s.log.Info("request", "method", r.Method, "route", route, "status", rec.status, "duration", took)
	})
}

// recorder remembers the status of a response.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
