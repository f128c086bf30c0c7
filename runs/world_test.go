package runs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// ann starts things, bo and cy approve them.
var (
	ann = runs.By{Actor: "account:ann", Name: "Ann", Account: "ann"}
	bo  = runs.By{Actor: "account:bo", Name: "Bo", Account: "bo"}
	cy  = runs.By{Actor: "account:cy", Name: "Cy", Account: "cy"}
)

// commit is one commit of the dummy repository.
type commit struct {
	files   map[string]string
	message string
}

// repository is a dummy of sources and formats: commits in memory, workflows in the format of GitHub.
type repository struct {
	mu      sync.Mutex
	commits map[string]commit
	heads   map[string]string
	changed map[string][]string // by "base..head" or "base...head"
	loads   int
	fails   error
}

func sha(n int) string { return fmt.Sprintf("%040x", n) }

func (r *repository) commit(ref, sha, message string, files map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commits[sha] = commit{files, message}
	r.heads[ref] = sha
}

func (r *repository) Heads(context.Context, *runs.Project) (map[string]string, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.heads), "main", r.fails
}

func (r *repository) Snapshot(_ context.Context, p *runs.Project, ref string) (*runs.Snapshot, func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails != nil {
		return nil, nil, r.fails
	}
	full := ref
	if ref == "" || ref == "main" {
		full = "refs/heads/main"
	}
	at, ok := r.heads[full]
	if !ok {
		at, full = ref, ""
	}
	c, ok := r.commits[at]
	if !ok {
		return nil, nil, fmt.Errorf("the repository has no %q", ref)
	}
	return &runs.Snapshot{
		Dir:        at,
		Repository: pipeline.Repository{Owner: "acme", Name: p.ID, DefaultBranch: "main"},
		Change:     pipeline.Change{SHA: at, Ref: full, Message: c.message},
	}, func() {}, nil
}

func (r *repository) ChangedFiles(_ context.Context, _ *runs.Project, base, head string, mergeBase bool) ([]string, bool, error) {
	between := ".."
	if mergeBase {
		between = "..."
	}
	files, known := r.changed[base+between+head]
	return files, known, nil
}

func (r *repository) Archive(context.Context, *runs.Project, string, io.Writer) error {
	return errors.New("this dummy has no bundles")
}

func (r *repository) filesOf(dir string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.commits[dir].files
}

func (r *repository) Pipelines(_ context.Context, dir string) ([]runs.PipelineInfo, error) {
	var out []runs.PipelineInfo
	for _, file := range slices.Sorted(maps.Keys(r.filesOf(dir))) {
		p, diags := githubactions.Parse(file, []byte(r.filesOf(dir)[file]), githubactions.Options{})
		info := runs.PipelineInfo{File: file, Name: file}
		if diags.HasErrors() {
			info.Errors = []string{diags.Err().Error()}
		} else {
			for _, t := range p.Triggers {
				for _, s := range t.Schedules {
					info.Schedules = append(info.Schedules, runs.ScheduleInfo{Cron: s.Cron, TimeZone: s.TimeZone})
				}
			}
		}
		out = append(out, info)
	}
	return out, nil
}

var eventNames = map[string]string{"push": "push", "tag": "push", "pull_request": "pull_request", "schedule": "schedule", "manual": "workflow_dispatch"}

func (r *repository) Select(_ context.Context, dir string, t *runs.Trigger, run *pipeline.Run, vars pipeline.Object) (started []runs.Start, rest []runs.NotStarted, err error) {
	files := r.filesOf(dir)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if t.File != "" && t.File != file {
			continue
		}
		facts := &pipeline.Run{Started: run.Started, Repository: run.Repository, Change: run.Change, Actor: run.Actor, File: file, Pipeline: file}
		facts.Event = pipeline.Event{Name: eventNames[t.Event], Action: t.Action, Schedule: t.Cron}
		p, diags := githubactions.Parse(file, []byte(files[file]), githubactions.Options{})
		if diags.HasErrors() {
			started = append(started, runs.Start{Run: facts, Errors: strings.Split(diags.Err().Error(), "\n")})
			continue
		}
		facts.Pipeline = p.Name
		if ok, reason := githubactions.Select(p, facts); !ok {
			rest = append(rest, runs.NotStarted{File: file, Name: p.Name, Reason: reason})
			continue
		}
		inputs := pipeline.NewMap()
		for _, tr := range p.Triggers {
			if tr.Event != "workflow_dispatch" || t.Event != "manual" {
				continue
			}
			given := pipeline.NewMap()
			for k, v := range t.Inputs {
				given.Set(k, v)
			}
			if inputs, err = pipeline.BindInputs(tr.Inputs, given, &pipeline.Scope{Run: facts}); err != nil {
				return nil, nil, &runs.InvalidError{Field: "inputs", Message: err.Error()}
			}
		}
		facts.Event.Payload = pipeline.NewMap("ref", facts.Change.Ref)
		started = append(started, runs.Start{Pipeline: p, Run: facts, Inputs: inputs})
	}
	return started, rest, nil
}

func (r *repository) Load(_ context.Context, dir, file string) (*pipeline.Pipeline, error) {
	r.mu.Lock()
	r.loads++
	r.mu.Unlock()
	p, diags := githubactions.Parse(file, []byte(r.filesOf(dir)[file]), githubactions.Options{})
	return p, diags.Err()
}

// vault is a dummy of secrets.
type vault struct{}

func (vault) Values(_ context.Context, project, environment string) (map[string]string, error) {
	return map[string]string{"TOKEN": project + "/" + environment}, nil
}

// server is one server on a database.
type server struct {
	*runs.Service
	t    testing.TB
	db   *store.DB
	repo *repository
	stop func()
}

// floor is what the workers of a test do, on any number of servers.
type floor struct {
	mu sync.Mutex
	// did counts the ends of jobs by run, attempt and path.
	did map[string]int
	// tasks are those that were claimed, in their order.
	tasks []*jobs.Task
	// outcome says how a job ends; nil: with success. It may block until its context ends, which is when the job is cancelled.
	outcome func(ctx context.Context, t *jobs.Task) runner.Outcome
}

func newRepository() *repository {
	return &repository{commits: map[string]commit{}, heads: map[string]string{}, changed: map[string][]string{}}
}

// options change a server.
type option func(*runs.Options)

// start starts a server with two workers.
func start(t testing.TB, db *store.DB, repo *repository, f *floor, options ...option) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e, err := engine.New(ctx, db, engine.Options{TTL: 2 * time.Second, Poll: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	bucket := memblob.OpenBucket(nil)
	o := runs.Options{DB: db, Engine: e, Blobs: bucket, Sources: repo, Formats: repo, Secrets: vault{}, Log: slog.New(slog.DiscardHandler)}
	for _, change := range options {
		change(&o)
	}
	s, err := runs.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	if f != nil {
		for i := range 2 {
			wg.Go(func() { f.work(ctx, t, s, fmt.Sprintf("w%d-%s", i, e.Owner())) })
		}
	}
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			_ = s.Close()
			_ = bucket.Close()
		})
	}
	t.Cleanup(stop)
	return &server{Service: s, t: t, db: db, repo: repo, stop: stop}
}

func key(t *jobs.Task) string {
	return fmt.Sprintf("%s.%d %s", strings.Split(t.Job, ".")[0], t.Facts.Attempt, t.Assignment.ID)
}

// work claims jobs until ctx ends.
func (f *floor) work(ctx context.Context, t testing.TB, q jobs.Queue, name string) {
	w := jobs.Worker{ID: name, Session: name, Name: name, Labels: []string{"*"}, Places: 8, Embedded: true}
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		task, err := q.Claim(ctx, w, time.Second)
		if err != nil || task == nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
			continue
		}
		wg.Go(func() { f.do(ctx, t, q, task) })
	}
}

// do runs one job, or breaks off when the server stops.
func (f *floor) do(ctx context.Context, t testing.TB, q jobs.Queue, task *jobs.Task) {
	f.mu.Lock()
	f.tasks = append(f.tasks, task)
	f.mu.Unlock()
	jobCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := make(chan runner.Outcome, 1)
	go func() {
		if f.outcome == nil {
			out <- runner.Outcome{Status: pipeline.Success}
			return
		}
		out <- f.outcome(jobCtx, task)
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case o := <-out:
			if ctx.Err() != nil {
				return
			}
			err := q.Finish(ctx, task.TaskRef, jobs.TaskEnd{Outcome: o})
			if err == nil {
				f.mu.Lock()
				if f.did == nil {
					f.did = map[string]int{}
				}
				f.did[key(task)]++
				f.mu.Unlock()
			} else if ctx.Err() == nil && !errors.Is(err, runs.ErrFenced) {
				t.Errorf("finish %s: %v", key(task), err)
			}
			return
		case <-tick.C:
			c, err := q.Renew(ctx, task.TaskRef)
			if errors.Is(err, runs.ErrFenced) {
				return
			}
			if err == nil && (c.Cancel || c.Kill) {
				cancel()
			}
		}
	}
}

// ran are the paths of the jobs that were done, in alphabetical order.
func (f *floor) ran() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for k, n := range f.did {
		_, path, _ := strings.Cut(k, " ")
		out = append(out, fmt.Sprintf("%s×%d", path, n))
	}
	slices.Sort(out)
	return out
}

// project makes the project "shop".
func (s *server) project(change ...func(*runs.Project)) *runs.Project {
	s.t.Helper()
	p := runs.Project{ID: "shop", Source: runs.Source{URL: "https://example.com/acme/shop.git"}}
	for _, c := range change {
		c(&p)
	}
	made, err := s.CreateProject(context.Background(), ann, p)
	if err != nil {
		s.t.Fatal(err)
	}
	return made
}

const file = ".github/workflows/ci.yml"

// push commits one workflow to main and tells of it.
func (s *server) push(n int, workflow string) *runs.Started {
	s.t.Helper()
	s.repo.commit("refs/heads/main", sha(n), "Change things\n\nbecause", map[string]string{file: workflow})
	started, err := s.Trigger(context.Background(), runs.Trigger{
		Project: "shop", Event: "push", Ref: "refs/heads/main", SHA: sha(n), Actor: ann.Actor, ActorName: ann.Name, Account: ann.Account,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return started
}

// one returns the only run that was started.
func (s *server) one(started *runs.Started) string {
	s.t.Helper()
	if len(started.Runs) != 1 {
		s.t.Fatalf("started %d runs, not one; not started: %+v", len(started.Runs), started.NotStarted)
	}
	return started.Runs[0].ID
}

// await waits until a condition on the run holds.
func (s *server) await(id string, what string, ok func(*runs.Run) bool) *runs.Run {
	s.t.Helper()
	// Far more than it takes: the machine may be busy with other tests.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var last *runs.Run
	for {
		r, err := s.Run(ctx, id)
		if err != nil {
			s.t.Fatalf("wait until the run is %s: %v; it was %+v", what, err, last)
		}
		if last = r; ok(r) {
			return r
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *server) ended(id string) *runs.Run {
	s.t.Helper()
	return s.await(id, "ended", func(r *runs.Run) bool { return r.Status.Ended() })
}

// states are the jobs of an attempt as "path=status".
func (s *server) states(id string, attempt int) []string {
	s.t.Helper()
	list, err := s.Jobs(context.Background(), id, attempt)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, j := range list {
		out = append(out, fmt.Sprintf("%s=%s", j.Path, j.Status))
	}
	return out
}

// types are the types of the run's events, in their order.
func (s *server) types(id string) []string {
	s.t.Helper()
	events, err := s.db.Events(context.Background(), store.EventQuery{Run: id, Limit: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

// each runs a test on both databases.
func each(t *testing.T, f func(t *testing.T, db *store.DB)) { storetest.Each(t, f) }
