package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gantry-ops/gantry/cmd/gantry/internal/remote"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/ship"
)

// The project of --demo, and where it is in a working tree of gantry.
const demoProject = "meridian"

var demoFolder = filepath.Join("examples", "meridian")

// demoAgents are the hosts of the demo: staging's, and one for each region of production.
var demoAgents = []string{"local", "eu", "us"}

// demo shows the main job: an investment platform in small is shipped to staging and to two regions of production, a good version of it under load, and
// then a bad one, which is withdrawn.
type demo struct {
	s     *server
	out   io.Writer
	began time.Time
	repo  string

	mu   sync.Mutex
	load []*demoLoad
}

// demoLoad puts load on a region, and checks every answer.
type demoLoad struct {
	region string
	cmd    *exec.Cmd
	result bytes.Buffer
	ended  chan struct{}
}

// findDemo looks for the example from the current folder upwards.
func findDemo() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := at; ; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, demoFolder, "gantry.yaml")) {
			return filepath.Join(dir, demoFolder), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no %s in %s or above it: start gantry from a working tree of its own repository, or without --demo", demoFolder, at)
		}
	}
}

// tell writes a line with the time since the demo began.
func (d *demo) tell(format string, a ...any) {
	fmt.Fprintf(d.out, "%6.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, a...))
}

// run is the whole of it. It returns when all has been shown; what was started runs on until stop.
func (d *demo) run(ctx context.Context) error {
	d.began = time.Now()
	again, err := d.prepare(ctx)
	if err != nil {
		return err
	}
	d.tell("Meridian is at %s/projects/%s: staging, and production in two regions, eu and us", d.s.url, demoProject)
	if again {
		// Its releases are there, and its repository is as the last of them left it.
		d.tell("it is as it was left: what was released runs again. To see it released from the begin, start with another --data folder")
		return nil
	}
	first, err := d.ship(ctx, "the first version")
	if err != nil {
		return err
	}
	if first.Status != ship.Succeeded {
		return fmt.Errorf("the first version is %s: %s", first.Status, first.Reason)
	}
	if err := d.startLoad(ctx); err != nil {
		return err
	}
	d.tell("load on both regions of production: orders, price streams and FIX sessions; every answer is checked")
	if err := d.change(ctx, "services/gateway/main.go", "10_000_000, \"notional", "20_000_000, \"notional", "Raise the limit of an account"); err != nil {
		return err
	}
	good, err := d.ship(ctx, "a good version")
	if err != nil {
		return err
	}
	if good.Status != ship.Succeeded {
		return fmt.Errorf("the good version is %s: %s", good.Status, good.Reason)
	}
	if err := d.change(ctx, "gantry.yaml", "environment: {LEDGER_URL: \"http://127.0.0.1:7281\"}", "environment: {LEDGER_URL: \"http://127.0.0.1:7281\", FAULT: \"errors:0.5\"}", "Try another setting in production"); err != nil {
		return err
	}
	bad, err := d.ship(ctx, "a bad version, half of whose answers are errors")
	if err != nil {
		return err
	}
	if bad.Status != ship.RolledBack {
		return fmt.Errorf("the bad version is %s: %s", bad.Status, bad.Reason)
	}
	d.endLoad()
	d.tell("done: the good version serves, the bad one is withdrawn. Look at %s/releases/%s, or: gantry release explain %s", d.s.url, bad.ID, bad.ID)
	return nil
}

// prepare makes a repository of the example, its project, and the agents, and says whether something was released of it before.
func (d *demo) prepare(ctx context.Context) (again bool, err error) {
	from, err := findDemo()
	if err != nil {
		return false, err
	}
	d.repo = filepath.Join(d.s.o.data, "demo", demoProject)
	if !exists(filepath.Join(d.repo, ".git")) {
		if err := copyTree(from, d.repo); err != nil {
			return false, fmt.Errorf("copy the example: %w", err)
		}
		if err := d.git(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
			return false, err
		}
		if err := d.commit(ctx, "Meridian, an investment platform in small"); err != nil {
			return false, err
		}
	}
	by := runs.By{Actor: "gantry", Name: "gantry"}
	if _, err := d.s.runs.Project(ctx, demoProject); errors.Is(err, runs.ErrNotFound) {
		_, err = d.s.runs.CreateProject(ctx, by, runs.Project{ID: demoProject, Name: "Meridian", Source: runs.Source{URL: d.repo}})
		if err != nil && !errors.Is(err, runs.ErrConflict) {
			return false, err
		}
	} else if err != nil {
		return false, err
	}
	for _, name := range demoAgents {
		if err := d.s.own.ensure(ctx, name); err != nil {
			return false, err
		}
	}
	page, err := d.s.ship.Releases(ctx, ship.Query{Projects: []string{demoProject}, Limit: 1})
	return len(page.Items) > 0, err
}

// copyTree copies regular files and folders; what the example ignores is not there to be copied.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case e.IsDir():
			return os.MkdirAll(target, 0o755)
		case !e.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o644)
	})
}

func (d *demo) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", d.repo, "-c", "user.name=Meridian", "-c", "user.email=meridian@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

func (d *demo) commit(ctx context.Context, message string) error {
	return errors.Join(d.git(ctx, "add", "--all"), d.git(ctx, "commit", "--quiet", "--allow-empty", "--message", message))
}

// change replaces a text in a file of the repository, and commits.
func (d *demo) change(ctx context.Context, file, old, other, message string) error {
	name := filepath.Join(d.repo, filepath.FromSlash(file))
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	text := string(b)
	if !strings.Contains(text, old) {
		return fmt.Errorf("%s of the demo is not as it was: remove %s and start again", file, d.repo)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(text, old, other, 1)), 0o644); err != nil {
		return err
	}
	return d.commit(ctx, message)
}

// ship begins a release and tells how it gets on until it has ended.
func (d *demo) ship(ctx context.Context, what string) (ship.Release, error) {
	r, err := d.s.ship.Start(ctx, ship.By{Actor: "gantry", Name: "gantry"}, ship.Request{Project: demoProject})
	if err != nil {
		return r, err
	}
	d.tell("release %d, %s: %s %q", r.Number, what, short12(r.Commit), r.Title)
	said := map[string]string{}
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-t.C:
		}
		if r, err = d.s.ship.Release(ctx, r.ID); err != nil {
			return r, err
		}
		for _, line := range remote.ReleaseLines(r, said) {
			d.tell("  %s", line)
		}
		if r.Status.Ended() {
			return r, nil
		}
	}
}

// startLoad takes the load generator that the first release's build has left, and lets it at both regions.
func (d *demo) startLoad(ctx context.Context) error {
	page, err := d.s.runs.Runs(ctx, runs.RunQuery{Projects: []string{demoProject}, Status: []runs.Status{runs.Success}, ListOptions: runs.ListOptions{Limit: 1}})
	if err != nil {
		return err
	}
	if len(page.Items) == 0 {
		return errors.New("no run of the demo has succeeded")
	}
	program := filepath.Join(d.s.o.data, "demo", "load")
	if err := d.fetch(ctx, page.Items[0].ID, "load", program); err != nil {
		return fmt.Errorf("fetch the load generator: %w", err)
	}
	for region, port := range map[string]int{"eu": 7280, "us": 7380} {
		at := func(offset int) string { return fmt.Sprintf("127.0.0.1:%d", port+offset) }
		l := &demoLoad{region: region, ended: make(chan struct{})}
		l.cmd = exec.Command(program, "-gateway", "http://"+at(0), "-ledger", "http://"+at(1), "-marketdata", "http://"+at(2), "-fix", at(3),
			"-rate", "40", "-duration", "0", "-streams", "2", "-sessions", "2", "-output", "json")
		l.cmd.Stdout = &l.result
		l.cmd.SysProcAttr = apart()
		if err := l.cmd.Start(); err != nil {
			return fmt.Errorf("start the load: %w", err)
		}
		go func() {
			_ = l.cmd.Wait() // it ends with 1 where an answer was not as it should be, which its report says better
			close(l.ended)
		}()
		d.mu.Lock()
		d.load = append(d.load, l)
		d.mu.Unlock()
	}
	return nil
}

// fetch takes the one file of an artifact.
func (d *demo) fetch(ctx context.Context, run, name, to string) error {
	a, r, err := d.s.runs.OpenArtifact(ctx, run, name)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, a.Size))
	if err != nil {
		return err
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	f, err := z.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	_ = os.Remove(to) // of an earlier demo, which may still be running
	return os.WriteFile(to, content, 0o755)
}

// endLoad ends the load and tells what it has seen.
func (d *demo) endLoad() {
	d.mu.Lock()
	all := d.load
	d.load = nil
	d.mu.Unlock()
	for _, l := range all {
		_ = l.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, l := range all {
		select {
		case <-l.ended:
		case <-time.After(30 * time.Second):
			_ = l.cmd.Process.Kill()
			<-l.ended
		}
		var s struct {
			Sent, OK, Failed, Wrong uint64
			Versions                map[string]uint64
			P99                     float64 `json:"p99_ms"`
		}
		if err := json.Unmarshal(l.result.Bytes(), &s); err != nil {
			d.tell("load on %s: its report cannot be read: %v", l.region, err)
			continue
		}
		d.tell("load on %s: %d requests, %d good, %d failed, %d wrong; 99 %% within %.0f ms", l.region, s.Sent, s.OK, s.Failed, s.Wrong, s.P99)
	}
}

// stop ends what the demo has started: its load, and the agents with what runs on them.
func (d *demo) stop(ctx context.Context) {
	d.endLoad()
	d.s.own.stop(ctx)
}
