// Package httpapi is the HTTP interface to prices: one by GET, a stream by WebSocket. A stream lasts until its client
// leaves, is too slow, or the process stops, and ends with a close frame that says which.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"meridian.example/marketdata/internal/kit"
	"meridian.example/marketdata/price"
)

const (
	// writing bounds how long a message may take to a client, and closing the exchange of close frames.
	writing, closing = 10 * time.Second, 2 * time.Second
	// pinging is the time between two looks whether a client is still there.
	pinging = 20 * time.Second
	// maxSymbols bounds the text with which symbols are asked for, in bytes.
	maxSymbols = 4 << 10
)

// Server answers requests. Make one with New.
type Server struct {
	hub    *price.Hub
	faults *kit.Faults

	stopping context.Context
	stop     context.CancelFunc
	mu       sync.Mutex // orders what begins and the stop
	streams  sync.WaitGroup
	count    atomic.Int64

	sent *kit.Counter
	ends *kit.Counter
}

// New returns a server.
func New(hub *price.Hub, reg *kit.Registry, faults *kit.Faults) *Server {
	s := &Server{hub: hub, faults: faults,
		sent: reg.Counter("meridian_websocket_prices_total", "Prices sent by WebSocket."),
		ends: reg.Counter("meridian_websocket_streams_ended_total", "Streams by how they ended.", "reason")}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.sent.Add(0)
	for _, reason := range []string{"left", "slow", "stopping"} {
		s.ends.Add(0, reason)
	}
	reg.Gauge("meridian_websocket_streams", "Streams that are open.", func() (float64, bool) { return float64(s.count.Load()), true })
	return s
}

// Mux returns the routes.
func (s *Server) Mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /prices", s.stream)
	mux.HandleFunc("GET /prices/{symbol}", s.price)
	mux.HandleFunc("GET /symbols", func(w http.ResponseWriter, _ *http.Request) { kit.JSON(w, http.StatusOK, s.hub.Symbols()) })
	return mux
}

// Stop tells all streams that the process stops, and returns when they have ended or ctx has.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.streams.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d WebSocket streams are left: %w", s.count.Load(), ctx.Err())
	}
}

// begin counts a stream, or says that there may be no more.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Err() != nil {
		return false
	}
	s.streams.Add(1)
	s.count.Add(1)
	return true
}

func (s *Server) end() {
	s.count.Add(-1)
	s.streams.Done()
}

// shown is a price as it is sent: with an old number where it is to be wrong.
func (s *Server) shown(p price.Price) price.Price {
	if s.faults.IsWrong() {
		p.Seq--
	}
	return p
}

func (s *Server) price(w http.ResponseWriter, r *http.Request) {
	symbol := r.PathValue("symbol")
	if !s.hub.Known(symbol) {
		kit.Problem(w, http.StatusNotFound, "not found", "there are no prices of this symbol; GET /symbols names them all")
		return
	}
	kit.JSON(w, http.StatusOK, s.shown(s.hub.At(symbol, time.Now())))
}

// wanted reads which symbols a client wants: all, or those of the query.
func (s *Server) wanted(r *http.Request) (map[string]bool, error) {
	text := r.URL.Query().Get("symbols")
	if len(text) > maxSymbols {
		return nil, fmt.Errorf("symbols is longer than %d bytes", maxSymbols)
	}
	list := s.hub.Symbols()
	if text != "" {
		list = strings.Split(text, ",")
	}
	wanted := map[string]bool{}
	for _, symbol := range list {
		if !s.hub.Known(symbol) {
			return nil, fmt.Errorf("there are no prices of %.20q; GET /symbols names all symbols", symbol)
		}
		wanted[symbol] = true
	}
	return wanted, nil
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	wanted, err := s.wanted(r)
	if err != nil {
		kit.Problem(w, http.StatusBadRequest, "unknown symbol", err.Error())
		return
	}
	if !s.begin() {
		kit.Problem(w, http.StatusServiceUnavailable, "stopping", "this process takes no new streams")
		return
	}
	defer s.end()
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer c.CloseNow() //nolint:errcheck // closed well before, or gone
	reason := s.send(c.CloseRead(r.Context()), c, wanted)
	s.ends.Inc(reason)
	switch reason {
	case "stopping":
		s.bye(c, websocket.StatusGoingAway, "this process stops; come again")
	case "slow":
		s.bye(c, websocket.StatusPolicyViolation, "you are too slow")
	}
}

// bye closes a stream, but does not wait for long for the client's own close frame.
func (s *Server) bye(c *websocket.Conn, code websocket.StatusCode, reason string) {
	t := time.AfterFunc(closing, func() { _ = c.CloseNow() })
	defer t.Stop()
	_ = c.Close(code, reason) // whatever went wrong, it is over
}

// send sends prices until there is a reason to end.
func (s *Server) send(ctx context.Context, c *websocket.Conn, wanted map[string]bool) (reason string) {
	subscription := s.hub.Subscribe()
	defer subscription.Close()
	ping := time.NewTicker(pinging)
	defer ping.Stop()
	for {
		select {
		case <-s.stopping.Done():
			return "stopping"
		case <-ctx.Done():
			return "left"
		case <-ping.C:
			pong, cancel := context.WithTimeout(ctx, writing)
			err := c.Ping(pong)
			cancel()
			if err != nil {
				return "left"
			}
		case prices, ok := <-subscription.C:
			if !ok {
				return "slow"
			}
			for _, p := range prices {
				if !wanted[p.Symbol] {
					continue
				}
				if err := s.write(ctx, c, p); err != nil {
					if errors.Is(err, context.DeadlineExceeded) {
						return "slow"
					}
					return "left"
				}
			}
		}
	}
}

func (s *Server) write(ctx context.Context, c *websocket.Conn, p price.Price) error {
	s.faults.Slow(ctx, time.Since(p.Time))
	b, err := json.Marshal(s.shown(p))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writing)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, b); err != nil {
		return err
	}
	s.sent.Inc()
	return nil
}
