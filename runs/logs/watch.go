package logs

import (
	"context"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// Watch returns a channel that gets a value when the job's log has grown or was completed since the last one was taken: at once for what
// this process commits, after Options.Poll for others. There may be values without a cause. It ends with ctx, or with Close; the channel
// is not closed then.
func (s *Store) Watch(ctx context.Context, job string) <-chan struct{} {
	ch := make(chan struct{}, 1)
	s.hub.add(s.ctx, job, ch)
	context.AfterFunc(ctx, func() { s.hub.remove(job, ch) })
	return ch
}

// hub wakes those who watch logs. However many they are, one query for each Poll looks for what other servers have appended.
type hub struct {
	db    *store.DB
	every time.Duration

	mu      sync.Mutex
	jobs    map[string]*watched
	polling bool
	done    sync.WaitGroup
}

// watched is a log that somebody watches.
type watched struct {
	waiting map[chan struct{}]struct{}
	// lines and complete are what the last look has seen.
	lines    int64
	complete bool
}

func (h *hub) add(ctx context.Context, job string, ch chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if h.jobs == nil {
		h.jobs = map[string]*watched{}
	}
	w := h.jobs[job]
	if w == nil {
		w = &watched{waiting: map[chan struct{}]struct{}{}}
		h.jobs[job] = w
	}
	w.waiting[ch] = struct{}{}
	if !h.polling {
		h.polling = true
		h.done.Go(func() { h.poll(ctx) })
	}
}

func (h *hub) remove(job string, ch chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.jobs[job]; w != nil {
		delete(w.waiting, ch)
		if len(w.waiting) == 0 {
			delete(h.jobs, job)
		}
	}
}

// tell wakes those who watch a log.
func (h *hub) tell(job string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.jobs[job]; w != nil {
		w.wake()
	}
}

func (w *watched) wake() {
	for ch := range w.waiting {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// poll looks at the watched logs until none is watched.
func (h *hub) poll(ctx context.Context) {
	tick := time.NewTicker(h.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.mu.Lock()
		jobs := make([]string, 0, len(h.jobs))
		for job := range h.jobs {
			jobs = append(jobs, job)
		}
		if len(jobs) == 0 {
			h.polling = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		const atOnce = 500
		for len(jobs) > 0 {
			n := min(len(jobs), atOnce)
			h.look(ctx, jobs[:n])
			jobs = jobs[n:]
		}
	}
}

// look wakes those whose logs have changed. That the database cannot be read now is for those who read it to say.
func (h *hub) look(ctx context.Context, jobs []string) {
	var rows []state
	if err := h.db.NewSelect().Model(&rows).Column("job", "lines", "complete").Where("job IN (?)", bun.In(jobs)).Scan(ctx); err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range rows {
		r := &rows[i]
		if w := h.jobs[r.Job]; w != nil && (w.lines != r.Lines || w.complete != r.Complete) {
			w.lines, w.complete = r.Lines, r.Complete
			w.wake()
		}
	}
}

// wait returns when nothing is polled any longer, after the context of add has ended.
func (h *hub) wait() {
	h.mu.Lock() // for an add that saw the context before its end
	h.mu.Unlock()
	h.done.Wait()
}
