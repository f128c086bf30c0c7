package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

const (
	// healthFirst and healthMost bound the growing pause between two looks at a service that is not healthy yet.
	healthFirst = 100 * time.Millisecond
	healthMost  = 2 * time.Second
	// logTail is how many lines of a failed service are shown.
	logTail = 20
)

// ServiceSet are the services of a job and their network.
type ServiceSet struct {
	e       *Engine
	labels  map[string]string
	network string // its ID
	started []service
	facts   map[string]pipeline.RunningContainer
	log     func(string)
}

type service struct {
	name, id string
	tty      bool
}

// StartServices makes a network, starts spec.Services in it and returns when all of them are healthy. It serves executors
// that run the steps elsewhere: the steps reach a service by the ports that it publishes on this machine. When it fails,
// or ctx ends, nothing is left behind.
func (e *Engine) StartServices(ctx context.Context, spec runner.JobSpec) (*ServiceSet, error) {
	s := &ServiceSet{e: e, labels: e.labels(spec.RunID, spec.JobID), facts: map[string]pipeline.RunningContainer{}, log: logOf(spec)}
	if err := s.start(ctx, spec.Services); err != nil {
		return nil, s.abandon(ctx, err)
	}
	return s, nil
}

// logOf returns a log that can always be called.
func logOf(spec runner.JobSpec) func(string) {
	if spec.Log == nil {
		return func(string) {}
	}
	return spec.Log
}

// abandon cleans up after err, with a context of its own.
func (s *ServiceSet) abandon(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	clean, stop := cleanupContext(ctx)
	defer stop()
	return errors.Join(err, s.Close(clean))
}

// cleanupTime bounds the removal of what was made before a failure.
const cleanupTime = 30 * time.Second

func cleanupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
}

// Running returns the facts of the services by name. Ports maps a port of the container to that of this machine.
func (s *ServiceSet) Running() map[string]pipeline.RunningContainer { return maps.Clone(s.facts) }

// Network returns the ID of the services' network.
func (s *ServiceSet) Network() string { return s.network }

// Close removes the services, their anonymous volumes and the network.
func (s *ServiceSet) Close(ctx context.Context) error {
	var errs []error
	for _, v := range s.started {
		errs = append(errs, s.e.removeContainer(ctx, v.id))
	}
	if s.network != "" {
		errs = append(errs, s.e.removeNetwork(ctx, s.network))
	}
	return errors.Join(errs...)
}

func (s *ServiceSet) start(ctx context.Context, specs []runner.ServiceSpec) error {
	// What is wrong with the file is told before anything starts.
	creates := make([]*createSpec, len(specs))
	for i, spec := range specs {
		c, err := fromSpec(forService, &spec.ContainerSpec)
		if err != nil {
			return fmt.Errorf("service %q: %w", spec.Name, err)
		}
		c.endpoint.Aliases = append(c.endpoint.Aliases, spec.Name)
		creates[i] = c
	}
	net, err := s.e.api.NetworkCreate(ctx, "gantry-"+uuid.NewString(), client.NetworkCreateOptions{Driver: "bridge", Labels: s.labels})
	if err != nil {
		return fmt.Errorf("make the job's network: %w", err)
	}
	s.network = net.ID
	for i, spec := range specs {
		if err := s.startOne(ctx, spec, creates[i]); err != nil {
			return fmt.Errorf("service %q: %w", spec.Name, err)
		}
	}
	for _, v := range s.started {
		if err := s.waitHealthy(ctx, v); err != nil {
			return fmt.Errorf("service %q: %w", v.name, err)
		}
	}
	return nil
}

func (s *ServiceSet) startOne(ctx context.Context, spec runner.ServiceSpec, c *createSpec) error {
	auth := credentials{spec.Username, spec.Password}
	if _, err := s.e.ensureImage(ctx, spec.Image, c, auth, s.log); err != nil {
		return err
	}
	s.log(fmt.Sprintf("Starting service %s (%s)", spec.Name, spec.Image))
	id, err := s.e.create(ctx, c, s.labels, s.network, s.log)
	if err != nil {
		return err
	}
	s.started = append(s.started, service{spec.Name, id, c.config.Tty})
	if _, err := s.e.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start the container: %w", err)
	}
	got, err := s.e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("look at the container: %w", err)
	}
	running := pipeline.RunningContainer{ID: id, Network: s.network, Ports: map[string]string{}}
	if n := got.Container.NetworkSettings; n != nil {
		running.Ports = publishedPorts(n.Ports)
	}
	s.facts[spec.Name] = running
	return nil
}

// waitHealthy returns when the service's health check has passed; without one, when it has been seen up. A service that has
// ended by itself with status 0 has done what it had to.
func (s *ServiceSet) waitHealthy(ctx context.Context, v service) error {
	told := false
	for pause := healthFirst; ; pause = min(2*pause, healthMost) {
		got, err := s.e.api.ContainerInspect(ctx, v.id, client.ContainerInspectOptions{})
		if err != nil {
			return fmt.Errorf("look at the container: %w", err)
		}
		done, err := healthOf(got.Container.State)
		if err != nil {
			return s.withTail(ctx, v, err)
		}
		if done {
			if told {
				s.log(fmt.Sprintf("Service %s is healthy", v.name))
			}
			return nil
		}
		if !told {
			s.log(fmt.Sprintf("Waiting for service %s to be healthy", v.name))
			told = true
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// healthOf judges the state of a service.
func healthOf(st *container.State) (done bool, err error) {
	if st == nil {
		return false, nil
	}
	switch st.Status {
	case container.StateRestarting:
		return false, nil
	case container.StateExited, container.StateDead:
		switch {
		case st.OOMKilled:
			return false, fmt.Errorf("it ran out of memory and exited with status %d", st.ExitCode)
		case st.ExitCode != 0:
			return false, fmt.Errorf("it exited with status %d", st.ExitCode)
		case st.Health != nil && st.Health.Status != container.NoHealthcheck:
			return false, errors.New("it exited before it was healthy")
		}
		return true, nil
	}
	if st.Health == nil {
		return true, nil
	}
	switch st.Health.Status {
	case container.Starting:
		return false, nil
	case container.Unhealthy:
		why := "it is unhealthy"
		if n := len(st.Health.Log); n > 0 {
			last := st.Health.Log[n-1]
			why += fmt.Sprintf(": the check exited with status %d", last.ExitCode)
			if out := strings.TrimSpace(last.Output); out != "" {
				why += ": " + out
			}
		}
		return false, errors.New(why)
	}
	return true, nil
}

// withTail adds the last lines of a service to an error, and shows them.
func (s *ServiceSet) withTail(ctx context.Context, v service, err error) error {
	lines := s.e.tail(ctx, v.id, v.tty, logTail)
	if len(lines) == 0 {
		return fmt.Errorf("%w; it printed nothing", err)
	}
	s.log(fmt.Sprintf("The last lines of service %s:", v.name))
	for _, l := range lines {
		s.log("  " + l)
	}
	return fmt.Errorf("%w; its last line: %s", err, lines[len(lines)-1])
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
