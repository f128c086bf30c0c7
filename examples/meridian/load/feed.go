package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"meridian.example/marketdata/fix"
)

const (
	// heartbeat is what we ask for, goodbye how long the answer to our logout may take.
	heartbeat, goodbye = 5 * time.Second, 5 * time.Second
)

// feed holds a FIX session of prices until it ends. It is a watcher's connect.
func (w *watcher) feed(ctx context.Context, address string, session *fix.Session, symbols []string, timeout time.Duration, begun func(string)) error {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer session.Disconnect()
	messages, failed, over := make(chan fix.Message), make(chan error, 1), make(chan struct{})
	defer func() {
		close(over)
		_ = conn.Close()
		<-failed
	}()
	go func() {
		r := bufio.NewReader(conn)
		for {
			m, err := fix.Read(r)
			if err != nil {
				failed <- err
				break
			}
			select {
			case messages <- m:
				continue
			case <-over:
			}
			failed <- nil
			break
		}
		close(failed)
	}()

	// The other end may be another process than before, which knows nothing of our numbers.
	session.Connect(time.Now(), true)
	timer := time.NewTimer(0)
	defer timer.Stop()
	ending, opened, price := ctx.Done(), false, time.Now()
	deadline := price.Add(timeout) // of what is awaited: the logon, a price, the answer to our logout
	for {
		if err := write(conn, session, timeout); err != nil {
			return err
		}
		due := deadline
		if at := session.Due(); !at.IsZero() && at.Before(due) {
			due = at
		}
		timer.Reset(time.Until(due))
		select {
		case m := <-messages:
			app, err := session.Receive(time.Now(), m)
			if err != nil {
				_ = write(conn, session, timeout) // why it ends matters more than whether the last words go out
				return moved(err)
			}
			if session.Open() && !opened {
				opened, deadline = true, time.Now().Add(w.silence)
				begun(m.Get(fix.Version))
				fields := []fix.Field{{Tag: fix.MDReqID, Value: "prices"}, {Tag: fix.Subscription, Value: "1"}, fix.Int(fix.NoRelatedSym, len(symbols))}
				for _, s := range symbols {
					fields = append(fields, fix.Field{Tag: fix.Symbol, Value: s})
				}
				session.Send(time.Now(), fix.Message{Type: fix.MarketDataRequest, Fields: fields})
			}
			if app && w.price(m) && ending != nil {
				deadline = time.Now().Add(w.silence)
			}
		case err := <-failed:
			if err == nil {
				err = errors.New("the connection is over")
			}
			return err
		case <-timer.C:
			if !time.Now().Before(deadline) {
				return errors.New("what was awaited did not come in time")
			}
			if err := session.Tick(time.Now()); err != nil {
				_ = write(conn, session, timeout) // why it ends matters more than whether the last words go out
				return moved(err)
			}
		case <-ending:
			if !opened {
				return ctx.Err()
			}
			ending, deadline = nil, time.Now().Add(goodbye)
			session.Logout(time.Now(), "good night")
		}
	}
}

// moved turns a goodbye into errMoved.
func moved(err error) error {
	if ended := (*fix.Ended)(nil); errors.As(err, &ended) && ended.Logout {
		return errMoved
	}
	return err
}

// write writes what a session has to say.
func write(conn net.Conn, session *fix.Session, timeout time.Duration) error {
	var b []byte
	for _, m := range session.Out() {
		b = fix.Append(b, m)
	}
	if len(b) == 0 {
		return nil
	}
	_ = conn.SetWriteDeadline(time.Now().Add(timeout))
	if _, err := conn.Write(b); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// price takes a message of the application, and says whether it was a price.
func (w *watcher) price(m fix.Message) bool {
	seq, err := m.Number(fix.RptSeq)
	whole, cents, ok := strings.Cut(m.Get(fix.MDEntryPx), ".")
	ticks, err2 := strconv.ParseInt(whole+cents, 10, 64)
	if m.Type != fix.MarketDataSnapshot || errors.Join(err, err2) != nil || !ok || len(cents) != 2 {
		w.tally.wrong("%s: the message %+v is no price", w.who, m)
		return false
	}
	w.see(m.Get(fix.Symbol), seq, ticks)
	return true
}
