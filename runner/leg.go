package runner

import (
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// leg is one leg of a job, or the whole job where it never comes to legs.
type leg struct {
	job   *pipeline.Job
	scope *pipeline.Scope
	// id is the path of keys with legs, unique in the run: "call (a) / build (1)".
	id string
	// key is the path of keys without legs: "call / build".
	key string
	// name is the display name of the whole path, suffix the leg's own without its leading blank.
	name, suffix string
	// as is the suffix as the matrix names it, with the blank before it.
	as        string
	needs     []string
	tolerated bool
	rank      int
}

// id returns the path of a job or leg.
func (g *graph) id(job *pipeline.Job, suffix string) string {
	if g.callerID == "" {
		return job.Key + suffix
	}
	return g.callerID + " / " + job.Key + suffix
}

func (g *graph) keyPath(key string) string {
	if g.callerKey == "" {
		return key
	}
	return g.callerKey + " / " + key
}

// newLeg names a leg. scope may be nil where the job is not even looked at.
func (g *graph) newLeg(job *pipeline.Job, l pipeline.Leg, scope *pipeline.Scope) *leg {
	name := pipeline.JobName(job, l, scope)
	if g.callerName != "" {
		name = g.callerName + " / " + name
	}
	return &leg{job: job, scope: scope, id: g.id(job, l.Suffix), key: g.keyPath(job.Key), name: g.mask(name), suffix: g.mask(strings.TrimSpace(l.Suffix)), as: l.Suffix}
}

// stop names the leg in its pipeline, with what its expressions can see of the jobs before it.
func (l *leg) stop() Stop { return Stop{Job: l.job.Key, Leg: l.as, Upstream: l.scope.Upstream} }

// head returns what all events of a leg have in common.
func (g *graph) head(l *leg) Event {
	return Event{Run: g.req.Run.ID, Workflow: g.req.Pipeline.Name, Job: l.name, JobID: l.key, Leg: l.suffix, Path: l.id}
}

// finishUnstarted tells of a job or leg that ended without having started.
func (g *graph) finishUnstarted(l *leg, status pipeline.Status, reason string) {
	e := g.head(l)
	e.Type, e.Status, e.Reason, e.Needs, e.Tolerated = JobFinished, status, g.mask(reason), l.needs, l.tolerated && status == pipeline.Failure
	if status == pipeline.Failure {
		a := e
		a.Type, a.Status, a.Needs, a.Tolerated = Annotated, "", nil, false
		a.Annotation = &pipeline.Annotation{Level: "error", Message: e.Reason, File: l.job.Pos.File, Line: l.job.Pos.Line, Col: l.job.Pos.Col}
		a.Reason = ""
		g.emit(a)
	}
	g.emit(e)
	g.record(JobResult{ID: l.id, Name: l.name, Status: status, Tolerated: e.Tolerated, Reason: e.Reason})
}

// endUnstarted is finishUnstarted for one leg of several.
func (g *graph) endUnstarted(l *leg, status pipeline.Status, reason string) legEnd {
	g.finishUnstarted(l, status, reason)
	return legEnd{status: status, tolerated: l.tolerated && status == pipeline.Failure, names: []string{l.name}}
}
