package process

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// watch looks after one process from its start to its end: it has it checked, and judges.
type watch struct {
	i *Instance
	p process
	c Check

	ctx    context.Context
	cancel context.CancelFunc
	checks sync.WaitGroup

	passes, failures int
	// since is when the passes in a row began; healthy when it became healthy, zero while it is not.
	since, healthy time.Time
	last           Result

	next, deadline, settle, endAfter *time.Timer
}

func newWatch(i *Instance, p process) *watch {
	w := &watch{i: i, p: p, c: i.spec.Check}
	w.ctx, w.cancel = context.WithCancel(i.s.ctx)
	w.deadline = time.NewTimer(w.c.StartWithin)
	w.next, w.settle, w.endAfter = stopped(), stopped(), stopped()
	if w.c.Kind == CheckNone {
		w.settle.Reset(w.c.MinHealthy)
	} else {
		w.next.Reset(0)
	}
	return w
}

// stopped returns a timer that does not run.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// close returns when no check runs any longer.
func (w *watch) close() {
	w.halt()
	for _, t := range []*time.Timer{w.next, w.deadline, w.settle, w.endAfter} {
		t.Stop()
	}
}

// halt ends checking: a command of a check must not outlive what is ended.
func (w *watch) halt() {
	w.cancel()
	w.checks.Wait()
}

func (w *watch) end(because string) outcome {
	w.halt()
	return w.i.end(w.p, because)
}

// watch returns when the process has ended, with all that came from it, or is let go of.
func (w *watch) watch() (o outcome) {
	defer func() {
		if !w.healthy.IsZero() {
			o.healthy = time.Since(w.healthy)
		}
	}()
	results := make(chan Result, 1)
	for {
		select {
		case <-w.i.s.ctx.Done():
			return outcome{letGo: true}
		case <-w.p.done():
			w.halt()
			w.i.kill(w.p, &o)
			return o
		case <-w.i.asked:
			return w.end("was asked to end")
		case <-w.deadline.C:
			return w.end(w.tooLate())
		case <-w.endAfter.C:
			return w.end(fmt.Sprintf("it was unhealthy for %v: %s", w.c.EndAfter, w.last.Reason))
		case <-w.settle.C:
			w.become(fmt.Sprintf("it has no check, and has run for %v", w.c.MinHealthy))
		case <-w.next.C:
			w.checks.Go(func() { results <- w.check() })
		case r := <-results:
			w.judge(r)
			// From beginning to beginning; one that took longer than the interval is followed at once.
			w.next.Reset(max(0, w.c.Interval-time.Since(r.At)))
		}
	}
}

// check checks once. It is called by one goroutine at a time.
func (w *watch) check() Result {
	ctx, cancel := context.WithTimeout(w.ctx, w.c.Timeout)
	defer cancel()
	r := Result{At: time.Now()}
	status := w.i.Status()
	port := status.Ports[w.c.Port]
	if w.c.Kind == CheckCommand {
		r.Reason = w.command(ctx)
	} else {
		r.Reason, r.refused = w.i.s.prober.probe(ctx, w.c, port)
	}
	r.Took = time.Since(r.At)
	r.OK = r.Reason == ""
	switch {
	case r.OK && w.c.Kind != CheckCommand && status.State == Starting:
		// Whoever else answers, this is not the one that is being looked at.
		if pid := w.p.owner(port); pid != 0 {
			r.OK = false
			r.Reason = fmt.Sprintf("port %d is answered by another process (%d), not by the instance's own", port, pid)
		}
	case r.refused:
		r.Reason += w.elsewhere(port)
	}
	return r
}

func (w *watch) command(ctx context.Context) (reason string) {
	l, err := w.i.inside(w.c.Command)
	if err != nil {
		return err.Error()
	}
	code, output, err := w.p.inside(ctx, l)
	text := firstLine(w.i.logs.mask(output))
	switch {
	case ctx.Err() != nil:
		return fmt.Sprintf("%s did not end within %v%s", w.c.Command[0], w.c.Timeout, text)
	case err != nil:
		return err.Error()
	case code != 0:
		return fmt.Sprintf("%s ended with exit code %d%s", w.c.Command[0], code, text)
	}
	return ""
}

// elsewhere says where a process listens that does not where it should.
func (w *watch) elsewhere(port int) string {
	sockets, ok := w.p.listening()
	if !ok {
		return ""
	}
	if len(sockets) == 0 {
		return "; the instance listens on no port yet"
	}
	var found []string
	for _, s := range sockets {
		if s.port == port {
			return fmt.Sprintf("; the instance listens on that port, but at the address %s alone", s.ip)
		}
		found = append(found, fmt.Sprint(s.port))
	}
	slices.Sort(found)
	return fmt.Sprintf("; the instance listens on another port (%s): does it read %s?", strings.Join(slices.Compact(found), ", "), w.i.spec.toldBy(w.c.Port))
}

// judge draws the conclusions of a result.
func (w *watch) judge(r Result) {
	w.last = r
	state := w.i.Status().State
	w.i.set(func(s *Status) {
		s.Health = append(s.Health, r)
		if n := len(s.Health) - healthHistory; n > 0 {
			s.Health = slices.Delete(s.Health, 0, n)
		}
		if state == Starting && !r.OK {
			s.Reason = r.Reason
		}
	})
	if !r.OK {
		w.passes = 0
		w.failures++
		if state == Healthy && w.failures >= w.c.Failures {
			w.healthy = time.Time{}
			w.i.set(func(s *Status) {
				s.State, s.Reason = Unhealthy, fmt.Sprintf("its check failed %d times in a row: %s", w.failures, r.Reason)
				s.WasHealthy = false
			})
			w.i.logs.note("is unhealthy: %s", r.Reason)
			w.i.trySave()
			if w.c.EndAfter > 0 {
				w.endAfter.Reset(w.c.EndAfter)
			}
		}
		return
	}
	w.failures = 0
	if w.passes++; w.passes == 1 {
		w.since = r.At
	}
	if state == Healthy {
		return
	}
	// One that was healthy before it was adopted has shown already for how long.
	long := time.Since(w.since)
	if w.i.Status().WasHealthy || w.passes >= w.c.Passes && long >= w.c.MinHealthy {
		w.become(fmt.Sprintf("its check passed %d times in a row", w.passes))
	}
}

// become makes the instance healthy.
func (w *watch) become(reason string) {
	w.deadline.Stop()
	w.endAfter.Stop()
	w.healthy = time.Now()
	w.i.set(func(s *Status) { s.State, s.Reason, s.WasHealthy = Healthy, reason, false })
	w.i.logs.note("is healthy: %s", reason)
	w.i.trySave()
}

func (w *watch) tooLate() string {
	reason := fmt.Sprintf("it was not healthy within %v", w.c.StartWithin)
	switch {
	case w.c.Kind == CheckNone:
		return reason
	case w.last.At.IsZero():
		return reason + ": its check has not answered yet"
	case w.last.OK:
		return fmt.Sprintf("%s: its check passed %d times in a row; it must %d times, for %v", reason, w.passes, w.c.Passes, w.c.MinHealthy)
	}
	return reason + ": " + w.last.Reason
}
