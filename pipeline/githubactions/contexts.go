package githubactions

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/shlex"

	"github.com/gantry-ops/gantry/pipeline"
)

// splitCommand takes a command line apart as a shell would.
func splitCommand(s string) ([]string, error) {
	argv, err := shlex.Split(s)
	if err == nil && len(argv) == 0 {
		err = fmt.Errorf("the command is empty")
	}
	return argv, err
}

// contexts presents a scope as the contexts of the expression language. Nothing is made before it is asked for.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts
type contexts struct{ scope *pipeline.Scope }

func newContexts(s *pipeline.Scope) contexts { return contexts{s} }

// Context returns a context by its name in any case.
func (c contexts) Context(name string) (pipeline.Data, bool) {
	s := c.scope
	switch strings.ToLower(name) {
	case "github":
		return githubContext{s}, true
	case "env":
		return orEmpty(s.Env, s.Planning && s.Env == nil), true
	case "vars":
		return orEmpty(s.Vars, false), true
	case "inputs":
		return orEmpty(s.Inputs, false), true
	case "matrix":
		return orEmpty(s.Matrix, false), true
	case "secrets":
		return secretsContext{s}, true
	case "strategy":
		return strategyContext(s.Strategy), true
	case "needs":
		return needsContext{s}, true
	case "jobs":
		return jobsContext{s}, true
	case "steps":
		if s.Planning {
			return pipeline.Unknown, true
		}
		return stepsContext{s}, true
	case "runner":
		return runnerContext{s}, true
	case "job":
		if s.Planning {
			return pipeline.Unknown, true
		}
		return jobContext(s), true
	}
	return nil, false
}

// orEmpty makes a mapping of nothing, so that members of it are null.
func orEmpty(o pipeline.Object, unknown bool) pipeline.Data {
	switch {
	case unknown:
		return pipeline.Unknown
	case o == nil:
		return (*pipeline.Map)(nil)
	}
	return o
}

// lazy is a context whose members are made one by one.
func lazy(keys []string, get func(string) (pipeline.Data, bool), key string) (pipeline.Data, bool) {
	for _, k := range keys {
		if strings.EqualFold(k, key) {
			return get(k)
		}
	}
	return nil, false
}

// githubContext is the github context.
type githubContext struct{ s *pipeline.Scope }

var githubKeys = []string{"token", "job", "ref", "sha", "repository", "repository_owner", "repository_owner_id", "repositoryUrl", "run_id",
	"run_number", "retention_days", "run_attempt", "artifact_cache_size_limit", "repository_visibility", "actor_id", "actor", "triggering_actor",
	"workflow", "head_ref", "base_ref", "event_name", "event", "server_url", "api_url", "graphql_url", "ref_name", "ref_protected", "ref_type",
	"secret_source", "workflow_ref", "workflow_sha", "repository_id", "workspace", "event_path", "path", "env", "output", "state", "step_summary",
	"action", "action_path", "action_ref", "action_repository", "action_status"}

// Keys implements pipeline.Object. Members of an action are there only inside of one.
func (g githubContext) Keys() []string {
	keys := githubKeys[:len(githubKeys)-5]
	if g.s.StepID != "" {
		keys = append(keys[:len(keys):len(keys)], "action")
	}
	if g.s.Action != nil {
		keys = append(keys[:len(keys):len(keys)], "action_path", "action_ref", "action_repository", "action_status")
	}
	return keys
}

// Get implements pipeline.Object.
func (g githubContext) Get(key string) (pipeline.Data, bool) { return lazy(githubKeys, g.get, key) }

func (g githubContext) get(key string) (pipeline.Data, bool) {
	s, r := g.s, g.s.Run
	if r == nil {
		return pipeline.Unknown, s.Planning
	}
	machine := func(v string) (pipeline.Data, bool) {
		if s.Planning {
			return pipeline.Unknown, true
		}
		return v, true
	}
	switch key {
	case "token":
		return r.Token, true
	case "job":
		if s.Job == nil {
			return nil, false
		}
		return s.Job.Key, true
	case "ref":
		return r.Change.Ref, true
	case "sha":
		return r.Change.SHA, true
	case "repository":
		return r.Repository.FullName(), true
	case "repository_owner":
		return r.Repository.Owner, true
	case "repository_owner_id":
		return identifier(r.Repository.Owner), true
	case "repository_id":
		return identifier(r.Repository.FullName()), true
	case "repositoryUrl":
		server, _, _ := forgeURLs(r.Repository.Server)
		return strings.Replace(server, "https://", "git://", 1) + "/" + r.Repository.FullName() + ".git", true
	case "repository_visibility":
		if r.Repository.Private {
			return "private", true
		}
		return "public", true
	case "artifact_cache_size_limit":
		return 10.0, true
	case "run_id":
		return r.ID, true
	case "run_number":
		return strconv.Itoa(r.Number), true
	case "run_attempt":
		return strconv.Itoa(r.Attempt), true
	case "retention_days":
		return retentionDays, true
	case "actor", "triggering_actor":
		return r.Actor, true
	case "actor_id":
		return identifier(r.Actor), true
	case "workflow":
		return r.Pipeline, true
	case "workflow_ref":
		return workflowRef(r), true
	case "workflow_sha":
		return r.Change.SHA, true
	case "head_ref":
		return pullRequestBranch(r, r.Change.Head), true
	case "base_ref":
		return pullRequestBranch(r, r.Change.Base), true
	case "event_name":
		return r.Event.Name, true
	case "event":
		return r.Event.Payload, true
	case "server_url", "api_url", "graphql_url":
		server, api, graphql := forgeURLs(r.Repository.Server)
		return map[string]string{"server_url": server, "api_url": api, "graphql_url": graphql}[key], true
	case "ref_name":
		name, _ := refParts(r.Change)
		return name, true
	case "ref_type":
		_, kind := refParts(r.Change)
		return kind, true
	case "ref_protected":
		return false, true
	case "secret_source":
		if strings.HasPrefix(r.Event.Name, "pull_request") && r.Token == "" {
			return "None", true
		}
		return "Actions", true
	case "workspace":
		return machine(s.Machine.Workspace)
	case "event_path":
		return machine(s.Machine.EventFile)
	case "path", "env", "output", "state", "step_summary":
		// The files are a process's own, and known when it starts.
		if s.Planning {
			return pipeline.Unknown, true
		}
		return nil, false
	case "action":
		return s.StepID, true
	case "action_status":
		return string(s.Current), true
	}
	if s.Action == nil {
		return nil, false
	}
	switch key {
	case "action_path":
		return machine(s.Action.Path)
	case "action_ref":
		return s.Action.Ref, true
	case "action_repository":
		return s.Action.Repository, true
	}
	return nil, false
}

// secretsContext is the secrets context: those given, and the token of the run.
type secretsContext struct{ s *pipeline.Scope }

const tokenSecret = "GITHUB_TOKEN"

// Get implements pipeline.Object.
func (c secretsContext) Get(key string) (pipeline.Data, bool) {
	if c.s.Secrets != nil {
		if v, ok := c.s.Secrets.Get(key); ok {
			return v, true
		}
	}
	if strings.EqualFold(key, tokenSecret) && c.s.Run != nil && c.s.Run.Token != "" {
		return c.s.Run.Token, true
	}
	return nil, false
}

// Keys implements pipeline.Object.
func (c secretsContext) Keys() []string {
	var keys []string
	has := false
	if c.s.Secrets != nil {
		keys = c.s.Secrets.Keys()
		_, has = c.s.Secrets.Get(tokenSecret)
	}
	if !has && c.s.Run != nil && c.s.Run.Token != "" {
		keys = append(keys[:len(keys):len(keys)], tokenSecret)
	}
	return keys
}

func strategyContext(st pipeline.StrategyScope) *pipeline.Map {
	return pipeline.NewMap("fail-fast", st.FailFast, "job-index", float64(st.Index), "job-total", float64(max(st.Total, 1)), "max-parallel", float64(max(st.MaxParallel, 1)))
}

// needsContext holds the jobs that the job needs itself.
type needsContext struct{ s *pipeline.Scope }

// Get implements pipeline.Object.
func (c needsContext) Get(key string) (pipeline.Data, bool) {
	for _, r := range c.s.Upstream {
		if r.Direct && strings.EqualFold(r.Key, key) {
			return resultObject(r, c.s.Planning), true
		}
	}
	if c.s.Planning {
		return pipeline.Unknown, true
	}
	return nil, false
}

// Keys implements pipeline.Object.
func (c needsContext) Keys() []string {
	var keys []string
	for _, r := range c.s.Upstream {
		if r.Direct {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

func resultObject(r pipeline.Result, planning bool) *pipeline.Map {
	if planning && r.Status != pipeline.Skipped {
		return pipeline.NewMap("result", pipeline.Unknown, "outputs", pipeline.Unknown)
	}
	outputs := r.Outputs
	if outputs == nil {
		outputs = pipeline.NewMap()
	}
	return pipeline.NewMap("result", string(r.Status), "outputs", outputs)
}

// jobsContext is there for the outputs of a called workflow.
type jobsContext struct{ s *pipeline.Scope }

// Get implements pipeline.Object.
func (c jobsContext) Get(key string) (pipeline.Data, bool) {
	for _, r := range c.s.Jobs {
		if strings.EqualFold(r.Key, key) {
			return resultObject(r, c.s.Planning), true
		}
	}
	return nil, false
}

// Keys implements pipeline.Object.
func (c jobsContext) Keys() []string {
	var keys []string
	for _, r := range c.s.Jobs {
		keys = append(keys, r.Key)
	}
	return keys
}

type stepsContext struct{ s *pipeline.Scope }

// Get implements pipeline.Object.
func (c stepsContext) Get(key string) (pipeline.Data, bool) {
	if c.s.Steps == nil {
		return nil, false
	}
	r, ok := c.s.Steps.Lookup(key)
	if !ok {
		return nil, false
	}
	outputs := r.Outputs
	if outputs == nil {
		outputs = pipeline.NewMap()
	}
	return pipeline.NewMap("outputs", outputs, "outcome", string(r.Outcome), "conclusion", string(r.Conclusion)), true
}

// Keys implements pipeline.Object. IDs that were made up, because the file has none, are not shown.
func (c stepsContext) Keys() []string {
	if c.s.Steps == nil {
		return nil
	}
	var keys []string
	for _, id := range c.s.Steps.IDs() {
		if !strings.HasPrefix(id, "__") {
			keys = append(keys, id)
		}
	}
	return keys
}

type runnerContext struct{ s *pipeline.Scope }

var runnerKeys = []string{"name", "os", "arch", "temp", "tool_cache", "environment", "workspace", "debug"}

// Keys implements pipeline.Object.
func (c runnerContext) Keys() []string {
	if c.s.Run == nil || !c.s.Run.Debug {
		return runnerKeys[:len(runnerKeys)-1]
	}
	return runnerKeys
}

// Get implements pipeline.Object.
func (c runnerContext) Get(key string) (pipeline.Data, bool) { return lazy(runnerKeys, c.get, key) }

func (c runnerContext) get(key string) (pipeline.Data, bool) {
	switch key {
	case "environment":
		return runnerEnvironment, true
	case "debug":
		if c.s.Run != nil && c.s.Run.Debug {
			return "1", true
		}
		return nil, false
	}
	if c.s.Planning {
		return pipeline.Unknown, true
	}
	m := c.s.Machine
	return map[string]string{"name": m.Name, "os": m.OS, "arch": m.Arch, "temp": m.Temp, "tool_cache": m.Tools, "workspace": parent(m.Workspace)}[key], true
}

func jobContext(s *pipeline.Scope) *pipeline.Map {
	status := string(s.Current)
	if status == "" {
		status = string(pipeline.Success)
	}
	m := pipeline.NewMap("status", status)
	if s.Job == nil {
		return m
	}
	if s.Run != nil {
		m.Set("check_run_id", numberOf(s.Run.ID+"/"+s.Job.ID))
	}
	if c := s.Job.Container; c != nil {
		m.Set("container", pipeline.NewMap("id", c.ID, "network", c.Network))
	}
	services := pipeline.NewMap()
	for _, name := range slices.Sorted(maps.Keys(s.Job.Services)) {
		c, ports := s.Job.Services[name], pipeline.NewMap()
		for _, from := range slices.Sorted(maps.Keys(c.Ports)) {
			ports.Set(from, c.Ports[from])
		}
		services.Set(name, pipeline.NewMap("id", c.ID, "network", c.Network, "ports", ports))
	}
	m.Set("services", services)
	return m
}
