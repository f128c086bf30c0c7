package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/agent/disk"
)

// Instance is one workload under supervision.
type Instance struct {
	s      *Supervisor
	spec   Spec
	home   string
	logs   *logs
	chance *chance
	// adopted is what to begin with; nil: a start.
	adopted process
	// final: there is nothing to begin.
	final bool

	// asked is closed when it is to end for good, ended when its goroutine has ended: because nothing of it lives and it stays so, or
	// because the supervisor is closed.
	asked chan struct{}
	ended chan struct{}

	mu       sync.Mutex
	status   Status
	stopping bool // asked is closed
	run      run
	process  process
	// secret are the values of the spec's secrets; nil where they are not known.
	secret map[string]string
	// capture is nil where nothing prints.
	capture capture
	// changed is closed and replaced with each change of the status.
	changed chan struct{}

	// saving is held while the record is written, so that an older one does not replace a newer.
	saving sync.Mutex
}

func (s *Supervisor) instance(spec Spec) *Instance {
	return &Instance{
		s: s, spec: spec, home: s.home(spec.ID), chance: newChance(s.o.Seed, spec.ID),
		asked: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{}),
		status: Status{ID: spec.ID, Labels: spec.Labels, State: Starting, Since: time.Now()},
	}
}

// create makes a new instance with its folder and record.
func (s *Supervisor) create(spec Spec) (*Instance, error) {
	i := s.instance(spec)
	i.secret = emptyIfNil(spec.Secrets)
	if err := os.MkdirAll(filepath.Join(i.home, workDir, "tmp"), 0o700); err != nil {
		return nil, err
	}
	if err := i.openLogs(); err != nil {
		return nil, err
	}
	if err := errors.Join(i.save(), disk.SyncFolder(filepath.Dir(i.home))); err != nil {
		i.closeLogs()
		return nil, err
	}
	return i, nil
}

func emptyIfNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (i *Instance) openLogs() (err error) {
	if i.logs, err = openLogs(filepath.Join(i.home, logDir), i.s.o.Logs, i.s.o.Masker); err != nil {
		return err
	}
	if i.capture, err = i.s.host.capture(i.home, i.logs); err != nil {
		i.logs.close()
	}
	return err
}

func (i *Instance) closeLogs() {
	i.mu.Lock()
	c := i.capture
	i.capture = nil
	i.mu.Unlock()
	if c != nil {
		c.close()
	}
	if i.logs != nil {
		i.logs.close()
	}
}

// restore makes an instance of its record, with what runs of it.
func (s *Supervisor) restore(ctx context.Context, home string, r record) (*Instance, error) {
	i := s.instance(r.Spec)
	if len(r.Spec.Secrets) == 0 {
		i.secret = map[string]string{}
	}
	i.run = r.Run
	i.status.State, i.status.Reason, i.status.Since = r.State, r.Reason, r.Since
	i.status.Ports, i.status.Restarts, i.status.Crashes, i.status.LastExit = r.Ports, r.Restarts, r.Crashes, r.LastExit
	i.status.CrashLoop = r.Crashes >= crashLoop
	if r.Stop {
		i.stopping = true
		close(i.asked)
	}
	if r.Run.Nonce == "" && (r.State == Ended || r.Spec.NoRestart && r.State == Crashed) {
		i.final = true
		close(i.ended)
		logs, err := openLogs(filepath.Join(home, logDir), s.o.Logs, nil)
		if err != nil {
			return nil, err
		}
		i.logs = logs
		return i, logs.close()
	}
	if err := i.openLogs(); err != nil {
		return nil, err
	}
	if r.Run.Nonce != "" {
		i.adopted = s.host.adopt(ctx, launch{store: s.store, id: r.Spec.ID, nonce: r.Run.Nonce, home: home, limits: r.Spec.Limits, bundle: r.Spec.Bundle}, r.Run)
		i.status.State = Starting
		i.status.Reason = "adopted; its check has not passed yet"
		i.status.Since = time.Now()
		i.status.Started = r.Started
		i.status.Adopted = true
		i.status.WasHealthy = r.Healthy
	}
	return i, nil
}

// begin starts the instance's goroutine.
func (i *Instance) begin() {
	if i.final {
		return
	}
	go func() {
		defer close(i.ended)
		i.live()
		i.closeLogs()
	}()
}

// abandon lets go of an instance that was never begun.
func (i *Instance) abandon() {
	if i.adopted != nil {
		i.adopted.release()
	}
	i.closeLogs()
}

// ID of the instance.
func (i *Instance) ID() string { return i.spec.ID }

// Spec is what was asked for, with its defaults and without the values of its secrets.
func (i *Instance) Spec() Spec {
	s, _ := i.spec.normal()
	for name := range s.Secrets {
		s.Secrets[name] = ""
	}
	return s
}

// Dir is the instance's working folder.
func (i *Instance) Dir() string { return filepath.Join(i.home, workDir) }

// Status is what the instance is now.
func (i *Instance) Status() Status {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.status.clone()
}

// Await returns the first status, from now on, for which ok is true. The error is the context's cause, or ErrClosed.
func (i *Instance) Await(ctx context.Context, ok func(Status) bool) (Status, error) {
	for {
		i.mu.Lock()
		status, changed := i.status.clone(), i.changed
		i.mu.Unlock()
		if ok(status) {
			return status, nil
		}
		select {
		case <-changed:
		case <-i.s.ctx.Done():
			return status, ErrClosed
		case <-ctx.Done():
			return status, fmt.Errorf("wait for %s, which is %s (%s): %w", i.spec.ID, status.State, status.Reason, context.Cause(ctx))
		}
	}
}

// Logs returns the lines that the instance has printed, oldest first, with the supervisor's own notes.
func (i *Instance) Logs(ctx context.Context, o LogOptions) iter.Seq2[Line, error] {
	return i.logs.read(ctx, o)
}

// Usage measures what the instance uses; an error where it does not run.
func (i *Instance) Usage() (Usage, error) {
	i.mu.Lock()
	p := i.process
	i.mu.Unlock()
	if p == nil {
		return Usage{}, fmt.Errorf("instance %s does not run", i.spec.ID)
	}
	return p.usage()
}

// set changes the status and tells it.
func (i *Instance) set(change func(*Status)) {
	i.mu.Lock()
	before := i.status.State
	change(&i.status)
	if i.status.State != before {
		i.status.Since = time.Now()
	}
	close(i.changed)
	i.changed = make(chan struct{})
	i.s.tell(i.status)
	i.mu.Unlock()
}

// save writes the record.
func (i *Instance) save() error {
	i.saving.Lock()
	defer i.saving.Unlock()
	i.mu.Lock()
	r := record{
		Spec: i.spec, Stop: i.stopping, State: i.status.State, Reason: i.status.Reason, Since: i.status.Since, Ports: i.status.Ports, Run: i.run,
		Started: i.status.Started, Healthy: i.status.State == Healthy || i.status.WasHealthy, Restarts: i.status.Restarts,
		Crashes: i.status.Crashes, LastExit: i.status.LastExit,
	}
	i.mu.Unlock()
	return writeRecord(i.home, r)
}

// trySave writes the record where the next one will do as well.
func (i *Instance) trySave() {
	if err := i.save(); err != nil {
		i.s.o.Log.Error("an instance's record could not be written", "instance", i.spec.ID, "error", err)
	}
}

// stop asks the instance to end for good and waits for it.
func (i *Instance) stop(ctx context.Context) error {
	i.mu.Lock()
	first := !i.stopping
	i.stopping = true
	i.mu.Unlock()
	if first {
		// Where it cannot be recorded it is done all the same: a full disk must not keep anything running.
		i.trySave()
		close(i.asked)
	}
	select {
	case <-i.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if state := i.Status().State; state != Ended && state != Crashed {
		return ErrClosed // let go of
	}
	return nil
}

// erase takes the name from the folder of an ended instance, and returns what is left to remove. The record goes first: without one, the
// rest is nobody's.
func (i *Instance) erase() (rest string, err error) {
	if err := os.Remove(filepath.Join(i.home, recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := disk.SyncFolder(i.home); err != nil {
		return "", err
	}
	rest = filepath.Join(filepath.Dir(i.home), ".removed-"+rand.Text())
	return rest, os.Rename(i.home, rest)
}

// removeAll removes a folder in which a workload may have made folders read-only.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
