package runner

import (
	"context"
	"slices"

	"github.com/gantry-ops/gantry/pipeline"
)

var _ JobContext = (*job)(nil)

// ID implements [JobContext].
func (j *job) ID() string { return j.leg.id }

// Pipeline implements [JobContext].
func (j *job) Pipeline() *pipeline.Pipeline { return j.p }

// Workspace implements [JobContext].
func (j *job) Workspace() Workspace { return j.ws }

// Scope implements [JobContext].
func (j *job) Scope() *pipeline.Scope {
	s := *j.leg.scope
	s.Env = j.envNow()
	return &s
}

// Log implements [JobContext].
func (j *job) Log(line string) {
	e := j.head
	e.Type, e.Line, e.Notice = Log, j.mask(line), true
	j.emit(e)
}

// Mask implements [JobContext].
func (j *job) Mask(text string) { j.Masker.Add(text) }

// Before implements [JobContext].
func (j *job) Before(h Hook) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.before = append(j.before, h)
}

// Values implements [JobContext].
func (j *job) Values() *pipeline.Memo { return &j.values }

// OnClose implements [JobContext].
func (j *job) OnClose(f func(context.Context)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closers = append(j.closers, f)
}

// AddArtifact implements [JobContext].
func (j *job) AddArtifact(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Contains(j.names, name) {
		j.names = append(j.names, name)
	}
}

func (j *job) annotate(a pipeline.Annotation) {
	e := j.head
	e.Type = Annotated
	a.Message, a.Title, a.File = j.mask(a.Message), j.mask(a.Title), j.mask(a.File)
	e.Annotation = &a
	j.emit(e)
}
