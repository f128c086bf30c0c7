package process

import (
	"context"
	"iter"
	"sync"
)

// Changes yields the status of each instance and then each change, until the context ends or the supervisor is closed. Who is slow misses
// what is no longer so: of each instance the newest status is yielded. An instance that was removed is not told of.
func (s *Supervisor) Changes(ctx context.Context) iter.Seq[Status] {
	return func(yield func(Status) bool) {
		w := &watcher{wake: make(chan struct{}, 1), pending: map[string]Status{}}
		s.watching.Lock()
		s.watchers[w] = struct{}{}
		s.watching.Unlock()
		defer func() {
			s.watching.Lock()
			delete(s.watchers, w)
			s.watching.Unlock()
		}()
		for _, i := range s.all() {
			// By the instance's own order of changes: an older status must not come after a newer one.
			i.mu.Lock()
			w.put(i.status)
			i.mu.Unlock()
		}
		for {
			for _, status := range w.take() {
				if ctx.Err() != nil || !yield(status) {
					return
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-s.ctx.Done():
				return
			case <-w.wake:
			}
		}
	}
}

// tell hands a status to all who watch.
func (s *Supervisor) tell(status Status) {
	s.watching.Lock()
	defer s.watching.Unlock()
	for w := range s.watchers {
		w.put(status)
	}
}

// watcher holds what one who watches has not seen yet.
type watcher struct {
	mu      sync.Mutex
	pending map[string]Status
	order   []string
	wake    chan struct{}
}

func (w *watcher) put(status Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.pending[status.ID]; !there {
		w.order = append(w.order, status.ID)
	}
	w.pending[status.ID] = status.clone()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() (all []Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.order {
		all = append(all, w.pending[id])
		delete(w.pending, id)
	}
	w.order = nil
	return all
}
