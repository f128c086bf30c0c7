package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/fleet"
	manifest "github.com/gantry-ops/gantry/project"
)

// joinFor is how long an agent that the server starts has to join.
const joinFor = 10 * time.Minute

// ownAgents starts agents on the server's own machine. Each is a process of its own that outlives the server: what it serves does not end with it.
type ownAgents struct {
	fleet *fleet.Service
	// dir has a folder for each; url is where agents reach the server.
	dir, url string

	log *slog.Logger

	mu      sync.Mutex
	started map[string]bool
	// ending is closed when the server stops.
	ending  chan struct{}
	closing sync.Once
}

// restartAfter is how long an agent that was killed stays away at least.
const restartAfter = time.Second

// ensure starts an agent where this server has not done so yet. One that runs from an earlier start of the server is taken over by the new one, which may
// be of another version, without a refused connection.
func (a *ownAgents) ensure(ctx context.Context, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started[name] {
		return nil
	}
	token, err := a.fleet.MakeToken(ctx, "gantry", fleet.TokenRequest{Name: name, TTL: joinFor})
	if err != nil {
		return fmt.Errorf("let the agent %s join: %w", name, err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start the agent %s: %w", name, err)
	}
	dir := filepath.Join(a.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("start the agent %s: %w", name, err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start the agent %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(self, "agent", "--dir", dir, "--server", a.url, "--name", name)
	// The token is no argument: those can be read by others.
	cmd.Env = append(os.Environ(), "GANTRY_JOIN_TOKEN="+token.Token)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = apart()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the agent %s: %w", name, err)
	}
	a.started[name] = true
	go func() {
		// One that has handed over to the next, or was told to stop, ends well. One that was killed is started again: nobody else would.
		if err := cmd.Wait(); err == nil {
			return
		}
		select {
		case <-a.ending:
			return
		case <-time.After(restartAfter):
		}
		a.mu.Lock()
		a.started[name] = false
		a.mu.Unlock()
		if err := a.ensure(context.WithoutCancel(ctx), name); err != nil {
			a.log.Error("an agent that had ended was not started again", "agent", name, "error", err)
		}
	}()
	return nil
}

// close leaves the agents alone from now on.
func (a *ownAgents) close() error {
	a.closing.Do(func() { close(a.ending) })
	return nil
}

// again starts those that earlier servers have started, since what is desired of them may be on them alone.
func (a *ownAgents) again(ctx context.Context) error {
	entries, err := os.ReadDir(a.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the agents of this machine: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() {
			errs = append(errs, a.ensure(ctx, e.Name()))
		}
	}
	return errors.Join(errs...)
}

// needsLocal reports whether a configuration names the agent that the server starts by itself.
func needsLocal(c manifest.Config) bool {
	return slices.ContainsFunc(c.Placements, func(p *manifest.Placement) bool {
		return slices.ContainsFunc(p.Targets, func(t manifest.Target) bool { return slices.Contains(t.Agents, manifest.LocalAgent) })
	})
}

// stop ends the agents of this machine and what runs on them.
func (a *ownAgents) stop(ctx context.Context) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return // there is none
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	var all sync.WaitGroup
	for _, e := range entries {
		all.Go(func() {
			// What it cannot end is told by the agent's own log.
			_ = exec.CommandContext(ctx, self, "agent", "stop", "--dir", filepath.Join(a.dir, e.Name())).Run()
		})
	}
	all.Wait()
}
