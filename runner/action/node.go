package action

import (
	"bytes"
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// runNode runs a JavaScript action's main program and registers its post step.
func (j *jobActions) runNode(ctx context.Context, step runner.StepContext, a *action, runs *pipeline.NodeAction, in inputs) (pipeline.Status, error) {
	if runs.Post != "" {
		step.After(runner.Hook{
			Step: step.Step(), Name: "Post " + nameOf(step.Step()), If: runs.PostIf,
			Run: func(ctx context.Context, post runner.StepContext) (pipeline.Status, error) {
				return j.node(ctx, post.WithAction(a.scope, in.object), a, runs, runs.Post, in)
			},
		})
	}
	return j.node(ctx, step, a, runs, runs.Main, in)
}

// node runs one program of a JavaScript action.
func (j *jobActions) node(ctx context.Context, step runner.StepContext, a *action, runs *pipeline.NodeAction, program string, in inputs) (pipeline.Status, error) {
	if program == "" {
		return step.Fail("%s names no main program", a.file)
	}
	env := step.Environ(nil)
	node, ok := j.job.Workspace().LookPath(ctx, "node", valueOf(env, "PATH"))
	if !ok {
		return step.Fail("%s is a JavaScript action and needs node on PATH; install Node.js %s or newer", a.ref.text, wantedNode(runs.Using))
	}
	runtime, err := j.runtime(j.job.Workspace().Container() != nil)
	if err != nil {
		return step.Fail("start the artifact and cache services: %v", err)
	}
	// Asking node for its version takes as long as a small action: at the same time, and once for each program.
	version := make(chan string, 1)
	go func() { version <- j.nodeVersion(ctx, node, env) }()
	extra := append(in.environ(), runtime...)
	exit, err := step.Exec(ctx, []string{node, path.Join(a.scope.Path, program)}, "", append(extra, j.state(step)...))
	have := <-version
	if err != nil {
		return pipeline.Failure, err
	}
	if want := wantedNode(runs.Using); major(have) > 0 && major(have) < major(want) {
		warn(step, "%s asks for Node.js %s, and node on PATH is %s", a.ref.text, want, have)
	}
	return statusOf(exit), nil
}

// wantedNode is the version in a `using` such as "node20".
func wantedNode(using string) string { return strings.TrimPrefix(strings.ToLower(using), "node") }

// nodeVersion asks node for its version, such as "v20.1.0"; empty where it does not say.
func (j *jobActions) nodeVersion(ctx context.Context, node string, env []pipeline.EnvVar) string {
	key := node
	if c := j.job.Workspace().Container(); c != nil {
		key = c.ID + ":" + node
	}
	if v, ok := j.nodeVersions.Load(key); ok {
		return v.(string)
	}
	v := j.output(ctx, env, node, "--version")
	j.nodeVersions.Store(key, v)
	return v
}

// output runs a program in the job, out of sight, and returns what it prints; empty where it fails.
func (j *jobActions) output(ctx context.Context, env []pipeline.EnvVar, argv ...string) string {
	var out bytes.Buffer
	ws := j.job.Workspace()
	exit, err := ws.Exec(ctx, runner.Command{Argv: argv, Dir: ws.Machine().Workspace, Env: env}, runner.Stdio{Out: &out})
	if err != nil || exit.Code != 0 {
		return ""
	}
	return strings.TrimSpace(out.String())
}

func major(version string) int {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(version), "v"), ".")
	n, _ := strconv.Atoi(first)
	return n
}

// valueOf returns a variable's value.
func valueOf(env []pipeline.EnvVar, name string) string {
	for _, v := range env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// runtime returns the variables by which actions find the artifact and cache services, which it starts when it is first
// asked.
func (j *jobActions) runtime(inContainer bool) ([]pipeline.EnvVar, error) {
	if j.o.Artifacts == nil && j.o.Caches == nil {
		return nil, nil
	}
	host := ""
	if inContainer {
		if host = j.containerHost(); host == "" {
			return nil, nil
		}
	}
	s, err := j.server()
	if err != nil {
		return nil, err
	}
	url := s.URL()
	if inContainer {
		if url, err = s.Listen(host); err != nil {
			return nil, err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.token == "" {
		scope := j.job.Scope()
		j.token = s.Token(scope.Run.ID, j.job.ID(), scope.Run.Repository.FullName())
		j.job.Mask(j.token)
	}
	return []pipeline.EnvVar{
		{Name: "ACTIONS_RUNTIME_URL", Value: url},
		{Name: "ACTIONS_RUNTIME_TOKEN", Value: j.token},
		{Name: "ACTIONS_RESULTS_URL", Value: url},
		{Name: "ACTIONS_CACHE_URL", Value: url},
		{Name: "ACTIONS_CACHE_SERVICE_V2", Value: "True"},
	}, nil
}
