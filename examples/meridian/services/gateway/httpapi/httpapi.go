// Package httpapi is the gateway's HTTP interface to orders. Errors are problem documents (RFC 9457). Every order is
// counted by what came of it.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"

	"meridian.example/gateway/internal/kit"
	"meridian.example/gateway/order"
)

const (
	// maxBody bounds a request's body, in bytes.
	maxBody = 16 << 10
	// maxKey bounds an idempotency key, in bytes.
	maxKey = 64
)

// Orders is where orders are kept: an order.Book, or the ledger. The errors of Place are *order.Invalid,
// *order.OverLimit, order.ErrKeyReused, order.ErrFull and order.ErrUnknown; those of the others order.ErrNotFound and
// order.ErrUnknown. An order that Place returns without an error is placed. Methods are called concurrently.
type Orders interface {
	Place(ctx context.Context, key string, r order.Request) (o order.Order, replayed bool, err error)
	Get(ctx context.Context, id string) (order.Order, error)
	Cancel(ctx context.Context, id string) (o order.Order, changed bool, err error)
}

// Limiter says whether an account may send a request now, or after how long.
type Limiter interface {
	Allow(account string) (ok bool, after time.Duration)
}

// Options of a Server.
type Options struct {
	Orders Orders
	// Limit is asked before each order; nil: there is no limit.
	Limit   Limiter
	Log     *slog.Logger
	Metrics *kit.Registry
	Faults  *kit.Faults
}

// Server answers requests. Make one with New.
type Server struct {
	o       Options
	results *kit.Counter
}

// New returns a server.
func New(o Options) *Server {
	s := &Server{o: o, results: o.Metrics.Counter("meridian_orders_total", "Orders by what came of them.", "result")}
	for _, result := range []string{"accepted", "replayed", "cancelled", "invalid", "over_limit", "rate_limited", "key_reused", "book_full", "unknown", "error"} {
		s.results.Add(0, result)
	}
	return s
}

// Mux returns the routes.
func (s *Server) Mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.place)
	mux.HandleFunc("GET /orders/{id}", s.get)
	mux.HandleFunc("DELETE /orders/{id}", s.cancel)
	return mux
}

func (s *Server) place(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if !validKey(key) {
		s.results.Inc("invalid")
		kit.Problem(w, http.StatusBadRequest, "bad idempotency key", fmt.Sprintf("send an Idempotency-Key header of 1 to %d printable ASCII characters", maxKey))
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		s.results.Inc("invalid")
		kit.Problem(w, http.StatusUnsupportedMediaType, "unsupported media type", "send application/json")
		return
	}
	var req order.Request
	if err := decode(http.MaxBytesReader(w, r.Body, maxBody), &req); err != nil {
		s.results.Inc("invalid")
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		kit.Problem(w, status, "unreadable order", err.Error())
		return
	}
	// First, so that only accounts that could exist get a place in the limiter.
	if err := req.Validate(); err != nil {
		s.refuse(w, err)
		return
	}
	if s.o.Limit != nil {
		if ok, after := s.o.Limit.Allow(req.Account); !ok {
			s.results.Inc("rate_limited")
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
			kit.Problem(w, http.StatusTooManyRequests, "too many orders", fmt.Sprintf("account %s may send its next order in %s", req.Account, after))
			return
		}
	}
	o, replayed, err := s.o.Orders.Place(r.Context(), key, req)
	if err != nil {
		s.refuse(w, err)
		return
	}
	if s.o.Faults.IsWrong() {
		o.Quantity++
	}
	w.Header().Set("Location", "/orders/"+o.ID)
	if replayed {
		s.results.Inc("replayed")
		w.Header().Set("Idempotent-Replayed", "true")
		kit.JSON(w, http.StatusOK, o)
		return
	}
	s.results.Inc("accepted")
	kit.JSON(w, http.StatusCreated, o)
}

// validKey also keeps line feeds and the like out of the header that passes the key on.
func validKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return key != "" && len(key) <= maxKey
}

// refuse answers for an order that was not taken, or of which that is not known.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	var (
		invalid *order.Invalid
		over    *order.OverLimit
	)
	switch {
	case errors.As(err, &invalid):
		s.results.Inc("invalid")
		kit.Send(w, kit.ProblemType, http.StatusUnprocessableEntity, struct {
			Title    string          `json:"title"`
			Status   int             `json:"status"`
			Detail   string          `json:"detail"`
			Problems []order.Problem `json:"problems"`
		}{"invalid order", http.StatusUnprocessableEntity, "see problems", invalid.Problems})
	case errors.As(err, &over):
		s.results.Inc("over_limit")
		kit.Problem(w, http.StatusUnprocessableEntity, "over the risk limit", err.Error())
	case errors.Is(err, order.ErrKeyReused):
		s.results.Inc("key_reused")
		kit.Problem(w, http.StatusUnprocessableEntity, "idempotency key reused", err.Error())
	case errors.Is(err, order.ErrFull):
		s.results.Inc("book_full")
		kit.Problem(w, http.StatusServiceUnavailable, "order book full", err.Error())
	default:
		s.unsure(w, err)
	}
}

// unsure answers where nothing certain can be said.
func (s *Server) unsure(w http.ResponseWriter, err error) {
	if errors.Is(err, order.ErrUnknown) {
		s.results.Inc("unknown")
		s.o.Log.Warn("the outcome is not known", "error", err)
		w.Header().Set("Retry-After", "1")
		kit.Problem(w, http.StatusServiceUnavailable, "outcome not known",
			"the ledger gave no answer in time, so this may or may not have been done: send the same request with the same key again")
		return
	}
	s.results.Inc("error")
	s.o.Log.Error("a request failed", "error", err)
	kit.Problem(w, http.StatusInternalServerError, "internal error", "the request was refused for a reason that is the gateway's")
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	o, err := s.o.Orders.Get(r.Context(), r.PathValue("id"))
	s.answer(w, o, err)
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	o, changed, err := s.o.Orders.Cancel(r.Context(), r.PathValue("id"))
	if err == nil && changed {
		s.results.Inc("cancelled")
	}
	s.answer(w, o, err)
}

// answer shows an order that was asked for by its number.
func (s *Server) answer(w http.ResponseWriter, o order.Order, err error) {
	switch {
	case errors.Is(err, order.ErrNotFound):
		kit.Problem(w, http.StatusNotFound, "not found", err.Error())
	case err != nil:
		s.unsure(w, err)
	default:
		if s.o.Faults.IsWrong() {
			o.Quantity++
		}
		kit.JSON(w, http.StatusOK, o)
	}
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
