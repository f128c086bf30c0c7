package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// desk is a project with one service that is released again and again, on the agent of the server's own machine.
type desk struct {
	o       options
	dir     string
	project string
	server  *server
	client  *client
	// address is where the service is asked.
	address string
	version int
	// agents are those that the desk has started itself, to take over from the ones before.
	agents []*exec.Cmd
}

// deskFile is gantry.yaml; the strategy is a line of its own.
const deskFile = `name: soak
services:
  orders:
    command: [./orders]
    ports: {http: {listen: "%s"}}
    health: {http: /ready, interval: 100ms, min-healthy: 200ms, deadline: 20s}
    metrics: /metrics
    drain: 5s
    analysis: %s
    strategy: %s
environments: [production]
`

const deskWorkflow = `name: CI
on: workflow_dispatch
jobs:
  orders:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: cp '%s' orders
      - uses: actions/upload-artifact@v4
        with:
          name: orders
          path: |
            orders
            behaviour
`

// behaviour is what the workload reads; see soak/orders.
type behaviour struct {
	Version int     `json:"version"`
	Fail    float64 `json:"fail,omitempty"`
	Millis  float64 `json:"millis,omitempty"`
	Bad     string  `json:"bad,omitempty"`
}

// openDesk starts a server with the project. The caller closes it also after an error.
func openDesk(ctx context.Context, o options, dir string) (*desk, error) {
	d := &desk{o: o, dir: dir, project: filepath.Join(dir, "desk")}
	bin := filepath.Join(dir, "orders")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/gantry-ops/gantry/soak/orders")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return d, fmt.Errorf("build the workload: %w: %s", err, out)
	}
	var err error
	if d.address, err = freeAddress(); err != nil {
		return d, err
	}
	if err := os.MkdirAll(filepath.Join(d.project, ".github", "workflows"), 0o755); err != nil {
		return d, err
	}
	if err := os.WriteFile(filepath.Join(d.project, ".github", "workflows", "ci.yml"), fmt.Appendf(nil, deskWorkflow, bin), 0o644); err != nil {
		return d, err
	}
	if err := d.git(ctx, "init", "-q", "-b", "main"); err != nil {
		return d, err
	}
	if d.server, err = newServer(o, filepath.Join(dir, "server")); err != nil {
		return d, err
	}
	d.server.flags = o.flags
	if err := d.server.start(ctx); err != nil {
		return d, err
	}
	w := &world{o: o, dir: dir, servers: []*server{d.server}}
	if err := w.prepare(ctx, d.project); err != nil {
		return d, err
	}
	d.client = w.client
	return d, nil
}

// close ends the server, its agents and what they run, and says what is left of them.
func (d *desk) close() error {
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.stop())
	}
	if _, err := os.Stat(d.agentDir()); err == nil {
		out, err := exec.Command(d.o.gantry, "agent", "stop", "--dir", d.agentDir()).CombinedOutput()
		if err != nil {
			errs = append(errs, fmt.Errorf("end the agent: %w: %s", err, out))
		}
	}
	for _, a := range d.agents {
		_ = a.Wait()
	}
	var left []string
	if err := until(context.Background(), 10*time.Second, "the end of all that runs in "+d.dir, func() bool { left = processesOf(d.dir); return len(left) == 0 }); err != nil {
		errs = append(errs, fmt.Errorf("left over: %s", strings.Join(left, "; ")))
	}
	return errors.Join(errs...)
}

func (d *desk) agentDir() string { return filepath.Join(d.server.dir, "data", "agents", "local") }

// processesOf are the processes that were started from a folder, or with it in their arguments; zombies are gone already.
func processesOf(dir string) (found []string) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || e.Name() == fmt.Sprint(os.Getpid()) {
			continue
		}
		exe, _ := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if strings.Contains(string(line), dir) || strings.HasPrefix(exe, dir) {
			found = append(found, e.Name()+" "+strings.ReplaceAll(strings.Trim(string(line), "\x00"), "\x00", " "))
		}
	}
	return found
}

func (d *desk) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", d.project, "-c", "user.name=ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

// commit makes the next version.
func (d *desk) commit(ctx context.Context, b behaviour, strategy, analysis string) error {
	d.version++
	b.Version = d.version
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"behaviour": text, "gantry.yaml": fmt.Appendf(nil, deskFile, d.address, analysis, strategy)} {
		if err := os.WriteFile(filepath.Join(d.project, name), content, 0o644); err != nil {
			return err
		}
	}
	return errors.Join(d.git(ctx, "add", "-A"), d.git(ctx, "commit", "-q", "-m", fmt.Sprintf("Version %d", b.Version)))
}

// releaseRow is a release as the API has it.
type releaseRow struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Reason   string `json:"reason"`
	Rollouts []struct {
		ID    int64 `json:"id"`
		State struct {
			Phase string    `json:"phase"`
			Since time.Time `json:"since"`
		} `json:"state"`
	} `json:"rollouts"`
}

var releaseEnds = []string{"succeeded", "failed", "rolled-back", "cancelled"}

// phase is where its newest rollout is, or empty.
func (r releaseRow) phase() string {
	if n := len(r.Rollouts); n > 0 {
		return r.Rollouts[n-1].State.Phase
	}
	return ""
}

// ship asks until the release is acknowledged: a server that is being killed may not have heard.
func (d *desk) ship(ctx context.Context) (releaseRow, error) {
	return d.insist(ctx, "/api/v1/projects/soak/releases", map[string]any{}, fmt.Sprintf("ship-%d", d.version))
}

// rollback takes back what a release has brought.
func (d *desk) rollback(ctx context.Context, id string) (releaseRow, error) {
	return d.insist(ctx, "/api/v1/releases/"+id+"/rollback", map[string]any{"reason": "soak"}, "rollback-"+id)
}

func (d *desk) insist(ctx context.Context, path string, body any, key string) (r releaseRow, err error) {
	waited := until(ctx, time.Minute, "a server that takes "+path, func() bool {
		err = d.client.do(ctx, http.MethodPost, d.server.address, path, body, &r, "Idempotency-Key", key)
		var refused *apiError
		return err == nil || errors.As(err, &refused) && refused.Status < 500 && refused.Status != http.StatusConflict
	})
	return r, errors.Join(waited, err)
}

// look returns a release as it is now; the error of a server that is away is nil, and the release without a status.
func (d *desk) look(ctx context.Context, id string) (r releaseRow) {
	_ = d.client.do(ctx, http.MethodGet, d.server.address, "/api/v1/releases/"+id, nil, &r)
	return r
}

// settled waits until a release is as wanted.
func (d *desk) settled(ctx context.Context, id string, within time.Duration, what string, ok func(releaseRow) bool) (r releaseRow, err error) {
	err = until(ctx, within, what, func() bool {
		r = d.look(ctx, id)
		return r.Status != "" && ok(r)
	})
	if err != nil {
		err = fmt.Errorf("%w; release %s is %s (%s): %s", err, id, r.Status, r.phase(), r.Reason)
	}
	return r, err
}

// ended waits for the end of a release.
func (d *desk) ended(ctx context.Context, id string) (releaseRow, error) {
	return d.settled(ctx, id, 2*time.Minute, "the end of a release", func(r releaseRow) bool { return slices.Contains(releaseEnds, r.Status) })
}

// serves asks the service several times, each on a connection of its own, and returns the versions that answer.
func (d *desk) serves(ctx context.Context) (versions []int, err error) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for range 20 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.address+"/orders/0", nil)
		if err != nil {
			return nil, err
		}
		res, err := c.Do(r)
		if err != nil {
			return versions, err
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			return versions, err
		}
		var v int
		if _, err := fmt.Sscanf(string(b), "%d ", &v); err != nil {
			return versions, fmt.Errorf("it answers %d %.100q", res.StatusCode, b)
		}
		if !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	return versions, nil
}

// upgradeAgent starts an agent in the place of the one that runs, as an upgrade does, and waits until it has taken over.
func (d *desk) upgradeAgent(ctx context.Context) error {
	before := agentOf(d.agentDir())
	host, port, _ := strings.Cut(d.server.address, ":")
	var n int
	if _, err := fmt.Sscanf(port, "%d", &n); err != nil {
		return err
	}
	cmd := exec.Command(d.o.gantry, "agent", "--dir", d.agentDir(), "--server", fmt.Sprintf("https://%s:%d", host, n+1), "--name", "local")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.OpenFile(filepath.Join(d.dir, "agents.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start an agent: %w", err)
	}
	d.agents = append(d.agents, cmd)
	return until(ctx, 30*time.Second, "the old agent to hand over", func() bool { return before == 0 || syscall.Kill(before, 0) != nil || isZombie(before) })
}

// agentOf finds the agent of a folder, 0 where none runs.
func agentOf(dir string) int {
	for _, p := range processesOf(dir) {
		var pid int
		if _, err := fmt.Sscanf(p, "%d ", &pid); err == nil && strings.Contains(p, " agent --dir "+dir) {
			return pid
		}
	}
	return 0
}

func isZombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}
