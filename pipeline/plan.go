package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Will says whether a job or step will run, as far as it can be told before the run.
type Will string

const (
	// Runs: if everything before it succeeds.
	Runs Will = "runs"
	// WillSkip: it will not run; the reason goes with it.
	WillSkip Will = "skipped"
	// Depends: on something that only the run will tell.
	Depends Will = "depends"
	// Fails: its own expressions cannot be evaluated.
	Fails Will = "fails"
)

// Plan is the expanded graph of a pipeline under the assumption that whatever runs succeeds.
type Plan struct {
	Pipeline *Pipeline
	Jobs     []PlannedJob
}

// PlannedJob is one leg of one job, or a job whose legs only the run will tell.
type PlannedJob struct {
	Job *Job
	// ID is the path of keys with legs, Name the display name.
	ID, Name string
	// Needs are the IDs of what it waits for.
	Needs  []string
	Leg    Leg
	Will   Will
	Reason string
	// RunsOn, Image and Environment are shown as they evaluate; "…" where only the run will tell.
	RunsOn      []string
	Image       string
	Environment string
	Steps       []PlannedStep
	// Called are the jobs of the pipeline that the job calls.
	Called []PlannedJob
}

// PlannedStep is one step of a planned job.
type PlannedStep struct {
	Step   *Step
	Name   string
	Will   Will
	Reason string
	// Steps are those of a group.
	Steps []PlannedStep
}

// NewPlan expands a pipeline. scope gives the run's facts, inputs, variables and secrets. jobs, where not empty, keeps those
// jobs with what they need; matrix keeps legs as [KeepLegs] does.
func NewPlan(p *Pipeline, scope *Scope, jobs []string, matrix map[string]string) *Plan {
	s := *scope
	s.Planning = true
	pl := planner{matrix: matrix}
	return &Plan{Pipeline: p, Jobs: pl.jobs(p, &s, Wanted(p, jobs), "", "")}
}

// Wanted returns the jobs with the keys given and all that they need, in the file's order; without keys, all jobs.
func Wanted(p *Pipeline, keys []string) []*Job {
	if len(keys) == 0 {
		return p.Jobs
	}
	byKey := make(map[string]*Job, len(p.Jobs))
	for _, j := range p.Jobs {
		byKey[strings.ToLower(j.Key)] = j
	}
	keep := map[*Job]bool{}
	var mark func(string)
	mark = func(key string) {
		j := byKey[strings.ToLower(key)]
		if j == nil || keep[j] {
			return
		}
		keep[j] = true
		for _, n := range j.Needs {
			mark(n.Key)
		}
	}
	for _, k := range keys {
		mark(k)
	}
	return slices.DeleteFunc(slices.Clone(p.Jobs), func(j *Job) bool { return !keep[j] })
}

// Upstream returns the results of all jobs before job, those it needs first, looked up by key in results.
func Upstream(job *Job, jobOf func(key string) *Job, result func(key string) (Result, bool)) []Result {
	var out []Result
	seen := map[string]bool{strings.ToLower(job.Key): true}
	var walk func(*Job, bool)
	walk = func(j *Job, direct bool) {
		var deeper []*Job
		for _, need := range j.Needs {
			key := strings.ToLower(need.Key)
			b := jobOf(key)
			if b == nil || seen[key] {
				continue
			}
			seen[key] = true
			if r, ok := result(key); ok {
				r.Direct = direct
				out = append(out, r)
			}
			deeper = append(deeper, b)
		}
		for _, b := range deeper {
			walk(b, false)
		}
	}
	walk(job, true)
	return out
}

type planner struct{ matrix map[string]string }

func (pl planner) jobs(p *Pipeline, scope *Scope, jobs []*Job, callerID, callerName string) []PlannedJob {
	byKey := map[string]*Job{}
	for _, j := range jobs {
		byKey[strings.ToLower(j.Key)] = j
	}
	results := map[string]Result{}
	ids := map[string][]string{}
	planned := map[*Job][]PlannedJob{}
	var visit func(j *Job)
	visit = func(j *Job) {
		if _, done := planned[j]; done {
			return
		}
		planned[j] = nil
		var needs []string
		for _, n := range j.Needs {
			if b := byKey[strings.ToLower(n.Key)]; b != nil {
				visit(b)
				needs = append(needs, ids[strings.ToLower(n.Key)]...)
			}
		}
		s := *scope
		s.Job = &JobScope{Key: j.Key, ID: join(callerID, j.Key), File: p.File}
		s.Upstream = Upstream(j, func(k string) *Job { return byKey[k] }, func(k string) (Result, bool) { r, ok := results[k]; return r, ok })
		out := pl.job(p, j, &s, needs, callerID, callerName)
		planned[j] = out
		r := Result{Key: j.Key, Status: Skipped}
		for _, o := range out {
			ids[strings.ToLower(j.Key)] = append(ids[strings.ToLower(j.Key)], o.ID)
			if o.Will != WillSkip {
				r.Status = Success
			}
		}
		results[strings.ToLower(j.Key)] = r
	}
	var all []PlannedJob
	for _, j := range jobs {
		visit(j)
	}
	for _, j := range jobs {
		all = append(all, planned[j]...)
	}
	return all
}

func join(caller, name string) string {
	if caller == "" {
		return name
	}
	return caller + " / " + name
}

// job plans one job: all of its legs, or itself where they cannot be told.
func (pl planner) job(p *Pipeline, j *Job, s *Scope, needs []string, callerID, callerName string) []PlannedJob {
	whole := PlannedJob{Job: j, ID: join(callerID, j.Key), Name: join(callerName, JobName(j, Leg{}, s)), Needs: needs}
	whole.Will, whole.Reason = decide(j.If, s)
	if whole.Will == WillSkip || whole.Will == Fails {
		return []PlannedJob{whole}
	}
	legs := []Leg{{}}
	st := StrategyScope{Total: 1, FailFast: true, MaxParallel: 1}
	if j.Strategy != nil && j.Strategy.Matrix != nil {
		var err error
		legs, err = j.Strategy.Matrix.Expand(s)
		switch {
		case errors.Is(err, ErrUnknown):
			whole.Will, whole.Reason = Depends, "the legs of its matrix are known only when the jobs before it have ended"
			whole.Steps = planSteps(j.Steps, stepScope(s, Unknown))
			return []PlannedJob{whole}
		case err != nil:
			whole.Will, whole.Reason = Fails, err.Error()
			return []PlannedJob{whole}
		}
		st.Total, st.MaxParallel = len(legs), len(legs)
		if len(legs) == 0 {
			whole.Will, whole.Reason = WillSkip, "the matrix has no legs"
			return []PlannedJob{whole}
		}
		if callerID == "" {
			if legs = KeepLegs(legs, pl.matrix); len(legs) == 0 {
				whole.Will, whole.Reason = WillSkip, "no leg of the matrix has the values asked for"
				return []PlannedJob{whole}
			}
		}
	}
	var out []PlannedJob
	for i, leg := range legs {
		ls := *s
		if leg.Values != nil {
			ls.Matrix = leg.Values
		}
		ls.Strategy = st
		ls.Strategy.Index = i
		o := whole
		o.Leg = leg
		o.ID = join(callerID, j.Key+leg.Suffix)
		o.Name = join(callerName, JobName(j, leg, &ls))
		pl.leg(p, j, &ls, &o)
		out = append(out, o)
	}
	return out
}

func (pl planner) leg(p *Pipeline, j *Job, s *Scope, o *PlannedJob) {
	o.RunsOn, _ = j.RunsOn.List(s)
	if d, err := j.Container.Eval(s); err == nil {
		if IsUnknown(d) {
			o.Image = Text(d)
		} else if c, err := DecodeContainer(d); err == nil && c != nil {
			o.Image = c.Image
		}
	}
	if j.Environment != nil {
		o.Environment, _ = j.Environment.Name.Text(s)
	}
	if c := j.Call; c != nil {
		inner := Scope{Planning: true, Run: s.Run, Vars: s.Vars, Secrets: s.Secrets}
		given, err := c.Inputs.Object(s)
		if err == nil {
			var bound *Map
			bound, err = BindInputs(c.Pipeline.Inputs, given, &Scope{Planning: true, Run: s.Run, Vars: s.Vars})
			inner.Inputs = bound
		}
		if err != nil {
			o.Will, o.Reason = Fails, err.Error()
			return
		}
		o.Called = planner{}.jobs(c.Pipeline, &inner, c.Pipeline.Jobs, o.ID, o.Name)
		return
	}
	steps := stepScope(s, nil)
	steps.Env = plannedEnv(s, p.Env, j.Env)
	o.Steps = planSteps(j.Steps, steps)
}

// partialEnv is an environment of which only what the file sets is known: steps may set more.
type partialEnv struct{ *Map }

// Get implements Object.
func (e partialEnv) Get(key string) (Data, bool) {
	if v, ok := e.Map.Get(key); ok {
		return v, true
	}
	return Unknown, true
}

func plannedEnv(s *Scope, layers ...Value) Object {
	env := NewEnvMap()
	for _, l := range layers {
		ls := *s
		ls.Env = env.Clone()
		if o, err := l.Object(&ls); err == nil {
			env.Merge(o)
		}
	}
	return partialEnv{env}
}

// stepScope is the scope of the steps of a job that nothing has gone wrong in.
func stepScope(s *Scope, matrix Data) *Scope {
	c := *s
	c.Current = Success
	if IsUnknown(matrix) {
		c.Matrix = unknownObject{}
	}
	return &c
}

// unknownObject has any member, and none is known.
type unknownObject struct{}

// Get implements Object.
func (unknownObject) Get(string) (Data, bool) { return Unknown, true }

// Keys implements Object.
func (unknownObject) Keys() []string { return nil }

func planSteps(steps []*Step, s *Scope) []PlannedStep {
	out := make([]PlannedStep, 0, len(steps))
	for _, st := range steps {
		ss := *s
		ss.StepID = st.ID
		if env, err := st.Env.Object(&ss); err == nil && len(env.Keys()) > 0 {
			merged := NewEnvMap()
			if ss.Env != nil {
				merged.Merge(ss.Env)
			}
			merged.Merge(env)
			ss.Env = partialEnv{merged}
		}
		o := PlannedStep{Step: st, Will: Runs}
		o.Name, _ = st.Name.Text(&ss)
		if !st.If.IsZero() {
			o.Will, o.Reason = decide(st.If, &ss)
		}
		if o.Will != WillSkip {
			switch a := st.Do.(type) {
			case *Sequence:
				o.Steps = append(planSteps(a.Steps, &ss), planSteps(a.Post, &ss)...)
			case *Parallel:
				o.Steps = planSteps(a.Steps, &ss)
			}
		}
		out = append(out, o)
	}
	return out
}

// decide evaluates a condition before the run.
func decide(v Value, s *Scope) (Will, string) {
	d, err := v.Eval(s)
	if err != nil {
		return Fails, err.Error()
	}
	if IsUnknown(d) {
		return Depends, fmt.Sprintf("depends on results: %s", v.Source())
	}
	if ok, err := v.Bool(s); err == nil && ok {
		return Runs, ""
	}
	for _, r := range s.Upstream {
		if r.Direct && r.Status == Skipped && s.Current == "" {
			return WillSkip, fmt.Sprintf("%q, which it needs, is skipped", r.Key)
		}
	}
	if e, ok := v.Expr().(Explainer); ok {
		if why := e.Explain(s); why != "" {
			return WillSkip, why
		}
	}
	return WillSkip, fmt.Sprintf("its condition is false: %s", v.Source())
}
