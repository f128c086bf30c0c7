package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
)

// selection are the flags that `run` and `plan` share: which workflows, for which event, with what.
type selection struct {
	dir                  string
	files, jobs          []string
	event, eventFile     string
	ref, base            string
	inputs, vars, env    []string
	secrets, secretFiles []string
	matrix               []string
	offline, debug       bool
	actionsURL           string
}

func (s *selection) register(cmd *cobra.Command) {
	f := cmd.Flags()
	addDirFlag(cmd, &s.dir)
	f.StringArrayVarP(&s.files, "file", "f", nil, "workflow `FILE` to use, whatever its filters say (default: those that the event starts)")
	f.StringArrayVarP(&s.jobs, "job", "j", nil, "`JOB` to run, with what it needs (default: all)")
	f.StringVarP(&s.event, "event", "e", "", "`EVENT` that starts the workflows (default push; workflow_dispatch with --input)")
	f.StringVar(&s.eventFile, "event-file", "", "JSON `FILE` to merge into the event's payload")
	f.StringVar(&s.ref, "ref", "", "branch or tag `REF` that the event is for, such as refs/tags/v1 (default: the branch of HEAD)")
	f.StringVar(&s.base, "base", "", "base `BRANCH` of a pull request (default: the default branch)")
	f.StringArrayVarP(&s.inputs, "input", "i", nil, "input of a workflow_dispatch as `NAME=VALUE`")
	f.StringArrayVarP(&s.secrets, "secret", "s", nil, "secret as `NAME[=VALUE]`; without a value it is read from the environment")
	f.StringArrayVar(&s.secretFiles, "secret-file", nil, "`FILE` with secrets: lines of NAME=value, or a JSON object")
	f.StringArrayVar(&s.vars, "var", nil, "configuration variable as `NAME=VALUE`, for the vars context")
	f.StringArrayVar(&s.env, "env", nil, "environment variable as `NAME=VALUE`, for all steps")
	f.StringArrayVarP(&s.matrix, "matrix", "m", nil, "keep only the legs of matrices with `NAME=VALUE`")
	f.BoolVar(&s.offline, "offline", false, "use only what is in the cache of actions and workflows")
	f.StringVar(&s.actionsURL, "actions-url", "", "base `URL` to clone actions and workflows from (default: https://github.com)")
	complete(cmd, "job", s.completeJobs)
	complete(cmd, "event", s.completeEvents)
	complete(cmd, "file", s.completeFiles)
}

// started is a workflow that the event starts, with all that its run is made of.
type started struct {
	pipeline *pipeline.Pipeline
	run      *pipeline.Run
	inputs   *pipeline.Map
	// jobs are the keys of those asked for that this workflow has; nil: all.
	jobs []string
}

// chosen is the outcome of a selection.
type chosen struct {
	project    *project
	local      *forge.Local
	started    []started
	notStarted []notStarted
	diags      pipeline.Diagnostics
	// began and considered make the IDs of runs.
	began      time.Time
	considered int

	secrets, vars, env *pipeline.Map
	matrix             map[string]string
}

// scope is what everything of a workflow is evaluated in.
func (c *chosen) scope(s *started) *pipeline.Scope {
	return &pipeline.Scope{Run: s.run, Inputs: s.inputs, Secrets: c.secrets, Vars: c.vars}
}

// token is what jobs may use at the forge; empty without one.
func (c *chosen) token() string {
	v, _ := c.secrets.Get("GITHUB_TOKEN")
	return pipeline.Text(v)
}

// repository is the full name, or that of the folder where there is no remote.
func (c *chosen) repository() string { return repositoryFacts(c.local).FullName() }

// choose reads the workflows and selects those that the event starts. When a file has errors they are shown, and the
// error says only that.
func (s *selection) choose(ctx context.Context) (*chosen, error) {
	c := &chosen{}
	var err error
	if c.secrets, err = readSecrets(s.secretFiles, s.secrets); err != nil {
		return nil, err
	}
	if c.vars, err = pairs(pipeline.NewMap(), "var", s.vars); err != nil {
		return nil, err
	}
	if c.env, err = pairs(pipeline.NewEnvMap(), "env", s.env); err != nil {
		return nil, err
	}
	matrix, err := pairs(pipeline.NewEnvMap(), "matrix", s.matrix)
	if err != nil {
		return nil, err
	}
	c.matrix = matrix.Strings()
	inputs, err := pairs(pipeline.NewMap(), "input", s.inputs)
	if err != nil {
		return nil, err
	}
	if inputs.Len() > 0 && s.event != "" && s.event != "workflow_dispatch" && s.event != "workflow_call" {
		return nil, usagef("--input: the event %s has no inputs, workflow_dispatch and workflow_call have", s.event)
	}
	extra, err := readEventFile(s.eventFile)
	if err != nil {
		return nil, err
	}
	if c.project, err = openProject(s.dir); err != nil {
		return nil, err
	}
	// Git is asked while the workflows are read.
	type opened struct {
		local *forge.Local
		err   error
	}
	opening := make(chan opened, 1)
	go func() {
		l, err := forge.OpenLocal(ctx, c.project.dir)
		opening <- opened{l, err}
	}()
	workflows, err := s.read(ctx, c.project, c.token())
	o := <-opening
	if err != nil {
		return nil, err
	}
	if o.err != nil {
		return nil, o.err
	}
	c.local = o.local
	for _, w := range workflows {
		c.diags = append(c.diags, w.diags...)
	}
	c.diags.Sort()
	if c.diags.HasErrors() {
		showDiagnostics(os.Stderr, c.diags, c.project.source, colorful(os.Stderr))
		return nil, told(exitUsage)
	}
	for _, w := range workflows {
		if err := s.consider(ctx, c, w.pipeline, inputs, extra); err != nil {
			return nil, err
		}
	}
	if err := s.keepJobs(c); err != nil {
		return nil, err
	}
	return c, c.checkMatrix()
}

// read reads the files asked for, or all.
func (s *selection) read(ctx context.Context, p *project, token string) ([]workflow, error) {
	names, err := p.files(s.dir, s.files)
	if err != nil {
		return nil, err
	}
	resolver := &remoteWorkflows{ctx, func() (*forge.Cache, error) {
		cache, err := cacheDir()
		return s.remote(cache, token), err
	}}
	var out []workflow
	for _, n := range names {
		w, err := p.read(n, githubactions.Options{Resolver: resolver})
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// eventFor is the event that a workflow is considered for. forced: it runs whatever its filters say, because a person has
// named the file and no event.
func (s *selection) eventFor(p *pipeline.Pipeline) (event string, forced bool) {
	switch {
	case s.event != "":
		return s.event, false
	case len(s.inputs) > 0:
		return "workflow_dispatch", false
	case len(s.files) == 0:
		return "push", false
	}
	for _, preferred := range []string{"push", "pull_request", "workflow_dispatch"} {
		if slices.ContainsFunc(p.Triggers, func(t pipeline.Trigger) bool { return t.Event == preferred }) {
			return preferred, true
		}
	}
	if len(p.Triggers) > 0 {
		return p.Triggers[0].Event, true
	}
	return "push", true
}

// consider decides on one workflow.
func (s *selection) consider(ctx context.Context, c *chosen, p *pipeline.Pipeline, inputs, extra *pipeline.Map) error {
	event, forced := s.eventFor(p)
	run, err := c.newRun(ctx, s, p, event, extra)
	if err != nil {
		return err
	}
	// First the payload: an event file decides what filters see.
	run.Event.Payload = githubactions.Payload(run, event, extra)
	if ok, reason := githubactions.Select(p, run); !ok && !forced {
		c.notStarted = append(c.notStarted, notStarted{p.File, p.Name, reason})
		return nil
	}
	st := started{pipeline: p, run: run}
	declared := declaredInputs(p, event)
	if declared == nil && inputs.Len() > 0 {
		return usagef("--input: %s has no inputs for the event %s", p.File, event)
	}
	st.inputs, err = pipeline.BindInputs(declared, givenInputs(inputs, extra), &pipeline.Scope{Run: run, Vars: c.vars})
	if err != nil {
		return fmt.Errorf("%s: %w", p.File, err)
	}
	if event == "workflow_dispatch" {
		// The payload has all inputs as text; the inputs context has them typed.
		texts := pipeline.NewMap()
		for k, v := range st.inputs.Strings() {
			texts.Set(k, v)
		}
		run.Event.Payload.Set("inputs", texts)
	}
	c.started = append(c.started, st)
	return nil
}

// declaredInputs are those that the event gives values to; nil where it has none.
func declaredInputs(p *pipeline.Pipeline, event string) []pipeline.Input {
	if event == "workflow_call" {
		return p.Inputs
	}
	for _, t := range p.Triggers {
		if t.Event == event && event == "workflow_dispatch" {
			return append([]pipeline.Input{}, t.Inputs...)
		}
	}
	return nil
}

// givenInputs are those of flags, then those of the event's file.
func givenInputs(flags, extra *pipeline.Map) pipeline.Object {
	v, _ := extra.Get("inputs")
	file, ok := v.(*pipeline.Map)
	if !ok {
		return flags
	}
	all := file.Clone()
	all.Merge(flags)
	return all
}

// readEventFile reads a payload; without a file it is empty.
func readEventFile(file string) (*pipeline.Map, error) {
	if file == "" {
		return pipeline.NewMap(), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	v, err := pipeline.DecodeJSON(content)
	if err != nil {
		return nil, fmt.Errorf("read the event: %s: %w", file, err)
	}
	m, ok := v.(*pipeline.Map)
	if !ok {
		return nil, fmt.Errorf("read the event: %s: expected a JSON object", file)
	}
	return m, nil
}

// keepJobs narrows the workflows to those that have one of the jobs asked for.
func (s *selection) keepJobs(c *chosen) error {
	if len(s.jobs) == 0 {
		return nil
	}
	var known []string
	found := map[string]bool{}
	var kept []started
	for _, st := range c.started {
		for _, j := range st.pipeline.Jobs {
			known = append(known, j.Key)
			for _, want := range s.jobs {
				if strings.EqualFold(want, j.Key) {
					found[want] = true
					st.jobs = append(st.jobs, j.Key)
				}
			}
		}
		if st.jobs != nil {
			kept = append(kept, st)
		} else {
			c.notStarted = append(c.notStarted, notStarted{st.pipeline.File, st.pipeline.Name, "it has none of the jobs asked for"})
		}
	}
	var errs []error
	for _, want := range s.jobs {
		if !found[want] {
			errs = append(errs, s.unknownJob(c, want, known))
		}
	}
	c.started = kept
	return errors.Join(errs...)
}

func (s *selection) unknownJob(c *chosen, want string, known []string) error {
	slices.Sort(known)
	known = slices.Compact(known)
	switch {
	case len(c.started) == 0 && len(c.notStarted) > 0:
		n := c.notStarted[0]
		return fmt.Errorf("--job %s: no workflow is started; %s: %s (--file runs a workflow whatever its filters say)", want, n.File, n.Reason)
	case len(c.notStarted) > 0:
		return fmt.Errorf("--job %s: no workflow that is started has this job, there are: %s (--file runs a workflow that the event does not start)", want, strings.Join(known, ", "))
	}
	return fmt.Errorf("--job %s: there is no such job, there are: %s", want, cmp.Or(strings.Join(known, ", "), "none"))
}
