package runs_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// gate is an outcome that holds all jobs until it is opened, and counts how many are in it at a time.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	in   int
	most int
}

func (g *gate) outcome(ctx context.Context, _ *jobs.Task) runner.Outcome {
	g.mu.Lock()
	g.in++
	g.most = max(g.most, g.in)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.in--
		g.mu.Unlock()
	}()
	select {
	case <-g.open:
		return runner.Outcome{Status: pipeline.Success}
	case <-ctx.Done():
		return runner.Outcome{Status: pipeline.Cancelled, Reason: "told to"}
	}
}

func TestGroups(t *testing.T) {
	head := "on: push\nconcurrency: {group: \"deploy ${{ github.ref }}\"EXTRA}\n"
	each(t, func(t *testing.T, db *store.DB) {
		for _, tt := range []struct {
			name, workflow string
			want           [3]runs.Status
		}{
			{"the newest that waits", strings.Replace(head, "EXTRA", "", 1) + "jobs:\n  a: {runs-on: x, steps: [{run: \"true\"}]}\n", [3]runs.Status{runs.Success, runs.Cancelled, runs.Success}},
			{"cancel in progress", strings.Replace(head, "EXTRA", ", cancel-in-progress: true", 1) + "jobs:\n  a: {runs-on: x, steps: [{run: \"true\"}]}\n", [3]runs.Status{runs.Cancelled, runs.Cancelled, runs.Success}},
			{"of a job", "on: push\njobs:\n  a: {runs-on: x, concurrency: one, steps: [{run: \"true\"}]}\n", [3]runs.Status{runs.Success, runs.Cancelled, runs.Success}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				g := &gate{open: make(chan struct{})}
				f := &floor{outcome: g.outcome}
				s := start(t, db, newRepository(), f)
				if _, err := s.Project(t.Context(), "shop"); err != nil {
					s.project()
				}
				first := s.one(s.push(1, tt.workflow))
				s.await(first, "running", func(r *runs.Run) bool { return r.Jobs[runs.Running] == 1 || r.Status.Ended() })
				second := s.one(s.push(2, tt.workflow))
				// In its group, that is: turns come in the order of arrivals, and the third must be the newest.
				s.await(second, "in its group", func(*runs.Run) bool {
					n, err := db.NewSelect().Table("concurrency_members").Where("run = ?", second).Count(t.Context())
					return err == nil && n > 0
				})
				// Two servers share the groups.
				s.stop()
				s = start(t, db, s.repo, f)
				third := s.one(s.push(3, tt.workflow))
				s.ended(second)
				close(g.open)
				for i, id := range []string{first, second, third} {
					if r := s.ended(id); r.Status != tt.want[i] {
						t.Errorf("run %d ended as %s: %s", i+1, r.Status, r.Reason)
					}
				}
				if g.most > 1 {
					t.Errorf("%d ran at a time", g.most)
				}
				s.stop()
			})
		}
	})
}
