package main

import (
	"errors"
	"io"
	"net"
	"sync"
)

// line is a connection that can be cut: it listens, and passes everything on to another address.
type line struct {
	network, from string
	toNetwork, to string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
}

// newLine listens at once. An empty port is chosen.
func newLine(network, from, toNetwork, to string) (*line, error) {
	l := &line{network: network, from: from, toNetwork: toNetwork, to: to, open: map[net.Conn]bool{}}
	if err := l.mend(); err != nil {
		return nil, err
	}
	l.from = l.listener.Addr().String()
	return l, nil
}

// mend listens again.
func (l *line) mend() error {
	listener, err := net.Listen(l.network, l.from)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.listener = listener
	l.mu.Unlock()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go l.pass(c)
		}
	}()
	return nil
}

// cut breaks all connections off and refuses new ones.
func (l *line) cut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	if l.listener != nil {
		errs = append(errs, l.listener.Close())
		l.listener = nil
	}
	for c := range l.open {
		_ = c.Close() // the other side may have closed it already
	}
	clear(l.open)
	return errors.Join(errs...)
}

func (l *line) pass(c net.Conn) {
	defer c.Close()
	d, err := net.Dial(l.toNetwork, l.to)
	if err != nil {
		return
	}
	defer d.Close()
	l.mu.Lock()
	if l.listener == nil {
		l.mu.Unlock()
		return // it was cut meanwhile
	}
	l.open[c], l.open[d] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(d, c); _ = d.Close() })
	both.Go(func() { _, _ = io.Copy(c, d); _ = c.Close() })
	both.Wait()
	l.mu.Lock()
	delete(l.open, c)
	delete(l.open, d)
	l.mu.Unlock()
}
