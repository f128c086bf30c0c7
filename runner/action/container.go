package action

import (
	"context"
	"net"
	"path"
	"strings"

	"github.com/google/shlex"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// runContainer runs a container action's main program and registers its post step.
func (j *jobActions) runContainer(ctx context.Context, step runner.StepContext, a *action, runs *pipeline.ContainerAction, in inputs) (pipeline.Status, error) {
	if runs.PostEntrypoint != "" {
		step.After(runner.Hook{
			Step: step.Step(), Name: "Post " + nameOf(step.Step()), If: runs.PostIf,
			Run: func(ctx context.Context, post runner.StepContext) (pipeline.Status, error) {
				return j.container(ctx, post.WithAction(a.scope, in.object), a, runs, runs.PostEntrypoint, in)
			},
		})
	}
	entrypoint := runs.Entrypoint
	if entrypoint == "" {
		entrypoint = in.text("entrypoint")
	}
	return j.container(ctx, step, a, runs, entrypoint, in)
}

// container runs one program of a container action. The action's own args are evaluated with its inputs; an action
// without any takes the step's input "args", as the vendor does.
func (j *jobActions) container(ctx context.Context, step runner.StepContext, a *action, runs *pipeline.ContainerAction, entrypoint string, in inputs) (pipeline.Status, error) {
	scope := step.Scope()
	c := runner.ContainerRun{Entrypoint: entrypoint}
	if image, ok := strings.CutPrefix(runs.Image, "docker://"); ok {
		c.Image = image
	} else {
		file := path.Join(a.scope.Path, runs.Image)
		c.Build, c.Dockerfile = path.Dir(file), path.Base(file)
	}
	for _, v := range runs.Args {
		arg, err := v.Text(scope)
		if err != nil {
			return step.Fail("%v", err)
		}
		c.Args = append(c.Args, arg)
	}
	if len(runs.Args) == 0 {
		args, err := shlex.Split(in.text("args"))
		if err != nil {
			return step.Fail("args of %s: %v", a.ref.text, err)
		}
		c.Args = args
	}
	env, err := runs.Env.Object(scope)
	if err != nil {
		return step.Fail("%v", err)
	}
	for _, k := range env.Keys() {
		v, _ := env.Get(k)
		c.Env = append(c.Env, pipeline.EnvVar{Name: k, Value: pipeline.Text(v)})
	}
	runtime, err := j.runtime(true)
	if err != nil {
		return step.Fail("start the artifact and cache services: %v", err)
	}
	c.Env = append(append(append(c.Env, in.environ()...), runtime...), j.state(step)...)
	exit, err := step.Container(ctx, c)
	if err != nil {
		if ctx.Err() != nil {
			return pipeline.Cancelled, nil
		}
		return step.Fail("%s: %v", a.ref.text, err)
	}
	return statusOf(exit), nil
}

// containerHost returns the address by which containers reach this machine.
func (r *Runner) containerHost() string {
	if r.o.ContainerHost != "" {
		return r.o.ContainerHost
	}
	bridge, err := net.InterfaceByName("docker0")
	if err != nil {
		return ""
	}
	addresses, err := bridge.Addrs()
	if err != nil {
		return ""
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}
