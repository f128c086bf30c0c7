package metrics

import (
	"context"
	"errors"
	"sync"
)

// gate lets users in until it is closed, and then waits for those who are in. Prometheus' parts do not survive to be asked after they were
// closed: the engine's memory map is gone, and the process with it.
type gate struct {
	mu     sync.Mutex
	shut   bool
	inside sync.WaitGroup
	ctx    context.Context
	end    context.CancelCauseFunc
}

// errClosed is why a store does not answer that was closed.
var errClosed = errors.New("the store is closed")

func newGate() *gate {
	ctx, end := context.WithCancelCause(context.Background())
	return &gate{ctx: ctx, end: end}
}

// enter returns a context that also ends when the gate is closed, and what to call when done; or false if the gate is closed.
func (g *gate) enter(ctx context.Context) (context.Context, func(), bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return nil, nil, false
	}
	g.inside.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(g.ctx, func() { cancel(errClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
		g.inside.Done()
	}, true
}

// close lets nobody in any more, ends the contexts of those who are in, and waits for them.
func (g *gate) close() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
	g.end(errClosed)
	g.inside.Wait()
}
