package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// runnerCutOff cuts the connection of a runner that has a job: for a while, after which it delivers everything; and for so long that its job
// is given to another, after which nothing of what it did is seen.
func runnerCutOff(ctx context.Context, o options, dir string) (_ string, err error) {
	o.db, o.servers, o.flags = "", 1, []string{"--runner=false"}
	w, err := newWorld(ctx, o, dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	s := w.servers[0]
	l, err := newLine("tcp", "127.0.0.1:0", "tcp", s.address)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.cut()) }()
	folder := filepath.Join(dir, "far")
	file := filepath.Join(folder, ".github", "workflows", "far.yml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	// Each try says whose it is, and goes on when it is told to.
	text := fmt.Sprintf(`name: far
on: workflow_dispatch
jobs:
  far:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo "begun by $RUNNER_NAME"; touch "%[1]s/begun-$RUNNER_NAME"
          while [ ! -e '%[1]s/go' ]; do echo "at work on $RUNNER_NAME"; sleep 0.1; done
          echo "done by $RUNNER_NAME"
`, dir)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", err
	}
	if err := w.client.do(ctx, http.MethodPost, s.address, "/api/v1/projects", map[string]any{"id": "far", "source": map[string]any{"url": folder, "folder": true}}, nil); err != nil {
		return "", err
	}
	near, err := w.runner(ctx, dir, "cut", "http://"+l.from)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, near()) }()
	begun := func(name string) func() bool {
		return func() bool { _, err := os.Stat(filepath.Join(dir, "begun-"+name)); return err == nil }
	}
	goOn := func() error { return os.WriteFile(filepath.Join(dir, "go"), nil, 0o644) }

	// Back in time.
	run, err := w.far(ctx)
	if err != nil {
		return "", err
	}
	if err := until(ctx, time.Minute, "the job on the runner", begun("cut")); err != nil {
		return "", err
	}
	if err := l.cut(); err != nil {
		return "", err
	}
	// The job ends while the line is cut.
	if err := goOn(); err != nil {
		return "", err
	}
	time.Sleep(3 * time.Second)
	if err := l.mend(); err != nil {
		return "", err
	}
	if err := w.doneBy(ctx, run, "cut", 1); err != nil {
		return "", fmt.Errorf("cut off for 3 s: %w", err)
	}

	// Too late.
	for _, name := range []string{"go", "begun-cut"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	if run, err = w.far(ctx); err != nil {
		return "", err
	}
	if err := until(ctx, time.Minute, "the job on the runner", begun("cut")); err != nil {
		return "", err
	}
	if err := l.cut(); err != nil {
		return "", err
	}
	gone := time.Now()
	other, err := w.runner(ctx, dir, "other", "http://"+s.address)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, other()) }()
	if err := until(ctx, 2*time.Minute, "the job on another runner", begun("other")); err != nil {
		return "", err
	}
	taken := time.Since(gone)
	if err := l.mend(); err != nil {
		return "", err
	}
	time.Sleep(2 * time.Second) // the late one is told that the job is its no longer
	if err := goOn(); err != nil {
		return "", err
	}
	if err := w.doneBy(ctx, run, "other", 2); err != nil {
		return "", fmt.Errorf("cut off for %v: %w", taken.Round(time.Second), err)
	}
	return fmt.Sprintf("cut off for 3 s, a runner delivered what it had done meanwhile, in one try; cut off for good, its job was with another after %v, and nothing of the late try is seen", taken.Round(time.Second)), nil
}

// far starts the run, and returns its ID.
func (w *world) far(ctx context.Context) (string, error) {
	var started struct {
		Runs []runRow `json:"runs"`
	}
	if err := w.client.do(ctx, http.MethodPost, w.servers[0].address, "/api/v1/projects/far/runs", map[string]any{"file": ".github/workflows/far.yml"}, &started); err != nil {
		return "", err
	}
	return started.Runs[0].ID, nil
}

// runner starts gantry runner, and returns what ends it.
func (w *world) runner(ctx context.Context, dir, name, server string) (stop func() error, err error) {
	var made struct {
		Token string `json:"token"`
	}
	if err := w.client.do(ctx, http.MethodPost, w.servers[0].address, "/api/v1/runners", map[string]any{"name": name, "labels": []string{"*"}}, &made); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log-"+name))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(w.o.gantry, "runner", "--server", server, "--name", name, "--jobs", "1", "--labels", "*")
	cmd.Env = append(os.Environ(), "GANTRY_RUNNER_TOKEN="+made.Token, "GANTRY_CACHE_DIR="+filepath.Join(dir, "cache-"+name), "XDG_STATE_HOME="+filepath.Join(dir, "state-"+name))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		patience := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer patience.Stop()
		_ = cmd.Wait() // it may say that a job was lost
		return nil
	}, nil
}

// doneBy waits for the end of a run and checks that its one job succeeded in so many tries, with the log of one runner alone.
func (w *world) doneBy(ctx context.Context, run, runner string, tries int) error {
	address := w.servers[0].address
	var list page[jobRow]
	err := until(ctx, w.o.settle, "the end of the job", func() bool {
		err := w.client.do(ctx, http.MethodGet, address, "/api/v1/runs/"+run+"/jobs", nil, &list)
		return err == nil && len(list.Items) == 1 && ended(list.Items[0].Status)
	})
	if err != nil {
		return err
	}
	j := list.Items[0]
	if j.Status != "success" || j.Try != tries {
		return fmt.Errorf("the job ended with %s %q in try %d; want success in try %d", j.Status, j.Reason, j.Try, tries)
	}
	var log struct {
		Lines []struct {
			Step int    `json:"s"`
			Text string `json:"x"`
		} `json:"lines"`
		Complete bool `json:"complete"`
	}
	if err := w.client.do(ctx, http.MethodGet, address, "/api/v1/jobs/"+j.ID+"/log?from=1&limit=10000", nil, &log); err != nil {
		return err
	}
	said := map[string]int{}
	for _, l := range log.Lines {
		said[l.Text]++
	}
	if said["begun by "+runner] != 1 || said["done by "+runner] != 1 || !log.Complete {
		return fmt.Errorf("the log of the job is not whole, complete: %v: %v", log.Complete, said)
	}
	for text, n := range said {
		for _, other := range []string{"cut", "other"} {
			if other != runner && (text == "begun by "+other || text == "at work on "+other || text == "done by "+other) {
				return fmt.Errorf("%d lines of the try of %s are in the log: %q", n, other, text)
			}
		}
	}
	return nil
}
