package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// live starts, watches and restarts the instance until it is to end for good, or the supervisor is closed.
func (i *Instance) live() {
	p := i.adopted
	if p != nil {
		i.take(p)
	} else if !i.isAsked() && i.status.State == Crashed && !i.pause(i.s.o.Backoff.wait(max(1, i.status.Crashes), i.chance)) {
		return
	}
	for i.s.ctx.Err() == nil {
		if p == nil && i.isAsked() {
			i.finish(Ended, "was asked to end")
			return
		}
		var o outcome
		if p == nil {
			started, err := i.start()
			if err != nil {
				o.because = "it could not be started: " + err.Error()
			}
			p = started
		}
		if p != nil {
			w := newWatch(i, p)
			o = w.watch()
			w.close()
			if o.letGo {
				p.release()
				return
			}
			i.over(p, &o)
			p = nil
		}
		if i.s.ctx.Err() != nil {
			return // what is next is recorded
		}
		if !i.again(o) {
			return
		}
	}
}

// outcome is how a process came to its end, or did not come to be.
type outcome struct {
	exit exit
	// because is why it was ended, or not started; empty where it ended by itself.
	because string
	// letGo: the supervisor is closed, and the process runs on.
	letGo bool
	// healthy is how long it was healthy without a break until it ended.
	healthy time.Duration
}

func (i *Instance) isAsked() bool {
	select {
	case <-i.asked:
		return true
	default:
		return false
	}
}

// pause waits before a start; false where the supervisor is closed meanwhile. A wish to end ends it early.
func (i *Instance) pause(d time.Duration) bool {
	i.set(func(s *Status) { s.NextStart = time.Now().Add(d) })
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-i.asked:
	case <-i.s.ctx.Done():
		return false
	}
	i.set(func(s *Status) { s.NextStart = time.Time{} })
	return true
}

// take makes a process the instance's own.
func (i *Instance) take(p process) {
	r := p.run()
	i.mu.Lock()
	i.process, i.run = p, r
	i.mu.Unlock()
	i.set(func(s *Status) {
		s.PID, s.Limits = r.PID, p.limits()
	})
	// If this is not written, the process is found by its marker.
	i.trySave()
}

// start starts the workload once. The record knows of it before it is there and, with its identity, afterwards.
func (i *Instance) start() (process, error) {
	secrets, err := i.secrets()
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	have := maps.Clone(i.status.Ports)
	i.mu.Unlock()
	ports, moved, err := i.s.ports.assign(i.spec.ID, i.spec.Ports, have)
	if err != nil {
		return nil, err
	}
	for _, name := range moved {
		i.logs.note("port %s is %d now: somebody else listens on %d", name, ports[name], have[name])
	}
	l := launch{store: i.s.store, id: i.spec.ID, nonce: strings.ToLower(rand.Text()[:12]), home: i.home}
	if l, err = i.spec.prepare(l, ports, secrets); err != nil {
		return nil, err
	}
	i.mu.Lock()
	i.run = run{Nonce: l.nonce, Boot: i.s.host.boot()}
	i.mu.Unlock()
	i.set(func(s *Status) {
		s.State, s.Reason, s.Ports, s.Started = Starting, "its check has not passed yet", ports, time.Now()
		s.Adopted, s.WasHealthy, s.Health = false, false, nil
		if s.LastExit != "" {
			s.Restarts++
		}
	})
	err = i.save()
	var p process
	if err == nil {
		p, err = i.s.host.launch(l)
	}
	if err != nil {
		i.mu.Lock()
		i.run = run{}
		i.mu.Unlock()
		return nil, err
	}
	i.take(p)
	i.logs.note("started as process %d: %s", p.run().PID, strings.Join(l.argv, " "))
	return p, nil
}

// secretsTimeout is how long a source of secrets may take.
const secretsTimeout = 30 * time.Second

// secrets are those of the spec, or after an adoption those that the source has.
func (i *Instance) secrets() (map[string]string, error) {
	i.mu.Lock()
	known := i.secret
	i.mu.Unlock()
	if known != nil {
		return known, nil
	}
	names := slices.Sorted(maps.Keys(i.spec.Secrets))
	if i.s.o.Secrets == nil {
		return nil, fmt.Errorf("its secrets (%s) went with the agent that had them, and nobody knows them here", strings.Join(names, ", "))
	}
	ctx, cancel := context.WithTimeout(i.s.ctx, secretsTimeout)
	defer cancel()
	got, err := i.s.o.Secrets.Secrets(ctx, i.spec.ID, names)
	if err != nil {
		return nil, fmt.Errorf("its secrets cannot be had: %w", err)
	}
	secrets := map[string]string{}
	for _, name := range names {
		value, ok := got[name]
		if !ok {
			return nil, fmt.Errorf("its secret %s is not known any longer", name)
		}
		secrets[name] = value
	}
	i.mu.Lock()
	i.secret = secrets
	i.mu.Unlock()
	return secrets, nil
}

// over clears up after a process: its run is no longer recorded, and what it printed is in the log.
func (i *Instance) over(p process, o *outcome) {
	i.mu.Lock()
	i.process, i.run = nil, run{}
	c := i.capture
	ports := maps.Clone(i.status.Ports)
	healthy := i.status.State == Healthy || i.status.WasHealthy
	i.mu.Unlock()
	c.drain()
	if n := len(o.exit.left); n > 0 {
		some := slices.Sorted(slices.Values(o.exit.left))
		o.exit.reason += fmt.Sprintf("; it left %s behind (%v), ended as well: a workload stays in the foreground", counted(n, "process", "processes"), some[:min(n, 5)])
	}
	if o.because == "" && !healthy && !o.exit.clean {
		for _, name := range i.spec.Ports {
			if port := ports[name]; len(i.s.host.free([]int{port})) == 0 {
				o.exit.reason += fmt.Sprintf("; somebody else listens on its port %s (%d), so that it gets another one", name, port)
			}
		}
	}
	i.logs.note("%s", o.exit.reason)
	if quote := i.logs.quote(); quote != "" && !o.exit.clean && o.because == "" {
		o.exit.reason += ", after it wrote " + quote
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// again decides what follows an end, waits if it is to be started again, and reports whether it is.
func (i *Instance) again(o outcome) bool {
	reason := o.because
	switch {
	case reason == "":
		reason = o.exit.reason
	case o.exit.reason != "":
		reason += "; then it " + o.exit.reason
	}
	if i.isAsked() {
		i.finish(Ended, "was asked to end; it "+o.exit.reason)
		return false
	}
	if i.spec.NoRestart {
		state := Crashed
		if o.because == "" && o.exit.clean {
			state = Ended
		}
		i.finish(state, reason)
		return false
	}
	var wait time.Duration
	i.set(func(s *Status) {
		s.State, s.PID, s.Adopted = Crashed, 0, false
		s.LastExit = reason
		if o.exit.rebooted {
			s.Reason = reason
			return
		}
		if o.healthy >= i.s.o.Backoff.Reset {
			s.Crashes = 0
		}
		s.Crashes++
		wait = i.s.o.Backoff.wait(s.Crashes, i.chance)
		s.CrashLoop = s.Crashes >= crashLoop
		s.Reason = reason
		if s.CrashLoop {
			s.Reason = fmt.Sprintf("it crashes in a loop, %d times in a row by now; the last time it %s", s.Crashes, reason)
		}
	})
	i.trySave()
	return i.pause(wait)
}

// finish makes a state the last one.
func (i *Instance) finish(state State, reason string) {
	i.set(func(s *Status) {
		if s.PID != 0 || s.State != Crashed {
			s.LastExit = reason
		}
		s.State, s.Reason, s.PID, s.Ports, s.NextStart, s.Adopted = state, reason, 0, nil, time.Time{}, false
	})
	i.s.ports.release(i.spec.ID)
	i.trySave()
}

// retryKill is how long to wait before trying again to end what does not end.
const retryKill = time.Second

// leftPoll is how soon to look whether what a leader has left is gone; then less and less often.
const (
	leftPoll     = 5 * time.Millisecond
	leftPollMost = 200 * time.Millisecond
)

// end asks a process to end, gives it its grace, and ends it by force.
func (i *Instance) end(p process, because string) outcome {
	o := outcome{because: because}
	i.set(func(s *Status) { s.State, s.Reason = Stopping, because })
	i.logs.note("is asked to end by SIG%s, within %v: %s", i.spec.Stop.Signal, i.spec.Stop.Grace, because)
	if err := p.signal(i.spec.Stop.Signal); err != nil {
		i.s.o.Log.Warn("an instance could not be signalled", "instance", i.spec.ID, "error", err)
	}
	grace := time.NewTimer(i.spec.Stop.Grace)
	defer grace.Stop()
	over := false
	select {
	case <-p.done():
	case <-grace.C:
		over = true
		i.logs.note("did not end within %v and is killed", i.spec.Stop.Grace)
	case <-i.s.ctx.Done():
		o.letGo = true
		return o
	}
	// What the leader has left was asked as well, or is now, and has the rest of the grace.
	for wait := leftPoll; !over; wait = min(2*wait, leftPollMost) {
		if left, err := p.members(); err != nil || len(left) == 0 {
			break
		}
		p.signal(i.spec.Stop.Signal)
		poll := time.NewTimer(wait)
		select {
		case <-poll.C:
		case <-grace.C:
			over = true
		case <-i.s.ctx.Done():
			poll.Stop()
			o.letGo = true
			return o
		}
		poll.Stop()
	}
	i.kill(p, &o)
	if over && !o.letGo {
		o.exit.reason += fmt.Sprintf(" after it had not ended within its grace of %v", i.spec.Stop.Grace)
	}
	o.exit.left = nil // it was asked, not left
	return o
}

// kill ends by force what still lives of a process, however often that must be tried.
func (i *Instance) kill(p process, o *outcome) {
	for {
		ended, err := p.finish(i.s.ctx)
		if err == nil {
			o.exit = ended
			return
		}
		if i.s.ctx.Err() != nil {
			o.letGo = true
			return
		}
		if !errors.Is(err, context.Canceled) {
			i.set(func(s *Status) { s.State, s.Reason = Stopping, err.Error() })
		}
		timer := time.NewTimer(retryKill)
		select {
		case <-timer.C:
		case <-i.s.ctx.Done():
		}
		timer.Stop()
	}
}
