package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Groups are concurrency groups: of each, one member runs and one or more wait. Implementations are safe for concurrent use.
type Groups interface {
	// Enter joins a group and waits for its turn. The context it returns is cancelled, with a *SupersededError as its cause, when a
	// newer member takes this one's place; leave must be called when the work has ended. The error is the cause of a context that
	// ended while waiting. Names of groups are compared without case, as GitHub does.
	Enter(ctx context.Context, m GroupMember) (inner context.Context, leave func(), err error)
}

// GroupMember is who joins a group, and how.
type GroupMember struct {
	// ID is the same each time that a run is walked: the run's ID and the path of the job or call, empty for the whole pipeline.
	Run, ID string
	Group   string
	// QueueAll: members wait in their order; otherwise a newer member that has to wait takes the place of the one that waits already.
	// CancelRunning cancels the member that runs; the newer one still waits until that has left.
	CancelRunning, QueueAll bool
}

// SupersededError is the cause of a cancel by a newer member of a concurrency group.
type SupersededError struct{ Group string }

func (e *SupersededError) Error() string {
	return fmt.Sprintf("a newer one took its place in concurrency group %q", e.Group)
}

// memoryGroups are groups within one process.
type memoryGroups struct {
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

// NewGroups returns groups without members, for those that share the value.
func NewGroups() Groups { return &memoryGroups{groups: map[string]*concurrencyGroup{}} }

// Enter implements Groups.
func (g *memoryGroups) Enter(ctx context.Context, m GroupMember) (inner context.Context, leave func(), err error) {
	inner, cancel := context.WithCancelCause(ctx)
	key := strings.ToLower(m.Group)
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
		if m.CancelRunning {
			c.running.cancel(&SupersededError{m.Group})
		}
		if m.CancelRunning || !m.QueueAll {
			for _, w := range c.waiting {
				w.cancel(&SupersededError{m.Group})
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
