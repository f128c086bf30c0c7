package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
)

// job is one leg while its steps run. It implements [JobContext].
type job struct {
	*graph
	leg *leg
	ws  Workspace
	// work ends when the job is cancelled, or its time is up; cleanup outlives it, for the steps that still run.
	work    context.Context
	head    Event
	start   time.Time
	cleanup struct {
		limit time.Duration
		once  sync.Once
		ctx   context.Context
		stop  context.CancelFunc
	}
	values pipeline.Memo
	// resolved are the commits of the remote actions.
	resolved map[string]string
	// environment and url are where the job deploys to.
	environment, url string

	mu       sync.Mutex
	env      *pipeline.Map // replaced, never changed
	paths    []string      // in front of PATH, the last one first
	number   int           // of the step started last
	before   []Hook
	after    []Hook
	closers  []func(context.Context)
	names    []string // of artifacts
	summary  strings.Builder
	matchers []*matcher
	states   map[*pipeline.Step]*pipeline.Map
}

// runJob runs a leg's steps in a workspace and tells of it.
func (g *graph) runJob(ctx context.Context, l *leg) legEnd {
	j := &job{graph: g, leg: l, work: ctx, head: g.head(l), start: g.Now(), states: map[*pipeline.Step]*pipeline.Map{}}
	e := j.head
	e.Type, e.Needs = JobStarted, l.needs
	g.emit(e)

	status, reason, outputs := j.run(ctx)
	tolerated := l.tolerated && status == pipeline.Failure

	f := j.head
	f.Type, f.Status, f.Reason, f.Tolerated, f.Needs = JobFinished, status, g.mask(reason), tolerated, l.needs
	f.Duration = g.Now().Sub(j.start).Seconds()
	f.Summary = g.mask(j.summary.String())
	f.Artifacts, f.Actions = j.names, j.resolved
	f.Environment, f.EnvironmentURL = j.mask(j.environment), j.mask(j.url)
	if outputs.Len() > 0 {
		f.Outputs = map[string]string{}
		for k, v := range outputs.Strings() {
			f.Outputs[k] = g.mask(v)
		}
	}
	g.emit(f)
	g.record(JobResult{ID: l.id, Name: l.name, Status: status, Tolerated: tolerated, Reason: f.Reason})
	return legEnd{status: status, tolerated: tolerated, outputs: outputs, names: []string{l.name}}
}

// payloadKey keeps the payload as JSON, once a run.
type payloadKey struct{}

// spec evaluates what the executor has to know.
func (j *job) spec() (JobSpec, error) {
	s, def := j.leg.scope, j.leg.job
	spec := JobSpec{RunID: s.Run.ID, JobID: j.leg.id, Rank: j.leg.rank, Repository: cmp.Or(s.Run.Repository.Name, "repository"), InPlace: j.InPlace, Log: j.Log}
	var err error
	if spec.RunsOn, err = def.RunsOn.List(s); err != nil {
		return spec, err
	}
	container := func(v pipeline.Value) (*pipeline.ContainerSpec, error) {
		d, err := v.Eval(s)
		if err != nil {
			return nil, err
		}
		c, err := pipeline.DecodeContainer(d)
		if err != nil {
			return nil, &pipeline.EvalError{Pos: v.Pos, Err: err}
		}
		return c, nil
	}
	if spec.Container, err = container(def.Container); err != nil {
		return spec, err
	}
	for _, svc := range def.Services {
		c, err := container(svc.Container)
		if err != nil {
			return spec, err
		}
		if c != nil {
			spec.Services = append(spec.Services, ServiceSpec{Name: svc.Name, ContainerSpec: *c})
		}
	}
	type written struct {
		payload []byte
		err     error
	}
	w := s.Run.Memo.Do(payloadKey{}, func() any {
		if s.Run.Event.Payload == nil {
			return written{payload: []byte("{}")}
		}
		b, err := json.Marshal(s.Run.Event.Payload)
		return written{b, err}
	}).(written)
	if w.err != nil {
		return spec, fmt.Errorf("write the event's payload: %w", w.err)
	}
	spec.EventFile = w.payload
	return spec, nil
}

// run is the job from opening its workspace to closing it.
func (j *job) run(ctx context.Context) (status pipeline.Status, reason string, outputs *pipeline.Map) {
	fail := func(err error) (pipeline.Status, string, *pipeline.Map) {
		if ctx.Err() != nil {
			return pipeline.Cancelled, context.Cause(ctx).Error(), nil
		}
		j.annotate(pipeline.Annotation{Level: "error", Message: err.Error(), File: j.leg.job.Pos.File, Line: j.leg.job.Pos.Line, Col: j.leg.job.Pos.Col})
		return pipeline.Failure, err.Error(), nil
	}
	minutes, limited, err := j.leg.job.Timeout.Number(j.leg.scope)
	if err != nil {
		return fail(err)
	}
	errTimeout := fmt.Errorf("the job took longer than its timeout of %s minutes", pipeline.Text(minutes))
	if limited && minutes > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(minutes*float64(time.Minute)), errTimeout)
		defer stop()
		j.work = ctx
	}
	j.cleanup.limit = j.Cleanup
	if minutes, limited, err := j.leg.job.CancelTimeout.Number(j.leg.scope); err != nil {
		return fail(err)
	} else if limited && minutes >= 0 {
		j.cleanup.limit = time.Duration(minutes * float64(time.Minute))
	}
	spec, err := j.spec()
	if err != nil {
		return fail(err)
	}
	if env := j.leg.job.Environment; env != nil {
		name, err := env.Name.Text(j.leg.scope)
		if err != nil {
			return fail(err)
		}
		j.environment = name
	}
	exec, err := j.Executor(spec)
	if err != nil {
		return fail(err)
	}
	if j.ws, err = exec.Open(ctx, spec); err != nil {
		return fail(fmt.Errorf("open a workspace: %w", err))
	}
	defer func() {
		j.stopCleanup()
		closing, stop := context.WithTimeout(context.WithoutCancel(ctx), j.Cleanup)
		defer stop()
		for _, c := range slices.Backward(j.closers) {
			c(closing)
		}
		if err := j.ws.Close(closing); err != nil && status != pipeline.Failure {
			j.annotate(pipeline.Annotation{Level: "warning", Message: fmt.Sprintf("clean up the workspace: %v", err)})
		}
	}()
	s := *j.leg.scope
	s.Machine = j.ws.Machine()
	jobScope := *s.Job
	jobScope.Container, jobScope.Services = j.ws.Container(), j.ws.Services()
	s.Job = &jobScope
	s.HashFiles = j.hashFiles
	j.leg.scope = &s

	if err := j.jobEnv(); err != nil {
		return fail(err)
	}
	if err := j.restoreCaches(ctx); err != nil {
		return fail(err)
	}
	if uses := pipeline.Uses(j.leg.job.Steps); len(uses) > 0 && j.Actions != nil {
		resolved, err := j.Actions.Prepare(ctx, j, uses)
		if err != nil {
			return fail(err)
		}
		j.resolved = resolved
		for _, ref := range slices.Sorted(maps.Keys(resolved)) {
			j.Log(fmt.Sprintf("%s is commit %s", ref, resolved[ref]))
		}
	}

	f := newFrame(j)
	f.runHooks(j.takeBefore())
	f.runSteps(j.leg.job.Steps)
	f.waitBackground(nil)
	f.noteCancel()
	succeeded, _ := f.end()
	f.runAfter()
	f.waitBackground(nil)

	outputs, err = j.outputs(f)
	if err != nil {
		return fail(err)
	}
	if err := j.keep(succeeded); err != nil {
		return fail(err)
	}
	if err := j.resolveURL(f); err != nil {
		return fail(err)
	}
	status, reason = f.end()
	if status == pipeline.Cancelled && errors.Is(context.Cause(ctx), errTimeout) {
		j.annotate(pipeline.Annotation{Level: "error", Message: reason, File: j.leg.job.Timeout.Pos.File, Line: j.leg.job.Timeout.Pos.Line, Col: j.leg.job.Timeout.Pos.Col})
	}
	return status, reason, outputs
}

// jobEnv evaluates the variables of the pipeline and of the job, each seeing those before it.
func (j *job) jobEnv() error {
	env := pipeline.NewEnvMap()
	if j.graph.env != nil {
		env.Merge(j.graph.env)
	}
	for _, layer := range []pipeline.Value{j.p.Env, j.leg.job.Env} {
		s := *j.leg.scope
		s.Env = env
		o, err := layer.Object(&s)
		if err != nil {
			return err
		}
		next := env.Clone()
		for _, k := range o.Keys() {
			v, _ := o.Get(k)
			next.Set(k, pipeline.Text(v))
		}
		env = next
	}
	j.env = env
	return nil
}

func (j *job) outputs(f *frame) (*pipeline.Map, error) {
	out := pipeline.NewMap()
	if len(j.leg.job.Outputs) == 0 {
		return out, nil
	}
	s := f.scope(nil)
	for _, o := range j.leg.job.Outputs {
		v, err := o.Value.Text(s)
		if err != nil {
			return nil, err
		}
		if j.assigned && j.mask(v) != v {
			j.annotate(pipeline.Annotation{
				Level: "warning", Message: fmt.Sprintf("the output %q is left out, because it holds a secret", o.Name),
				File: o.Value.Pos.File, Line: o.Value.Pos.Line, Col: o.Value.Pos.Col,
			})
			continue
		}
		out.Set(o.Name, v)
	}
	return out, nil
}

func (j *job) resolveURL(f *frame) error {
	env := j.leg.job.Environment
	if env == nil || env.URL.IsZero() {
		return nil
	}
	url, err := env.URL.Text(f.scope(nil))
	j.url = url
	return err
}

// stepContext returns the context for the next step: the job's own while it lasts, after that one for cleaning up, which
// is bounded in time.
func (j *job) stepContext() (context.Context, context.CancelFunc) {
	if j.work.Err() == nil {
		return j.work, func() {}
	}
	j.cleanup.once.Do(func() {
		j.cleanup.ctx, j.cleanup.stop = context.WithTimeoutCause(context.WithoutCancel(j.work), j.cleanup.limit,
			fmt.Errorf("cleaning up took longer than %v", j.cleanup.limit))
	})
	return j.cleanup.ctx, func() {}
}

func (j *job) stopCleanup() {
	if j.cleanup.stop != nil {
		j.cleanup.stop()
	}
}

func (j *job) takeBefore() []Hook {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.before
}

func (j *job) envNow() *pipeline.Map {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.env
}

func (j *job) setEnv(name, value string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	env := j.env.Clone()
	env.Set(name, value)
	j.env = env
}

func (j *job) addPath(dir string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.paths = append([]string{dir}, slices.DeleteFunc(slices.Clone(j.paths), func(p string) bool { return p == dir })...)
}

func (j *job) pathPrefix() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.paths
}

func (j *job) nextNumber() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.number++
	return j.number
}

// state returns what a step and its hooks share.
func (j *job) state(s *pipeline.Step) *pipeline.Map {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := j.states[s]
	if m == nil {
		m = pipeline.NewEnvMap()
		j.states[s] = m
	}
	return m
}
