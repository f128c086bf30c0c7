package feed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"meridian.example/marketdata/fix"
	"meridian.example/marketdata/price"
)

// errSlow: the other end does not read what it has asked for.
var errSlow = errors.New("the other end is too slow")

// connection is one connection of a session. One goroutine has it, and another one reads.
type connection struct {
	server *Server
	conn   net.Conn
	r      *bufio.Reader
	fix    *fix.Session
	log    *slog.Logger
	// wanted has, by symbol, the ID of the request that asked for it.
	wanted map[string]string
}

// run serves the connection until it ends, with the reason.
func (c *connection) run(first fix.Message) (reason string, err error) {
	messages, failed := make(chan fix.Message), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { failed <- c.read(ctx, messages) }()
	defer func() {
		_ = c.conn.Close() // the reader's end
		stop()
		<-failed
	}()

	subscription := c.server.o.Hub.Subscribe()
	defer subscription.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	stopping, counted := c.server.stopping.Done(), false
	defer func() {
		if counted {
			c.server.count.Add(-1)
		}
	}()

	err = c.receive(first)
	for {
		if werr := c.flush(); werr != nil && err == nil {
			err = werr
		}
		if err != nil {
			return reasonOf(err), err
		}
		if c.fix.Open() && !counted {
			counted = true
			c.server.count.Add(1)
		}
		if due := c.fix.Due(); !due.IsZero() {
			timer.Reset(time.Until(due))
		}
		select {
		case m := <-messages:
			err = c.receive(m)
		case err = <-failed:
			failed <- nil // for the end
		case <-timer.C:
			err = c.fix.Tick(time.Now())
		case prices, ok := <-subscription.C:
			if !ok {
				return "slow", errSlow
			}
			c.send(prices)
		case <-stopping:
			stopping = nil // once
			c.fix.Logout(time.Now(), "the service stops; come again")
		}
	}
}

// read reads messages until the connection ends.
func (c *connection) read(ctx context.Context, to chan<- fix.Message) error {
	for {
		m, err := fix.Read(c.r)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		select {
		case to <- m:
		case <-ctx.Done():
			return nil
		}
	}
}

// flush writes what the session has to say.
func (c *connection) flush() error {
	var b []byte
	for _, m := range c.fix.Out() {
		b = fix.Append(b, m)
	}
	if len(b) == 0 {
		return nil
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(writing))
	if _, err := c.conn.Write(b); errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlow
	} else if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// receive takes a message. A market data request names the symbols that are wanted from now on.
func (c *connection) receive(m fix.Message) error {
	now := time.Now()
	app, err := c.fix.Receive(now, m)
	if err != nil || !app {
		return err
	}
	id := m.Get(fix.MDReqID)
	refuse := func(text string) {
		fields := []fix.Field{{Tag: fix.Text, Value: text}}
		if id != "" {
			fields = append([]fix.Field{{Tag: fix.MDReqID, Value: id}}, fields...)
		}
		c.fix.Send(now, fix.Message{Type: fix.MarketDataReject, Fields: fields})
	}
	kind, symbols := m.Get(fix.Subscription), m.All(fix.Symbol)
	switch {
	case m.Type != fix.MarketDataRequest:
		refuse("only market data requests (V) are known")
		return nil
	case id == "" || len(id) > maxID:
		refuse("MDReqID is missing or too long")
		return nil
	case kind != "1" && kind != "2":
		refuse("SubscriptionRequestType must be 1, to begin, or 2, to end")
		return nil
	case len(symbols) == 0:
		refuse("there are no symbols")
		return nil
	}
	for _, symbol := range symbols {
		if !c.server.o.Hub.Known(symbol) {
			refuse(fmt.Sprintf("there are no prices of %.20s", symbol))
			return nil
		}
	}
	for _, symbol := range symbols {
		if kind == "1" {
			c.wanted[symbol] = id
		} else {
			delete(c.wanted, symbol)
		}
	}
	return nil
}

// send sends the prices that are wanted.
func (c *connection) send(prices []price.Price) {
	if !c.fix.Open() {
		return
	}
	for _, p := range prices {
		id, ok := c.wanted[p.Symbol]
		if !ok {
			continue
		}
		c.server.o.Faults.Slow(c.server.stopping, time.Since(p.Time))
		if c.server.o.Faults.IsWrong() {
			p.Seq-- // an old number
		}
		c.fix.Send(time.Now(), fix.Message{Type: fix.MarketDataSnapshot, Fields: []fix.Field{
			{Tag: fix.MDReqID, Value: id}, {Tag: fix.Symbol, Value: p.Symbol}, fix.Int(fix.RptSeq, p.Seq),
			{Tag: fix.NoMDEntries, Value: "1"}, {Tag: fix.MDEntryType, Value: "2"}, // a trade
			{Tag: fix.MDEntryPx, Value: fmt.Sprintf("%d.%02d", p.Ticks/price.TicksPerUnit, p.Ticks%price.TicksPerUnit)},
		}})
		c.server.sent.Inc()
	}
}
