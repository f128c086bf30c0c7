package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// Assignment is one leg of a run that is to be run elsewhere: where it stands, what whoever places it has to know, and what it
// has to know of the jobs before it. With the same files of the same commit, [RunAssigned] runs it in any process. It survives a
// round trip through JSON.
type Assignment struct {
	// ID is the path of keys with legs, unique in the run and the same each time that the run's files are read:
	// "call (a) / build (1)". Key is the path without legs, Name the display name, Leg the suffix that names the leg.
	ID   string `json:"id"`
	Key  string `json:"key"`
	Name string `json:"name"`
	Leg  string `json:"leg,omitempty"`
	// Path leads from the pipeline that was started through calls to the leg.
	Path []Stop `json:"path"`
	// Needs are the display names of what the job waited for.
	Needs []string `json:"needs,omitempty"`
	// RunsOn are the labels of the machine wanted.
	RunsOn []string `json:"runs_on,omitempty"`
	// Environment is the name of the environment that the job deploys to; empty for most.
	Environment string `json:"environment,omitempty"`
	// Manual: a person has to start the job.
	Manual bool `json:"manual,omitempty"`
	// Tolerated: a failure does not fail what is above.
	Tolerated bool `json:"tolerated,omitempty"`
	// Cancelled: the run was asked to stop before the job began, and its condition holds all the same.
	Cancelled bool `json:"cancelled,omitempty"`
	// Rank: see JobSpec.
	Rank int `json:"rank,omitempty"`
}

// Stop is one job on the way to a leg.
type Stop struct {
	// Job is the key of the job in its pipeline, Leg the suffix of its leg as the matrix names it, with the blank before it.
	Job string `json:"job"`
	Leg string `json:"leg,omitempty"`
	// Upstream are the results of all jobs before it, as the scope of its expressions has them.
	Upstream []pipeline.Result `json:"upstream,omitempty"`
}

// Outcome is how an assigned leg ended.
type Outcome struct {
	Status pipeline.Status `json:"status"`
	Reason string          `json:"reason,omitempty"`
	// Outputs go to the jobs that need this one. An output that holds a secret is left out.
	Outputs *pipeline.Map `json:"outputs,omitempty"`
}

// Dispatcher runs legs elsewhere.
type Dispatcher interface {
	// Dispatch has a leg run and returns when it has ended. It is called once for each leg that runs, as soon as the leg may run,
	// from any number of goroutines; where the leg runs and when is the dispatcher's business, and so are the events of the leg
	// (JobStarted to JobFinished). A leg that has ended before, in an earlier life of this run, is answered by its recorded outcome.
	// When ctx ends the leg is cancelled; Dispatch still returns only when it has ended. An error fails the leg.
	Dispatch(ctx context.Context, a Assignment) (Outcome, error)
	// Begun reports whether the job, leg or call with that ID ("" is the whole run) was dispatched in an earlier life of this run, or something that it
	// calls was. Its condition held then, and is not asked again; its legs are dispatched even where ctx has ended meanwhile.
	Begun(id string) bool
}

// assign describes a leg for whoever runs it.
func (g *graph) assign(l *leg) (Assignment, error) {
	a := Assignment{
		ID: l.id, Key: l.key, Name: l.name, Leg: l.suffix, Needs: l.needs, Rank: l.rank,
		Path: append(slices.Clone(g.path), l.stop()), Manual: l.job.Manual, Tolerated: l.tolerated, Cancelled: l.scope.Cancelled,
	}
	var err error
	if a.RunsOn, err = l.job.RunsOn.List(l.scope); err != nil {
		return a, err
	}
	if env := l.job.Environment; env != nil {
		if a.Environment, err = env.Name.Text(l.scope); err != nil {
			return a, err
		}
	}
	return a, nil
}

// dispatch has a leg run elsewhere.
func (g *graph) dispatch(ctx context.Context, l *leg) legEnd {
	a, err := g.assign(l)
	if err != nil {
		return g.endUnstarted(l, pipeline.Failure, err.Error())
	}
	o, err := g.Dispatch.Dispatch(ctx, a)
	if err != nil {
		return g.endUnstarted(l, pipeline.Failure, err.Error())
	}
	tolerated := l.tolerated && o.Status == pipeline.Failure
	g.record(JobResult{ID: l.id, Name: l.name, Status: o.Status, Tolerated: tolerated, Reason: o.Reason})
	return legEnd{status: o.Status, tolerated: tolerated, outputs: o.Outputs, names: []string{l.name}}
}

// begun reports whether something was dispatched in an earlier life.
func (g *graph) begun(id string) bool { return g.Dispatch != nil && g.Dispatch.Begun(id) }

// RunAssigned runs one leg of a run that is coordinated elsewhere, with the pipeline read from the same files, and returns its outcome.
// Its events and lines go to o.Sink, from JobStarted to JobFinished; those of the run are the coordinator's. An output that holds a
// secret is left out, with a warning, because it would leave this process. The error is for an assignment that the pipeline does not
// have; nothing was run then.
func RunAssigned(ctx context.Context, o Options, req Request, a Assignment) (Outcome, error) {
	if o.Executor == nil || o.Sink == nil {
		return Outcome{}, errors.New("run a job: an executor and a sink are required")
	}
	o.Dispatch = nil
	r := newRun(o)
	r.assigned = true
	r.hide(&req)
	g := r.graph(&req)
	for i, stop := range a.Path {
		l, err := g.find(stop, a.Cancelled)
		if err != nil {
			return Outcome{}, fmt.Errorf("run the job %q: %w", a.ID, err)
		}
		if i < len(a.Path)-1 {
			if l.job.Call == nil {
				return Outcome{}, fmt.Errorf("run the job %q: %q calls no pipeline", a.ID, l.id)
			}
			if g, err = g.callee(l); err != nil {
				return Outcome{}, fmt.Errorf("run the job %q: %w", a.ID, err)
			}
			continue
		}
		if l.job.Call != nil {
			return Outcome{}, fmt.Errorf("run the job %q: it is a call, which has no steps", a.ID)
		}
		l.needs, l.rank, l.tolerated = a.Needs, a.Rank, a.Tolerated
		end := g.runJob(ctx, l)
		out := Outcome{Status: end.status, Outputs: end.outputs}
		if len(r.jobs) > 0 {
			out.Reason = r.jobs[0].Reason
		}
		return out, nil
	}
	return Outcome{}, fmt.Errorf("run the job %q: its path is empty", a.ID)
}

// find returns the leg that a stop names.
func (g *graph) find(stop Stop, cancelled bool) (*leg, error) {
	i := slices.IndexFunc(g.p.Jobs, func(j *pipeline.Job) bool { return strings.EqualFold(j.Key, stop.Job) })
	if i < 0 {
		return nil, fmt.Errorf("%s has no job %q", g.p.File, stop.Job)
	}
	job := g.p.Jobs[i]
	scope := &pipeline.Scope{
		Run: g.req.Run, Inputs: g.inputs, Vars: g.req.Vars, Secrets: g.secrets,
		Job: &pipeline.JobScope{Key: job.Key, ID: g.id(job, ""), File: g.p.File}, Upstream: stop.Upstream, Cancelled: cancelled,
	}
	legs, strategy, err := g.legs(job, scope)
	if err != nil {
		return nil, err
	}
	i = slices.IndexFunc(legs, func(l pipeline.Leg) bool { return l.Suffix == stop.Leg })
	if i < 0 {
		return nil, fmt.Errorf("the job %q has no leg %q", stop.Job, strings.TrimSpace(stop.Leg))
	}
	return g.newLeg(job, legs[i], g.legScope(scope, job, legs[i], strategy, i)), nil
}
