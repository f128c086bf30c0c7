// Package httpapi is the ledger's HTTP interface. What it refuses it says as a problem document (RFC 9457) whose type a
// program can act on:
//
//	urn:meridian:invalid     the request can never be done as it is
//	urn:meridian:key-reused  the key or the number belongs to another trade
//	urn:meridian:over-limit  with open_ticks and limit_ticks
//	urn:meridian:too-large   a balance would be larger than can be kept
//	urn:meridian:not-found   there is no such trade
//
// A 2xx answer to a change is given when it is on disk. A 5xx answer, or none, proves nothing: the request may be sent again.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"

	"meridian.example/ledger/internal/kit"
	"meridian.example/ledger/store"
	"meridian.example/ledger/trade"
)

const (
	// maxBody bounds a request's body, in bytes.
	maxBody = 16 << 10
	// maxKey bounds an idempotency key, in bytes.
	maxKey = 128
	// maxList is how many trades a list has at most.
	maxList = 1000
)

// Books are what is answered from: a *store.Store. Methods are called concurrently.
type Books interface {
	Post(ctx context.Context, key string, r trade.Request, limit int64) (t trade.Trade, replayed bool, err error)
	Reverse(ctx context.Context, id string) (t trade.Trade, changed bool, err error)
	Get(ctx context.Context, id string) (trade.Trade, error)
	List(ctx context.Context, account string, after int64, n int) ([]trade.Trade, error)
	Account(ctx context.Context, account string) (store.Account, error)
	Check(ctx context.Context) (store.Report, error)
}

var _ Books = (*store.Store)(nil)

// Server answers requests. Make one with New.
type Server struct {
	books   Books
	log     *slog.Logger
	faults  *kit.Faults
	results *kit.Counter
}

// New returns a server.
func New(books Books, log *slog.Logger, reg *kit.Registry, faults *kit.Faults) *Server {
	s := &Server{books: books, log: log, faults: faults, results: reg.Counter("meridian_trades_total", "Trades by what came of them.", "result")}
	for _, result := range []string{"posted", "replayed", "reversed", "refused", "failed"} {
		s.results.Add(0, result)
	}
	return s
}

// Mux returns the routes.
func (s *Server) Mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /trades", s.post)
	mux.HandleFunc("GET /trades", s.list)
	mux.HandleFunc("GET /trades/{id}", s.get)
	mux.HandleFunc("POST /trades/{id}/reversal", s.reverse)
	mux.HandleFunc("GET /accounts/{account}", s.account)
	mux.HandleFunc("GET /check", s.check)
	return mux
}

func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || len(key) > maxKey {
		s.refuse(w, http.StatusBadRequest, problem{Type: "invalid", Detail: fmt.Sprintf("send an Idempotency-Key header of 1 to %d bytes", maxKey)})
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		s.refuse(w, http.StatusUnsupportedMediaType, problem{Type: "invalid", Detail: "send application/json"})
		return
	}
	var in struct {
		trade.Request
		// LimitTicks is how much notional the account may have open; 0: any.
		LimitTicks int64 `json:"limit_ticks"`
	}
	if err := decode(http.MaxBytesReader(w, r.Body, maxBody), &in); err != nil {
		s.refuse(w, http.StatusBadRequest, problem{Type: "invalid", Detail: err.Error()})
		return
	}
	if in.LimitTicks < 0 {
		s.refuse(w, http.StatusUnprocessableEntity, problem{Type: "invalid", Detail: "limit_ticks: must not be below zero"})
		return
	}
	t, replayed, err := s.books.Post(r.Context(), key, in.Request, in.LimitTicks)
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Location", "/trades/"+t.ID)
	s.changed(w, t, !replayed, "posted")
}

// changed answers for a trade that was posted or reversed, now or before.
func (s *Server) changed(w http.ResponseWriter, t trade.Trade, now bool, result string) {
	status := http.StatusOK
	if now {
		status = http.StatusCreated
	} else {
		result = "replayed"
	}
	s.results.Inc(result)
	kit.JSON(w, status, s.shown(t))
}

// shown is a trade as it is answered, wrong where that is asked for.
func (s *Server) shown(t trade.Trade) trade.Trade {
	if s.faults.IsWrong() {
		t.Quantity++
	}
	return t
}

func (s *Server) reverse(w http.ResponseWriter, r *http.Request) {
	t, changed, err := s.books.Reverse(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.changed(w, t, changed, "reversed")
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	t, err := s.books.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, err)
		return
	}
	kit.JSON(w, http.StatusOK, s.shown(t))
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, err := int64(0), error(nil)
	if text := q.Get("after"); text != "" {
		after, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil || q.Get("account") == "" {
		s.refuse(w, http.StatusBadRequest, problem{Type: "invalid", Detail: "ask with account, and after with the sequence number of the last trade known"})
		return
	}
	ts, err := s.books.List(r.Context(), q.Get("account"), after, maxList)
	if err != nil {
		s.fail(w, err)
		return
	}
	out := struct {
		Trades []trade.Trade `json:"trades"`
		// More: there are others behind the last one.
		More bool `json:"more"`
	}{Trades: make([]trade.Trade, 0, len(ts)), More: len(ts) == maxList}
	for _, t := range ts {
		out.Trades = append(out.Trades, s.shown(t))
	}
	kit.JSON(w, http.StatusOK, out)
}

func (s *Server) account(w http.ResponseWriter, r *http.Request) {
	a, err := s.books.Account(r.Context(), r.PathValue("account"))
	if err != nil {
		s.fail(w, err)
		return
	}
	if s.faults.IsWrong() {
		a.CashTicks++
	}
	kit.JSON(w, http.StatusOK, a)
}

func (s *Server) check(w http.ResponseWriter, r *http.Request) {
	report, err := s.books.Check(r.Context())
	if err != nil {
		s.fail(w, err)
		return
	}
	status := http.StatusOK
	if !report.OK {
		status = http.StatusInternalServerError
		s.log.Error("the books do not add up", "violations", report.Violations)
	}
	kit.JSON(w, status, report)
}

// problem is a problem document. Its type is completed where it is sent.
type problem struct {
	Type       string   `json:"type"`
	Title      string   `json:"title"`
	Status     int      `json:"status"`
	Detail     string   `json:"detail"`
	Problems   []string `json:"problems,omitempty"`
	OpenTicks  int64    `json:"open_ticks,omitempty"`
	LimitTicks int64    `json:"limit_ticks,omitempty"`
}

func (s *Server) refuse(w http.ResponseWriter, status int, p problem) {
	s.results.Inc("refused")
	p.Title, p.Type, p.Status = p.Type, "urn:meridian:"+p.Type, status
	kit.Send(w, kit.ProblemType, status, p)
}

// fail answers for an error of the books.
func (s *Server) fail(w http.ResponseWriter, err error) {
	var (
		invalid *trade.Invalid
		over    *store.OverLimit
		large   *store.TooLarge
	)
	switch {
	case errors.As(err, &invalid):
		s.refuse(w, http.StatusUnprocessableEntity, problem{Type: "invalid", Detail: err.Error(), Problems: invalid.Problems})
	case errors.As(err, &over):
		s.refuse(w, http.StatusUnprocessableEntity, problem{Type: "over-limit", Detail: err.Error(), OpenTicks: over.Open, LimitTicks: over.Limit})
	case errors.As(err, &large):
		s.refuse(w, http.StatusUnprocessableEntity, problem{Type: "too-large", Detail: err.Error()})
	case errors.Is(err, store.ErrKeyReused):
		s.refuse(w, http.StatusConflict, problem{Type: "key-reused", Detail: err.Error()})
	case errors.Is(err, store.ErrNotFound):
		s.refuse(w, http.StatusNotFound, problem{Type: "not-found", Detail: err.Error()})
	case errors.Is(err, store.ErrClosed):
		kit.Problem(w, http.StatusServiceUnavailable, "closing", "the ledger is stopping")
	default:
		s.results.Inc("failed")
		s.log.Error("a request failed", "error", err)
		kit.Problem(w, http.StatusInternalServerError, "internal error", "what came of the request is not known; it may be sent again")
	}
}

// decode reads one JSON document and nothing after it; members that are not known are an error.
func decode(r io.Reader, to any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the trade")
	}
	return nil
}
