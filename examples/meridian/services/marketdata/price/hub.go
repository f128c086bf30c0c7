package price

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"
)

// behind is how many rounds of prices a subscriber may be behind.
const behind = 256

// Price is what something costs at a time.
type Price struct {
	Symbol string `json:"symbol"`
	// Seq grows with each price of a symbol, also from one process to the next.
	Seq   uint64    `json:"seq"`
	Ticks int64     `json:"price_ticks"`
	Time  time.Time `json:"time"`
}

// Hub makes a price of each symbol at each interval. It is safe for concurrent use.
type Hub struct {
	generator Generator
	symbols   []string
	interval  time.Duration

	mu          sync.Mutex
	subscribers map[*Subscription]bool
	last        uint64
}

// Subscription is what a subscriber reads from.
type Subscription struct {
	// C has rounds of prices, in the order of symbols. It is closed when the subscriber is too slow.
	C   chan []Price
	hub *Hub
}

var symbol = regexp.MustCompile(`^[A-Z]{1,5}(\.[A-Z]{1,2})?$`)

// NewHub returns a hub for symbols. The interval is at least a millisecond.
func NewHub(g Generator, symbols []string, interval time.Duration) (*Hub, error) {
	if len(symbols) == 0 {
		return nil, fmt.Errorf("there are no symbols")
	}
	for i, s := range symbols {
		if !symbol.MatchString(s) || slices.Contains(symbols[:i], s) {
			return nil, fmt.Errorf("the symbol %q is not 1 to 5 capital letters, optionally with a class such as .B, or stands twice", s)
		}
	}
	if interval < time.Millisecond {
		return nil, fmt.Errorf("the interval %s is below a millisecond", interval)
	}
	return &Hub{generator: g, symbols: slices.Clone(symbols), interval: interval, subscribers: map[*Subscription]bool{}}, nil
}

// Symbols returns all symbols.
func (h *Hub) Symbols() []string { return slices.Clone(h.symbols) }

// Known says whether there are prices of a symbol.
func (h *Hub) Known(symbol string) bool { return slices.Contains(h.symbols, symbol) }

// At returns the price of a symbol at a time.
func (h *Hub) At(symbol string, t time.Time) Price {
	seq := uint64(t.UnixNano() / int64(h.interval))
	return Price{symbol, seq, h.generator.At(symbol, seq), time.Unix(0, int64(seq)*int64(h.interval)).UTC()}
}

// Subscribe begins a subscription to all symbols. It ends with Close.
func (h *Hub) Subscribe() *Subscription {
	s := &Subscription{C: make(chan []Price, behind), hub: h}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscribers[s] = true
	return s
}

// Close ends a subscription. It may be called twice.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subscribers, s)
}

// Run makes prices until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	t := time.NewTicker(h.interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			h.round(time.Now())
		}
	}
}

// round hands out the prices of a time, unless they or later ones were handed out before: a clock may be set back.
func (h *Hub) round(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	prices := make([]Price, len(h.symbols))
	for i, s := range h.symbols {
		prices[i] = h.At(s, now)
	}
	if prices[0].Seq <= h.last {
		return
	}
	h.last = prices[0].Seq
	for s := range h.subscribers {
		select {
		case s.C <- prices:
		default:
			delete(h.subscribers, s)
			close(s.C)
		}
	}
}
