package docker

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/shlex"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// Where a step's own container sees the job's folders, as GitHub's runner has it.
const (
	stepWork     = "/github/workspace"
	stepHome     = "/github/home"
	stepWorkflow = "/github/workflow"
	stepTemp     = "/github/runner_temp"
	stepTools    = "/opt/hostedtoolcache"
)

// RunContainer implements [runner.ContainerEngine]. The workspace may be any whose folders this machine sees. The container
// joins the network of the job where it has one. Variables that the workspace's own processes start with (PATH and such) are
// left to the image, unless the job has changed them; HOME is /github/home.
func (e *Engine) RunContainer(ctx context.Context, ws runner.Workspace, c runner.ContainerRun, cmd runner.Command, stdio runner.Stdio) (runner.Exit, error) {
	if ctx.Err() != nil {
		return runner.Exit{Code: 130, Reason: "cancelled before it started", Cancelled: true}, nil
	}
	cs, err := e.stepSpec(ws, c)
	if err != nil {
		return runner.Exit{}, err
	}
	say := func(line string) {
		if stdio.Out != nil {
			_, _ = fmt.Fprintln(stdio.Out, line)
		}
	}
	if c.Image == "" {
		cs.config.Image, err = e.build(ctx, ws, c.Build, c.Dockerfile, say)
	} else {
		_, err = e.ensureImage(ctx, cs.config.Image, cs, credentials{}, say)
	}
	if err != nil {
		if ctx.Err() != nil {
			return runner.Exit{Code: 130, Reason: "cancelled before it started", Cancelled: true}, nil
		}
		return runner.Exit{}, err
	}
	labels, net := map[string]string{LabelOwner: e.owner.name}, networkOf(ws)
	if w, ok := ws.(*workspace); ok {
		labels = w.services.labels
	}
	// From here on the container is stopped by signals, and removed whatever happens.
	calls := context.WithoutCancel(ctx)
	id, err := e.create(calls, cs, labels, net, say)
	if err != nil {
		return runner.Exit{}, err
	}
	exit, err := e.runToEnd(ctx, calls, id, cmd, stdio)
	clean, stop := cleanupContext(ctx)
	defer stop()
	return exit, errors.Join(err, e.removeContainer(clean, id))
}

// stepSpec is the container of a step: where the folders are mounted, and the environment and arguments as seen from there.
func (e *Engine) stepSpec(ws runner.Workspace, c runner.ContainerRun) (*createSpec, error) {
	m := ws.Machine()
	cs := &createSpec{}
	var moves []mounted
	for _, f := range []mounted{{m.Workspace, stepWork}, {m.Home, stepHome}, {path.Dir(m.EventFile), stepWorkflow}, {m.Temp, stepTemp}, {m.Tools, stepTools}} {
		if f.host == "" || f.host == "." {
			continue
		}
		host, ok := ws.HostPath(f.host)
		if !ok {
			return nil, fmt.Errorf("run a container: this machine does not see the job's folder %s, so that it cannot be mounted", f.host)
		}
		// A home that is the user's own is not a job's folder.
		if f.inside == stepHome && slices.ContainsFunc([]string{m.Workspace, m.Temp, m.Tools}, func(d string) bool {
			_, inside := below(filepath.ToSlash(f.host), filepath.ToSlash(d), "/")
			return inside
		}) {
			continue
		}
		cs.host.Binds = append(cs.host.Binds, host+":"+f.inside)
		moves = append(moves, mounted{f.host, f.inside})
	}
	if e.socket != "" && !e.o.NoSocket {
		cs.host.Binds = append(cs.host.Binds, e.socket+":"+inSocket)
	}
	cs.config.Image = strings.TrimPrefix(c.Image, "docker://")
	cs.config.WorkingDir = stepWork
	if c.Entrypoint != "" {
		words, err := shlex.Split(c.Entrypoint)
		if err != nil {
			return nil, fmt.Errorf("entrypoint %q: %w", c.Entrypoint, err)
		}
		cs.config.Entrypoint = words
	}
	for _, a := range c.Args {
		cs.config.Cmd = append(cs.config.Cmd, rewritePaths(a, moves))
	}
	cs.config.Env = envList(append(stepEnv(ws.Environ(), c.Env, moves), pipeline.EnvVar{Name: "HOME", Value: stepHome}))
	return cs, nil
}

// stepEnv leaves out what is as the machine has it.
func stepEnv(machine, env []pipeline.EnvVar, moves []mounted) []pipeline.EnvVar {
	same := make(map[pipeline.EnvVar]bool, len(machine))
	for _, v := range machine {
		same[v] = true
	}
	var out []pipeline.EnvVar
	for _, v := range env {
		if same[v] || v.Name == "PATH" || v.Name == "HOME" {
			continue
		}
		v.Value = rewritePaths(v.Value, moves)
		out = append(out, v)
	}
	return out
}

// networkOf is the network of a job's containers; empty: it has none.
func networkOf(ws runner.Workspace) string {
	if c := ws.Container(); c != nil && c.Network != "" {
		return c.Network
	}
	for _, s := range ws.Services() {
		if s.Network != "" {
			return s.Network
		}
	}
	return ""
}

// runToEnd starts a container, hands on its output, and stops it where it has to.
func (e *Engine) runToEnd(ctx, calls context.Context, id string, cmd runner.Command, stdio runner.Stdio) (runner.Exit, error) {
	conn, err := e.api.ContainerAttach(calls, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return runner.Exit{}, fmt.Errorf("connect to the container: %w", err)
	}
	defer conn.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if out := newOutput(stdio.Out, false); stdio.Out != nil {
			_, _ = stdcopy.StdCopy(out, out, conn.Reader)
		} else {
			_, _ = stdcopy.StdCopy(&limitedBuffer{}, &limitedBuffer{}, conn.Reader)
		}
	}()
	waits, stop := context.WithCancel(calls)
	defer stop()
	wait := e.api.ContainerWait(waits, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := e.api.ContainerStart(calls, id, client.ContainerStartOptions{}); err != nil {
		if programMissing(err) {
			return runner.Exit{Code: 127, Reason: err.Error()}, nil
		}
		return runner.Exit{}, fmt.Errorf("start the container: %w", err)
	}
	exit := runner.Exit{}
	done, kill := ctx.Done(), cmd.Kill
	var next <-chan time.Time
	signal := ""
	send := func(name string, wait time.Duration) {
		signal = name
		// It may have ended by itself: then its end is what counts.
		_, _ = e.api.ContainerKill(calls, id, client.ContainerKillOptions{Signal: "SIG" + name})
		next = time.After(wait)
	}
	for {
		select {
		case r := <-wait.Result:
			<-ended
			exit.Code = int(r.StatusCode)
			if signal == "KILL" && exit.Code == 137 {
				exit.Reason = "killed by SIGKILL"
			}
			if r.Error != nil && r.Error.Message != "" {
				return exit, fmt.Errorf("wait for the container: %s", r.Error.Message)
			}
			return exit, nil
		case err := <-wait.Error:
			return exit, fmt.Errorf("wait for the container: %w", err)
		case <-done:
			done, exit.Cancelled = nil, true
			send("INT", cmd.Interrupt)
		case <-kill:
			kill, done, exit.Cancelled = nil, nil, true
			send("KILL", killWait)
		case <-next:
			switch signal {
			case "INT":
				send("TERM", cmd.Terminate)
			case "TERM":
				send("KILL", killWait)
			default:
				return exit, errors.New("the container did not end after SIGKILL")
			}
		}
	}
}
