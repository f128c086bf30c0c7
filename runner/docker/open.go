package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// defaultPath is what a process finds programs by where an image says nothing, as Docker has it.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// keepAlive are the commands that keep a job's container up, tried in this order: an image may lack a program. The first is
// what GitHub's runner uses; the second needs nothing but a shell, which waits at a standard input that never ends.
var keepAlive = [][]string{
	{"tail", "-f", "/dev/null"},
	{"/bin/sh", "-c", "read line"},
	{"sh", "-c", "read line"},
}

// Open implements [runner.Executor]. A job without a container runs in the image that the options have for its labels.
func (e *Engine) Open(ctx context.Context, spec runner.JobSpec) (runner.Workspace, error) {
	asked := spec.Container
	if asked == nil {
		image, err := e.imageFor(spec.RunsOn)
		if err != nil {
			return nil, err
		}
		asked = &pipeline.ContainerSpec{Image: image}
	}
	c, err := fromSpec(forJob, asked)
	if err != nil {
		return nil, fmt.Errorf("container %q: %w", asked.Image, err)
	}
	l, err := makeLayout(e.owner.dir, spec.Repository, spec.InPlace)
	if err != nil {
		return nil, fmt.Errorf("make the job's folders: %w", err)
	}
	w := &workspace{e: e, layout: l, log: logOf(spec), inPlace: spec.InPlace, found: map[lookup]string{}}
	w.services = &ServiceSet{e: e, labels: e.labels(spec.RunID, spec.JobID), facts: map[string]pipeline.RunningContainer{}, log: w.log}
	w.lives, w.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := w.open(ctx, spec, asked, c); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		clean, stop := cleanupContext(ctx)
		defer stop()
		return nil, errors.Join(err, w.Close(clean))
	}
	return w, nil
}

// imageFor finds the image of a job without a container.
func (e *Engine) imageFor(labels []string) (string, error) {
	for _, want := range labels {
		for label, image := range e.o.Images {
			if strings.EqualFold(want, label) {
				return image, nil
			}
		}
	}
	if e.o.Image != "" {
		return e.o.Image, nil
	}
	return "", fmt.Errorf("no image is configured for a machine with the labels %q (hint: name one with --image, or give the job a container)", labels)
}

func (w *workspace) open(ctx context.Context, spec runner.JobSpec, asked *pipeline.ContainerSpec, c *createSpec) error {
	e := w.e
	event := filepath.Join(w.layout.dir, "workflow", "event.json")
	if err := os.WriteFile(event, spec.EventFile, 0o644); err != nil {
		return fmt.Errorf("write the event's payload: %w", err)
	}
	// Services first: the job's container may rely on them from its start.
	if err := w.services.start(ctx, spec.Services); err != nil {
		return err
	}
	auth := credentials{asked.Username, asked.Password}
	img, err := e.ensureImage(ctx, asked.Image, c, auth, w.log)
	if err != nil {
		return err
	}
	c.host.Binds = append(w.layout.binds(), c.host.Binds...)
	if e.socket != "" && !e.o.NoSocket {
		c.host.Binds = append(c.host.Binds, e.socket+":"+inSocket)
	}
	c.config.Env = append(c.config.Env, "HOME="+inHome)
	if c.config.WorkingDir == "" {
		c.config.WorkingDir = w.layout.work
	}
	w.log(fmt.Sprintf("Starting the job's container (%s)", asked.Image))
	if err := w.keepUp(ctx, c); err != nil {
		return fmt.Errorf("container %q: %w", asked.Image, err)
	}
	got, err := e.api.ContainerInspect(ctx, w.id, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("container %q: look at it: %w", asked.Image, err)
	}
	w.facts = &pipeline.RunningContainer{ID: w.id, Network: w.services.network, Ports: map[string]string{}}
	if n := got.Container.NetworkSettings; n != nil {
		w.facts.Ports = publishedPorts(n.Ports)
	}
	if cfg := got.Container.Config; cfg != nil {
		w.environ = envVars(cfg.Env)
		w.user = cfg.User
	}
	if lookupEnv(w.environ, "PATH") == "" {
		w.environ = append(w.environ, pipeline.EnvVar{Name: "PATH", Value: defaultPath})
	}
	arch := e.arch
	if img.Architecture != "" {
		arch = archName(img.Architecture)
	}
	w.machine = pipeline.Machine{OS: "Linux", Arch: arch, Name: "docker", Labels: slices.Clone(spec.RunsOn), Workspace: w.layout.work,
		Temp: inTemp, Tools: inTools, Home: inHome, EventFile: path.Join(inWorkflow, "event.json")}
	if w.e.o.Name != "" {
		w.machine.Name = w.e.o.Name
	} else if host, err := os.Hostname(); err == nil {
		w.machine.Name = host
	}
	return w.probe(ctx)
}

// keepUp makes and starts the job's container with the first command that its image has.
func (w *workspace) keepUp(ctx context.Context, c *createSpec) error {
	c.config.Cmd = nil
	c.config.OpenStdin = true
	for _, argv := range keepAlive {
		c.config.Entrypoint, c.config.Cmd = argv[:1], argv[1:]
		id, err := w.e.create(ctx, c, w.services.labels, w.services.network, w.log)
		if err != nil {
			return err
		}
		w.id = id
		_, err = w.e.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
		if err == nil {
			return nil
		}
		if !programMissing(err) {
			return fmt.Errorf("start it: %w", err)
		}
		if err := w.e.removeContainer(ctx, id); err != nil {
			return err
		}
		w.id = ""
	}
	return errors.New("the image has neither tail nor sh, so that nothing keeps it up and no step could run in it")
}

// programMissing tells the engine's error for a program that an image does not have. The API has no code for it.
func programMissing(err error) bool {
	text := err.Error()
	return strings.Contains(text, "executable file not found") || strings.Contains(text, "no such file or directory") && strings.Contains(text, "exec")
}

// probe finds out what the container can do: whether it sees this machine's folders, and whether it has a shell.
func (w *workspace) probe(ctx context.Context) error {
	if _, err := w.e.api.ContainerStatPath(ctx, w.id, client.ContainerStatPathOptions{Path: w.machine.EventFile}); err != nil {
		return fmt.Errorf("the Docker engine at %s does not see the folders of this machine, which jobs need: %w (hint: use an engine of this machine, or set the folder for jobs to one that both see)", w.e.api.DaemonHost(), err)
	}
	w.shell, _ = w.LookPath(ctx, "sh", lookupEnv(w.environ, "PATH"))
	if w.shell == "" {
		w.shell, _ = w.LookPath(ctx, "sh", "/bin:/usr/bin")
	}
	return nil
}
