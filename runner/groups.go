package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Groups are concurrency groups: of each, one member runs and one or more wait. It is safe for concurrent use.
type Groups struct {
	mu     sync.Mutex
	groups map[string]*concurrencyGroup
}

type concurrencyGroup struct {
	running *groupMember
	waiting []*groupMember
}

type groupMember struct {
	turn   chan struct{}
	cancel context.CancelCauseFunc
}

// NewGroups returns groups without members.
func NewGroups() *Groups { return &Groups{groups: map[string]*concurrencyGroup{}} }

// errSuperseded is the cause of a cancel by a newer member of a concurrency group.
type errSuperseded struct{ group string }

func (e errSuperseded) Error() string {
	return fmt.Sprintf("a newer one took its place in concurrency group %q", e.group)
}

// enter joins a group and waits for its turn. The context it returns is cancelled when a newer member takes this one's
// place; leave must be called when the work has ended. Names are compared without case, as GitHub does.
//
// With queueAll members wait in their order; without, a newer member that has to wait takes the place of the one that
// waits already. cancelRunning cancels the member that runs; it still takes until that has left.
func (g *Groups) enter(ctx context.Context, name string, cancelRunning, queueAll bool) (inner context.Context, leave func(), err error) {
	inner, cancel := context.WithCancelCause(ctx)
	key := strings.ToLower(name)
	me := &groupMember{turn: make(chan struct{}), cancel: cancel}

	g.mu.Lock()
	c := g.groups[key]
	if c == nil {
		c = &concurrencyGroup{}
		g.groups[key] = c
	}
	if c.running == nil {
		c.running = me
		close(me.turn)
	} else {
		if cancelRunning {
			c.running.cancel(errSuperseded{name})
		}
		if cancelRunning || !queueAll {
			for _, w := range c.waiting {
				w.cancel(errSuperseded{name})
			}
			c.waiting = nil
		}
		c.waiting = append(c.waiting, me)
	}
	g.mu.Unlock()

	leave = func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		defer cancel(nil)
		if c.running != me {
			c.waiting = slices.DeleteFunc(c.waiting, func(w *groupMember) bool { return w == me })
			return
		}
		c.running = nil
		if len(c.waiting) > 0 {
			c.running, c.waiting = c.waiting[0], c.waiting[1:]
			close(c.running.turn)
			return
		}
		delete(g.groups, key)
	}
	select {
	case <-me.turn:
		return inner, leave, nil
	case <-inner.Done():
		err := context.Cause(inner)
		leave()
		return nil, nil, err
	}
}
