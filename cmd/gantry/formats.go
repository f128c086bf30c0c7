package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
)

// formats reads the workflows of projects for the server. It implements [runs.Formats].
type formats struct {
	// remote finds called workflows of other repositories.
	remote *forge.Cache
}

var _ runs.Formats = (*formats)(nil)

// read reads all workflows of a folder, which may have none.
func (f *formats) read(dir string, o githubactions.Options) ([]workflow, error) {
	p := &project{dir: dir, fs: os.DirFS(dir), sources: map[string][]byte{}}
	names, err := githubactions.Find(p.fs)
	if err != nil {
		return nil, err
	}
	var out []workflow
	for _, n := range names {
		w, err := p.read(n, o)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

func (f *formats) resolver(ctx context.Context) githubactions.Options {
	return githubactions.Options{Resolver: &remoteWorkflows{ctx, func() (*forge.Cache, error) { return f.remote, nil }}}
}

// Pipelines implements [runs.Formats]. Called workflows of other repositories are not fetched for it.
func (f *formats) Pipelines(_ context.Context, dir string) ([]runs.PipelineInfo, error) {
	all, err := f.read(dir, githubactions.Options{Alone: true})
	if err != nil {
		return nil, err
	}
	out := []runs.PipelineInfo{}
	for _, w := range all {
		info := runs.PipelineInfo{File: w.file, Name: w.file, Events: []string{}, Inputs: []runs.InputInfo{}, Schedules: []runs.ScheduleInfo{}, Errors: problems(w.diags)}
		if w.pipeline != nil {
			describe(&info, w.pipeline)
		}
		out = append(out, info)
	}
	return out, nil
}

// describe fills in what a person has to know to start a pipeline.
func describe(info *runs.PipelineInfo, p *pipeline.Pipeline) {
	info.Name = cmp.Or(p.Name, p.File)
	for _, t := range p.Triggers {
		if !slices.Contains(info.Events, t.Event) {
			info.Events = append(info.Events, t.Event)
		}
		for _, s := range t.Schedules {
			sc := runs.ScheduleInfo{Cron: s.Cron, TimeZone: cmp.Or(s.TimeZone, "UTC")}
			if next, err := engine.Next(s.Cron, s.TimeZone, time.Now()); err == nil {
				sc.Next = store.At(next)
			}
			info.Schedules = append(info.Schedules, sc)
		}
		if t.Event != dispatched {
			continue
		}
		info.Manual = true
		for _, in := range t.Inputs {
			i := runs.InputInfo{Name: in.Name, Description: in.Description, Type: cmp.Or(in.Type, "string"), Required: in.Required, Options: in.Options}
			if !in.Default.IsZero() {
				if text, err := in.Default.Text(&pipeline.Scope{Planning: true}); err == nil {
					i.Default = text
				}
			}
			info.Inputs = append(info.Inputs, i)
		}
	}
}

// problems are the errors among the findings, one line each.
func problems(ds pipeline.Diagnostics) []string {
	out := []string{}
	for _, d := range ds {
		if d.Severity != pipeline.Error {
			continue
		}
		line := d.Error()
		if d.Hint != "" {
			line += " (" + d.Hint + ")"
		}
		out = append(out, line)
	}
	return out
}

// dispatched is the event of a run that a person starts.
const dispatched = "workflow_dispatch"

// eventNames are the words of GitHub Actions for those of the house.
var eventNames = map[string]string{"push": "push", "tag": "push", "pull_request": "pull_request", "schedule": "schedule", "manual": dispatched}

// Select implements [runs.Formats].
func (f *formats) Select(ctx context.Context, dir string, t *runs.Trigger, facts *pipeline.Run, vars pipeline.Object) (started []runs.Start, rest []runs.NotStarted, err error) {
	event, ok := eventNames[t.Event]
	if !ok {
		return nil, nil, fmt.Errorf("select pipelines: the event %q is not known", t.Event)
	}
	extra, err := payloadOf(t)
	if err != nil {
		return nil, nil, err
	}
	all, err := f.read(dir, f.resolver(ctx))
	if err != nil {
		return nil, nil, err
	}
	for _, w := range all {
		if t.File != "" && w.file != t.File {
			continue
		}
		run := startFacts(facts, w, event, t)
		if w.pipeline == nil {
			// What starts it cannot be read either; a push, or a person who asks for it, is told.
			if t.Event == "schedule" {
				rest = append(rest, runs.NotStarted{File: w.file, Name: w.file, Reason: "the file has errors"})
				continue
			}
			started = append(started, runs.Start{Run: run, Errors: problems(w.diags)})
			continue
		}
		run.Event.Payload = githubactions.Payload(run, event, extra)
		if ok, reason := githubactions.Select(w.pipeline, run); !ok {
			rest = append(rest, runs.NotStarted{File: w.file, Name: w.pipeline.Name, Reason: reason})
			continue
		}
		s := runs.Start{Pipeline: w.pipeline, Run: run}
		if s.Inputs, err = bindInputs(w.pipeline, t, run, vars); err != nil {
			return nil, nil, err
		}
		if !w.pipeline.RunName.IsZero() {
			title, err := w.pipeline.RunName.Text(&pipeline.Scope{Run: run, Inputs: s.Inputs, Vars: vars})
			if err != nil {
				s.Errors = []string{err.Error()}
			}
			s.Title = title
		}
		started = append(started, s)
	}
	if t.File != "" && len(started)+len(rest) == 0 {
		return nil, nil, &runs.InvalidError{Field: "file", Value: t.File, Message: "is no workflow of the project at this commit"}
	}
	return started, rest, nil
}

// payloadOf is the forge's document as far as it has GitHub's form; the others' have another.
func payloadOf(t *runs.Trigger) (*pipeline.Map, error) {
	if len(t.Payload) == 0 {
		return pipeline.NewMap(), nil
	}
	v, err := pipeline.DecodeJSON(t.Payload)
	if err != nil {
		return nil, &runs.InvalidError{Field: "payload", Message: "is no JSON: " + err.Error()}
	}
	m, ok := v.(*pipeline.Map)
	if !ok {
		return nil, &runs.InvalidError{Field: "payload", Message: "must be a JSON object"}
	}
	if repository, _ := m.Get("repository"); repository != nil {
		if o, ok := repository.(*pipeline.Map); ok {
			if _, ok := o.Get("node_id"); ok {
				return m, nil
			}
		}
	}
	return pipeline.NewMap(), nil
}

// startFacts are the facts of the run of one workflow.
func startFacts(of *pipeline.Run, w workflow, event string, t *runs.Trigger) *pipeline.Run {
	run := &pipeline.Run{
		ID: of.ID, Number: of.Number, Attempt: of.Attempt, Pipeline: w.file, File: w.file, Started: of.Started,
		Repository: of.Repository, Change: of.Change, Actor: of.Actor, Debug: of.Debug,
		Event: pipeline.Event{Name: event, Action: t.Action, Schedule: t.Cron},
	}
	if w.pipeline != nil {
		run.Pipeline = cmp.Or(w.pipeline.Name, w.file)
	}
	return run
}

// bindInputs gives a workflow its inputs, and the payload those that a person has set.
func bindInputs(p *pipeline.Pipeline, t *runs.Trigger, run *pipeline.Run, vars pipeline.Object) (*pipeline.Map, error) {
	given := pipeline.NewMap()
	for k, v := range t.Inputs {
		given.Set(k, v)
	}
	declared := declaredInputs(p, run.Event.Name)
	if declared == nil && given.Len() > 0 {
		return nil, &runs.InvalidError{Field: "inputs", Message: fmt.Sprintf("must be empty: %s has no inputs for the event %s", p.File, run.Event.Name)}
	}
	bound, err := pipeline.BindInputs(declared, given, &pipeline.Scope{Run: run, Vars: vars})
	if err != nil {
		return nil, &runs.InvalidError{Field: "inputs", Message: "do not fit " + p.File + ": " + err.Error()}
	}
	if run.Event.Name == dispatched {
		texts := pipeline.NewMap()
		for k, v := range bound.Strings() {
			texts.Set(k, v)
		}
		run.Event.Payload.Set("inputs", texts)
	}
	return bound, nil
}

// Load implements [runs.Formats].
func (f *formats) Load(ctx context.Context, dir, file string) (*pipeline.Pipeline, error) {
	p := &project{dir: dir, fs: os.DirFS(dir), sources: map[string][]byte{}}
	if strings.HasPrefix(file, "/") || strings.HasPrefix(file, "../") {
		return nil, fmt.Errorf("read %s: it is no file of the project", file)
	}
	w, err := p.read(file, f.resolver(ctx))
	if err != nil {
		return nil, err
	}
	if w.pipeline == nil {
		return nil, fmt.Errorf("read %s: %s", file, strings.Join(problems(w.diags), "; "))
	}
	return w.pipeline, nil
}
