package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/google/shlex"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
)

// fromSpec turns what a file asks for into the API's terms.
func fromSpec(r role, s *pipeline.ContainerSpec) (*createSpec, error) {
	c := &createSpec{}
	if err := parseOptions(r, s.Options, c); err != nil {
		return nil, err
	}
	c.config.Image = s.Image
	if r == forJob && (s.Entrypoint != "" || s.Command != "") {
		return nil, errors.New("entrypoint and command are not supported for a job's container: it is kept up by a command of its own")
	}
	for _, l := range []struct {
		what, line string
		to         *[]string
	}{{"entrypoint", s.Entrypoint, &c.config.Entrypoint}, {"command", s.Command, &c.config.Cmd}} {
		if l.line == "" {
			continue
		}
		words, err := shlex.Split(l.line)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", l.what, l.line, err)
		}
		*l.to = words
	}
	env := make([]string, 0, len(s.Env)+len(c.config.Env))
	for _, v := range s.Env {
		env = append(env, v.Name+"="+v.Value)
	}
	c.config.Env = append(env, c.config.Env...)
	for _, p := range s.Ports {
		if err := c.publish(p); err != nil {
			return nil, err
		}
	}
	for _, v := range s.Volumes {
		if err := c.mount(v); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// labels mark what is made for a job.
func (e *Engine) labels(run, job string) map[string]string {
	return map[string]string{LabelRun: run, LabelJob: job, LabelOwner: e.owner.name}
}

// create makes a container in a network, whose aliases are added to those asked for.
func (e *Engine) create(ctx context.Context, c *createSpec, labels map[string]string, net string, log func(string)) (id string, err error) {
	platform, err := parsePlatform(c.platform)
	if err != nil {
		return "", err
	}
	if c.config.Labels == nil {
		c.config.Labels = map[string]string{}
	}
	maps.Copy(c.config.Labels, labels)
	o := client.ContainerCreateOptions{Config: &c.config, HostConfig: &c.host, Platform: platform, Name: c.name}
	if net != "" {
		c.host.NetworkMode = container.NetworkMode(net)
		o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{net: &c.endpoint}}
	}
	got, err := e.api.ContainerCreate(ctx, o)
	if err != nil {
		return "", fmt.Errorf("create a container of image %q: %w", c.config.Image, err)
	}
	for _, w := range got.Warnings {
		log("Warning of the Docker engine: " + w)
	}
	return got.ID, nil
}

func (e *Engine) removeContainer(ctx context.Context, id string) error {
	_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	// A conflict is a removal that is already under way.
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("remove container %.12s: %w", id, err)
}

func (e *Engine) removeNetwork(ctx context.Context, id string) error {
	_, err := e.api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("remove network %.12s: %w", id, err)
}

// tail returns the last lines that a container printed.
func (e *Engine) tail(ctx context.Context, id string, tty bool, lines int) []string {
	r, err := e.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(lines)})
	if err != nil {
		return nil
	}
	defer r.Close()
	var b strings.Builder
	if tty {
		_, err = io.Copy(&b, io.LimitReader(r, 1<<20))
	} else {
		_, err = stdcopy.StdCopy(&b, &b, io.LimitReader(r, 1<<20))
	}
	text := strings.TrimRight(b.String(), "\r\n")
	if text == "" {
		return nil
	}
	all := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	return all[max(0, len(all)-lines):]
}

// envList is an environment as the API takes it; the last of two with one name wins.
func envList(vars []pipeline.EnvVar) []string {
	out := make([]string, 0, len(vars))
	at := make(map[string]int, len(vars))
	for _, v := range vars {
		if i, ok := at[v.Name]; ok {
			out[i] = v.Name + "=" + v.Value
			continue
		}
		at[v.Name] = len(out)
		out = append(out, v.Name+"="+v.Value)
	}
	return out
}

// envVars is the reverse of envList.
func envVars(list []string) []pipeline.EnvVar {
	out := make([]pipeline.EnvVar, 0, len(list))
	at := map[string]int{}
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			continue // a name alone removes a variable of the image
		}
		if i, ok := at[k]; ok {
			out[i].Value = v
			continue
		}
		at[k] = len(out)
		out = append(out, pipeline.EnvVar{Name: k, Value: v})
	}
	return slices.Clip(out)
}

func lookupEnv(vars []pipeline.EnvVar, name string) string {
	for _, v := range slices.Backward(vars) {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}
