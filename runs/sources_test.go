package runs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
)

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("there was never %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *server) numbers(q runs.RunQuery) int {
	page, err := s.Runs(context.Background(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(page.Items)
}

// clock is a clock that a test moves on.
type clock struct {
	mu  sync.Mutex
	add time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.add)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add += d
}

// reporter is a dummy of a forge that fails at first.
type reporter struct {
	mu     sync.Mutex
	fails  int
	status []runs.Status
}

func (r *reporter) Report(_ context.Context, _ *runs.Project, run *runs.Run, _ []runs.Job, others []runs.Run) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails > 0 {
		r.fails--
		return errors.New("not now")
	}
	r.status = append(r.status, run.Status)
	return nil
}

func (r *reporter) last() runs.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.status) == 0 {
		return ""
	}
	return r.status[len(r.status)-1]
}

func TestPoll(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		repo := newRepository()
		r := &reporter{fails: 1}
		s := start(t, db, repo, &floor{}, func(o *runs.Options) { o.Reporter = r })
		repo.commit("refs/heads/main", sha(1), "one", map[string]string{file: diamond})
		p := s.project(func(p *runs.Project) {
			p.Poll, p.Forge = runs.MinPoll, runs.Forge{Kind: "github", Repository: "acme/shop"}
		})
		look := func() { // at once, instead of in some seconds
			t.Helper()
			var err error
			if p, err = s.UpdateProject(t.Context(), ann, *p); err != nil {
				t.Fatal(err)
			}
		}
		noted := func() bool {
			n, err := db.NewSelect().Table("heads").Where("project = 'shop'").Count(t.Context())
			return err == nil && n == 2 // main, and that it was looked at
		}
		until(t, "a first look", noted)
		if n := s.numbers(runs.RunQuery{}); n != 0 {
			t.Errorf("the first look has started %d runs", n)
		}
		repo.commit("refs/heads/main", sha(2), "two", map[string]string{file: diamond})
		repo.commit("refs/tags/v1", sha(2), "two", map[string]string{file: diamond})
		look()
		until(t, "two runs", func() bool { return s.numbers(runs.RunQuery{SHA: sha(2), Status: []runs.Status{runs.Success}}) == 2 })
		until(t, "a report", func() bool { return r.last() == runs.Success })
		look()
		until(t, "a look", noted2(t, db))
		if n := s.numbers(runs.RunQuery{}); n != 2 {
			t.Errorf("there are %d runs, not 2", n)
		}
	})
}

// noted2 reports whether the heads of main and a tag are noted.
func noted2(t *testing.T, db *store.DB) func() bool {
	return func() bool {
		n, err := db.NewSelect().Table("heads").Where("project = 'shop'").Count(t.Context())
		return err == nil && n == 3
	}
}

func TestSchedule(t *testing.T) {
	const nightly = "on: {schedule: [{cron: '0 3 * * *'}]}\njobs:\n  a: {runs-on: x, steps: [{run: \"true\"}]}\n"
	each(t, func(t *testing.T, db *store.DB) {
		repo, c := newRepository(), &clock{}
		repo.commit("refs/heads/main", sha(1), "one", map[string]string{file: nightly})
		first := start(t, db, repo, nil, func(o *runs.Options) { o.Now = c.now })
		first.project()
		var next int64
		until(t, "a schedule", func() bool {
			return db.NewSelect().Table("schedules").Column("next_at").Scan(t.Context(), &next) == nil
		})
		if at := time.UnixMicro(next).UTC(); at.Hour() != 3 || at.Before(time.Now()) {
			t.Errorf("it is due at %v", at)
		}
		first.stop()
		// Three nights go by without a server: one run makes up for them.
		c.forward(72 * time.Hour)
		if err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE engine_work SET due = 1 WHERE kind = 'schedule'")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		second := start(t, db, repo, nil, func(o *runs.Options) { o.Now = c.now })
		until(t, "a scheduled run", func() bool { return second.numbers(runs.RunQuery{Event: "schedule"}) == 1 })
		until(t, "the next time", func() bool {
			var n int64
			return db.NewSelect().Table("schedules").Column("next_at").Scan(t.Context(), &n) == nil && n > next+2*24*3600*1e6
		})
		if n := second.numbers(runs.RunQuery{}); n != 1 {
			t.Errorf("there are %d runs, not 1", n)
		}
	})
}

func TestRetentionAndOverview(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		repo, c := newRepository(), &clock{}
		f := &floor{outcome: blocking}
		s := start(t, db, repo, f, func(o *runs.Options) { o.Now = c.now })
		s.project(func(p *runs.Project) { p.Retention = runs.Retention{Runs: 30, Logs: 7, Artifacts: 7} })
		old := s.one(s.push(1, diamond))
		s.ended(old)
		broken := s.one(s.push(2, "on: push\njobs: 1\n"))
		long := s.one(s.push(3, "on: push\njobs:\n  long: {runs-on: x, steps: [{run: \"true\"}]}\n"))
		s.await(long, "running", func(r *runs.Run) bool { return r.Status == runs.Running })
		o, err := s.Overview(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		today := o.Days[len(o.Days)-1]
		if len(o.Red) != 1 || o.Red[0].ID != broken || len(o.Active) != 1 || len(o.Recent) != 2 || len(o.Days) != 14 || today.Success != 1 || today.Failure != 1 || today.Seconds <= 0 {
			t.Errorf("the overview is %+v", o)
		}
		if o, err := s.Overview(ctx, []string{}); err != nil || len(o.Red)+len(o.Active)+len(o.Recent) != 0 {
			t.Errorf("the overview of nothing is %+v, %v", o, err)
		}
		s.stop()
		c.forward(31 * 24 * time.Hour)
		if err := db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE engine_work SET due = 1 WHERE kind = 'retention'")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		s = start(t, db, repo, nil, func(o *runs.Options) { o.Now = c.now })
		until(t, "nothing old", func() bool {
			_, err := s.Run(ctx, old)
			_, err2 := s.Run(ctx, broken)
			return errors.Is(err, runs.ErrNotFound) && errors.Is(err2, runs.ErrNotFound)
		})
		if _, err := s.Run(ctx, long); err != nil {
			t.Errorf("a run that has not ended: %v", err)
		}
	})
}
