package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// keptPrices is how many prices of a symbol are remembered to compare those of other sessions with.
const keptPrices = 256

// errMoved: the other end has said goodbye, and another one is there for us.
var errMoved = errors.New("moved")

// ticker compares prices: the same number means the same price, whoever says it.
type ticker struct {
	tally *tally

	mu     sync.Mutex
	prices map[string]*[keptPrices]known // by symbol, in a ring by number
}

type known struct {
	seq   uint64
	ticks int64
}

// see compares a price with what other sessions were told.
func (t *ticker) see(who, symbol string, seq uint64, ticks int64) {
	t.mu.Lock()
	ring := t.prices[symbol]
	if ring == nil {
		ring = &[keptPrices]known{}
		t.prices[symbol] = ring
	}
	at := &ring[seq%keptPrices]
	before := *at
	if seq >= before.seq {
		*at = known{seq, ticks}
	}
	t.mu.Unlock()
	if before.seq == seq && seq != 0 && before.ticks != ticks {
		t.tally.wrong("%s: %s #%d costs %d, and another session was told %d", who, symbol, seq, ticks, before.ticks)
	}
}

// watcher is one session that is held, with what it has seen from its first connection to its last.
type watcher struct {
	who     string
	prices  *ticker
	tally   *tally
	counts  func(*summary) *sessionCounts
	silence time.Duration
	grace   time.Duration
	// connect holds a connection until it ends: errMoved where the other end said goodbye. begun is called with the
	// version when it is open.
	connect func(ctx context.Context, begun func(version string)) error

	last  map[string]uint64
	fresh map[string]bool // symbols that this connection has had a price of
}

// see takes a price: its numbers grow. The first one of a connection may be the last one of the connection before, as the
// two ends make their prices at the same times, but not at the same moments.
func (w *watcher) see(symbol string, seq uint64, ticks int64) {
	if last := w.last[symbol]; seq < last || seq == last && w.fresh[symbol] {
		w.tally.wrong("%s: %s #%d comes after #%d", w.who, symbol, seq, last)
	}
	w.last[symbol], w.fresh[symbol] = seq, true
	w.prices.see(w.who, symbol, seq, ticks)
	w.tally.with(func(s *summary) { w.counts(s).Prices++ })
}

// run holds the session until ctx ends.
func (w *watcher) run(ctx context.Context) {
	w.last = map[string]uint64{}
	var broken time.Time // since when there is none; zero: there was one just now
	for ctx.Err() == nil {
		w.fresh = map[string]bool{}
		begun := false
		err := w.connect(ctx, func(version string) {
			begun, broken = true, time.Time{}
			if version == "" {
				w.tally.wrong("%s: the session begins without a version", w.who)
			} else {
				w.tally.version(version)
			}
			w.tally.with(func(s *summary) { w.counts(s).Begun++ })
		})
		switch {
		case ctx.Err() != nil:
			return
		case begun && errors.Is(err, errMoved):
			w.tally.with(func(s *summary) { w.counts(s).Moved++ })
			continue
		case broken.IsZero():
			broken = time.Now()
		}
		if begun {
			w.tally.with(func(s *summary) { w.counts(s).Lost++ })
			w.tally.fail("%s: the session broke: %v", w.who, err)
		} else if time.Since(broken) >= w.grace {
			w.tally.fail("%s: there is no session: %v", w.who, err)
		}
		pause := time.NewTimer(100 * time.Millisecond)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}
