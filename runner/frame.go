package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
)

// frame is one scope of steps: a job's, or that of a composite action within a step.
type frame struct {
	job *job
	// outer is the step that a composite action is run for; nil for the job's own frame.
	outer *step
	// env are variables for all steps of the frame, on top of the job's.
	env    *pipeline.Map
	inputs pipeline.Object
	action *pipeline.ActionScope
	// results of this frame's steps, shared with groups of steps in it.
	results *results

	mu         sync.Mutex
	status     pipeline.Status // what conditions see: with what the frame was entered
	outcome    pipeline.Status // of the frame's own steps
	why        string
	background []*backgroundStep
}

type backgroundStep struct {
	id     string
	cancel context.CancelCauseFunc
	done   chan struct{}
}

func newFrame(j *job) *frame {
	return &frame{job: j, status: pipeline.Success, outcome: pipeline.Success, inputs: j.inputs, results: &results{}}
}

// results are what the steps of a frame came to. It implements pipeline.StepResults and is safe for concurrent use: groups of
// steps share their frame's.
type results struct {
	mu   sync.Mutex
	ids  []string
	byID map[string]pipeline.StepResult
}

// Lookup implements pipeline.StepResults.
func (r *results) Lookup(id string) (pipeline.StepResult, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.byID[strings.ToLower(id)]
	return v, ok
}

// IDs implements pipeline.StepResults.
func (r *results) IDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}

func (r *results) set(id string, v pipeline.StepResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := strings.ToLower(id)
	if _, ok := r.byID[key]; !ok {
		r.ids = append(r.ids, id)
	}
	if r.byID == nil {
		r.byID = map[string]pipeline.StepResult{}
	}
	r.byID[key] = v
}

// end returns what the frame's own steps came to so far, and why.
func (f *frame) end() (pipeline.Status, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.outcome, f.why
}

// note makes a step's conclusion part of the frame's state. A failure stays what it is; a cancel comes before both.
func (f *frame) note(conclusion pipeline.Status, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case conclusion == pipeline.Cancelled:
		f.status, f.outcome, f.why = pipeline.Cancelled, pipeline.Cancelled, why
	case conclusion == pipeline.Failure && f.outcome == pipeline.Success:
		f.status, f.outcome, f.why = pipeline.Failure, pipeline.Failure, why
	}
}

// noteCancel makes a cancel of the job part of the frame's state, once.
func (f *frame) noteCancel() bool {
	if f.job.work.Err() == nil {
		return false
	}
	f.note(pipeline.Cancelled, context.Cause(f.job.work).Error())
	return true
}

// scope returns the scope for expressions of the frame; s is the step being considered, or nil.
func (f *frame) scope(s *pipeline.Step) *pipeline.Scope {
	f.mu.Lock()
	current := f.status
	f.mu.Unlock()
	c := *f.job.leg.scope
	c.Env = f.baseEnv()
	c.Inputs, c.Action = f.inputs, f.action
	c.Steps, c.Current = f.results, current
	c.Cancelled = f.job.work.Err() != nil
	if s != nil {
		c.StepID = s.ID
	}
	return &c
}

// baseEnv is the environment before a step's own variables.
func (f *frame) baseEnv() *pipeline.Map {
	env := f.job.envNow()
	if f.env.Len() == 0 {
		return env
	}
	env = env.Clone()
	env.Merge(f.env)
	return env
}

// runSteps runs steps in their order. Steps in the background go on when it returns.
func (f *frame) runSteps(steps []*pipeline.Step) {
	for _, s := range steps {
		if f.job.killed() {
			f.note(pipeline.Cancelled, ErrInterrupted.Error())
			return
		}
		f.noteCancel()
		switch a := s.Do.(type) {
		case *pipeline.Wait:
			f.control(s, func(st *step) (pipeline.Status, string) { return f.waitBackground(a.IDs) })
		case *pipeline.CancelStep:
			f.control(s, func(st *step) (pipeline.Status, string) { return f.cancelBackground(a.ID) })
		default:
			if s.Background {
				f.startBackground(s)
			} else {
				f.runStep(f.newStep(s), nil)
			}
		}
	}
}

// control runs a step that only steers others.
func (f *frame) control(s *pipeline.Step, do func(*step) (pipeline.Status, string)) {
	st := f.newStep(s)
	f.guarded(st, nil, do)
}

func (f *frame) startBackground(s *pipeline.Step) {
	ctx, cancel := context.WithCancelCause(f.job.work)
	b := &backgroundStep{id: strings.ToLower(s.ID), cancel: cancel, done: make(chan struct{})}
	f.mu.Lock()
	f.background = append(f.background, b)
	f.mu.Unlock()
	st := f.newStep(s)
	go func() {
		defer close(b.done)
		defer cancel(nil)
		f.runStep(st, ctx)
	}()
}

// waitBackground waits for background steps: those named, or all. Their failures are noted when they end.
func (f *frame) waitBackground(ids []string) (pipeline.Status, string) {
	f.mu.Lock()
	all := slices.Clone(f.background)
	f.mu.Unlock()
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(b *backgroundStep) bool { return strings.EqualFold(b.id, id) }) {
			return pipeline.Failure, fmt.Sprintf("no step %q runs in the background", id)
		}
	}
	for _, b := range all {
		if len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return strings.EqualFold(b.id, id) }) {
			<-b.done
		}
	}
	return pipeline.Success, ""
}

// errStepCancelled is the cause of a cancel that the pipeline itself asked for.
var errStepCancelled = fmt.Errorf("a later step cancelled it")

func (f *frame) cancelBackground(id string) (pipeline.Status, string) {
	f.mu.Lock()
	all := slices.Clone(f.background)
	f.mu.Unlock()
	for _, b := range all {
		if strings.EqualFold(b.id, id) {
			b.cancel(errStepCancelled)
			<-b.done
			return pipeline.Success, ""
		}
	}
	return pipeline.Failure, fmt.Sprintf("no step %q runs in the background", id)
}

// runHooks runs what actions have asked for before the first step.
func (f *frame) runHooks(hooks []Hook) {
	for _, h := range hooks {
		f.noteCancel()
		f.runHook(h)
	}
}

// runAfter runs what actions have asked for after the last step, the latest first. Hooks may register more.
func (f *frame) runAfter() {
	j := f.job
	for {
		j.mu.Lock()
		if len(j.after) == 0 {
			j.mu.Unlock()
			return
		}
		h := j.after[len(j.after)-1]
		j.after = j.after[:len(j.after)-1]
		j.mu.Unlock()
		if j.killed() {
			return
		}
		f.noteCancel()
		f.runHook(h)
	}
}

func (f *frame) runHook(h Hook) {
	st := f.newStep(h.Step)
	st.hook = &h
	f.guarded(st, nil, func(st *step) (pipeline.Status, string) {
		status, err := h.Run(st.ctx, st)
		if err != nil {
			st.Apply(pipeline.Annotate{Annotation: pipeline.Annotation{Level: "error", Message: err.Error()}})
			return pipeline.Failure, err.Error()
		}
		return status, st.failure()
	})
}
