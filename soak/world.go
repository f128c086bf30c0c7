package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// world is the servers, a project of theirs, and what they have acknowledged.
type world struct {
	o       options
	dir     string
	ledger  string
	servers []*server
	client  *client

	asked        int
	kills        int
	acknowledged []string
	slowest      time.Duration
}

// workflow is the pipeline: two legs at a time, one job after them, outputs between them. Each job writes its beginning and its end down
// in a file that no server knows of.
const workflow = `name: soak
on: {workflow_dispatch: {}}
jobs:
  first:
    runs-on: ubuntu-latest
    strategy: {matrix: {leg: [1, 2]}}
    outputs: {word: "${{ steps.say.outputs.word }}"}
    steps:
      - run: echo "begin $GITHUB_RUN_ID $GITHUB_RUN_ATTEMPT first-${{ matrix.leg }} $(date +%%s%%6N)" >> %[1]s
      - id: say
        run: |
          for i in $(seq 1 20); do echo "line $i of ${{ matrix.leg }}"; sleep 0.01; done
          echo "word=leg" >> "$GITHUB_OUTPUT"
      - run: echo "end $GITHUB_RUN_ID $GITHUB_RUN_ATTEMPT first-${{ matrix.leg }} $(date +%%s%%6N)" >> %[1]s
  last:
    needs: first
    runs-on: ubuntu-latest
    steps:
      - run: test "${{ needs.first.outputs.word }}" = leg
      - run: echo "end $GITHUB_RUN_ID $GITHUB_RUN_ATTEMPT last $(date +%%s%%6N)" >> %[1]s
`

func newWorld(ctx context.Context, o options, dir string) (*world, error) {
	w := &world{o: o, dir: dir, ledger: filepath.Join(dir, "ledger")}
	project := filepath.Join(dir, "project")
	file := filepath.Join(project, ".github", "workflows", "soak.yml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, workflow, w.ledger), 0o644); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"-c", "user.name=ann", "-c", "user.email=ann@example.com", "commit", "-q", "-m", "Run"}} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = project
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	for n := range o.servers {
		s, err := newServer(o, filepath.Join(cmp.Or(o.place, dir), fmt.Sprintf("server%d", n+1)))
		if err != nil {
			return nil, err
		}
		s.flags = o.flags
		if n > 0 {
			// All servers of a database have the key that secrets are encrypted for.
			s.keyFile = filepath.Join(w.servers[0].dir, "data", "secrets.key")
		}
		w.servers = append(w.servers, s)
		if err := s.start(ctx); err != nil {
			w.stop()
			return nil, err
		}
		if n > 0 {
			continue
		}
		// Another server's start would void the link of this one.
		if err := w.prepare(ctx, project); err != nil {
			w.stop()
			return nil, err
		}
	}
	return w, nil
}

// prepare signs in and makes the project.
func (w *world) prepare(ctx context.Context, project string) error {
	first := w.servers[0]
	// The link comes just after the server is ready.
	var link string
	for range 200 {
		first.mu.Lock()
		link = first.link
		first.mu.Unlock()
		if link != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	var err error
	if w.client, err = signIn(ctx, first.address, link); err != nil {
		return err
	}
	p := map[string]any{"id": "soak", "name": "soak", "source": map[string]any{"url": project}}
	if err := w.client.do(ctx, http.MethodPost, first.address, "/api/v1/projects", p, nil); err != nil {
		return fmt.Errorf("make the project: %w", err)
	}
	return nil
}

// killsInARow is how many kills one job may see: with the fifth a job is given up, as one that takes its server with it.
const killsInARow = 4

// round asks for a run or two, and kills a server at a moment between now and o.longest. After some kills it first lets the jobs that run come to
// their end, so that chance does not have one of them given up.
func (w *world) round(ctx context.Context, random *rand.Rand) error {
	if w.kills++; w.kills%killsInARow == 0 {
		if err := w.quiet(ctx); err != nil {
			return err
		}
	}
	victim := w.servers[random.IntN(len(w.servers))]
	until := time.Duration(random.Int64N(int64(w.o.longest)))
	asks := 1 + random.IntN(2)
	killed := make(chan error, 1)
	go func() {
		select {
		case <-ctx.Done():
		case <-time.After(until):
		}
		killed <- victim.kill()
	}()
	for range asks {
		w.ask(ctx, w.servers[random.IntN(len(w.servers))].address)
	}
	if err := <-killed; err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	began := time.Now()
	if err := victim.start(ctx); err != nil {
		return err
	}
	w.slowest = max(w.slowest, time.Since(began))
	return nil
}

// quiet waits until no run is under way.
func (w *world) quiet(ctx context.Context) error {
	var err error
	waited := until(ctx, w.o.settle, "the end of all runs", func() bool {
		var runs []runRow
		runs, err = all[runRow](ctx, w.client, w.servers[0].address, "/api/v1/runs?project=soak&status=queued&status=running")
		return err == nil && len(runs) == 0
	})
	return errors.Join(waited, err)
}

// ask asks for a run. What is acknowledged has to be there in the end; what is not may be or not, but not twice.
func (w *world) ask(ctx context.Context, address string) {
	w.asked++
	_, _ = w.post(ctx, address, w.asked) // it was being killed
}

// stop ends all servers.
func (w *world) stop() error {
	var errs []error
	for _, s := range w.servers {
		errs = append(errs, s.stop())
	}
	return errors.Join(errs...)
}

// post asks for a run by a number of its own, so that asking twice starts it once. It returns the run's ID.
func (w *world) post(ctx context.Context, address string, number int) (string, error) {
	var started struct {
		Runs []struct {
			ID string `json:"id"`
		} `json:"runs"`
	}
	err := w.client.do(ctx, http.MethodPost, address, "/api/v1/projects/soak/runs", map[string]any{"file": ".github/workflows/soak.yml"}, &started,
		"Idempotency-Key", fmt.Sprintf("ask-%d", number))
	if err != nil {
		return "", err
	}
	if len(started.Runs) != 1 {
		return "", fmt.Errorf("one run was asked for, and %d were started", len(started.Runs))
	}
	w.acknowledged = append(w.acknowledged, started.Runs[0].ID)
	return started.Runs[0].ID, nil
}

// mustAsk asks for runs that have to be taken.
func (w *world) mustAsk(ctx context.Context, n int) error {
	for range n {
		w.asked++
		if _, err := w.post(ctx, w.servers[0].address, w.asked); err != nil {
			return err
		}
	}
	return nil
}

// wait waits until all runs have ended, and returns them by their IDs.
func (w *world) wait(ctx context.Context) (map[string]runRow, error) {
	address := w.servers[0].address
	out := map[string]runRow{}
	err := until(ctx, w.o.settle, "the end of all runs", func() bool {
		rows, err := all[runRow](ctx, w.client, address, "/api/v1/runs?project=soak")
		if err != nil {
			return false
		}
		for _, r := range rows {
			if out[r.ID] = r; !ended(r.Status) {
				return false
			}
		}
		return true
	})
	return out, err
}
