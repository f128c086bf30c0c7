package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/runner"
)

// Labels of everything that this package makes in an engine.
const (
	// LabelRun and LabelJob hold the IDs of the run and the job.
	LabelRun = "io.gantry.run"
	LabelJob = "io.gantry.job"
	// LabelOwner names the process that made it: the folder below Options.Root that this process keeps locked.
	LabelOwner = "io.gantry.owner"
)

// ErrUnreachable is wrapped by the error of [New] when no engine answers.
var ErrUnreachable = errors.New("cannot reach the Docker engine")

// Options configure an [Engine]. The zero value is ready to use.
type Options struct {
	// Name is what jobs see as the runner's; empty: the host's.
	Name string
	// Host is the engine's address, such as "unix:///var/run/docker.sock"; empty: DOCKER_HOST, or else the platform's default.
	Host string
	// Root is the folder for the jobs' folders. The engine must be able to mount it. Empty: a folder of the user's below the
	// system's folder for temporary files.
	Root string
	// Image is where jobs without a container run; Images are images by the label of the machine that a job asks for, which
	// come first. Labels ignore case.
	Image  string
	Images map[string]string
	// Pull says when images are fetched; empty: [PullMissing].
	Pull Pull
	// NoSocket keeps the engine's socket out of the containers. As GitHub's runner does, it is mounted otherwise, which gives a
	// job power over the engine.
	NoSocket bool
}

// Engine runs containers of one Docker Engine. It is safe for concurrent use.
type Engine struct {
	o     Options
	api   *client.Client
	owner *owner
	// socket is the host path of the engine's socket; empty where the engine is not reached by one.
	socket string
	// pipes: named pipes in mounted folders work, because the engine's kernel is this machine's.
	pipes bool
	arch  string

	pulls keyedMutex
}

var (
	_ runner.Executor        = (*Engine)(nil)
	_ runner.ContainerEngine = (*Engine)(nil)
)

// New connects to an engine, and removes what Gantry processes that were killed have left in it and in the Root folder. Close
// the engine after use. The error wraps [ErrUnreachable] when no engine answers.
func New(ctx context.Context, o Options) (*Engine, error) {
	opts := []client.Opt{client.FromEnv}
	if o.Host != "" {
		opts = append(opts, client.WithHost(o.Host))
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the Docker engine: %w", err)
	}
	e := &Engine{o: o, api: api}
	if err := e.connect(ctx); err != nil {
		api.Close()
		return nil, err
	}
	return e, nil
}

func (e *Engine) connect(ctx context.Context) error {
	if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w at %s: %w (hint: start it, or set DOCKER_HOST)", ErrUnreachable, e.api.DaemonHost(), err)
	}
	info, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("ask the Docker engine at %s about itself: %w", e.api.DaemonHost(), err)
	}
	if info.Info.OSType != "linux" {
		return fmt.Errorf("the Docker engine at %s runs %s containers; only linux is supported", e.api.DaemonHost(), info.Info.OSType)
	}
	e.arch = archName(info.Info.Architecture)
	if path, ok := strings.CutPrefix(e.api.DaemonHost(), "unix://"); ok {
		e.socket = path
		e.pipes = runtime.GOOS == "linux" && !strings.Contains(info.Info.OperatingSystem, "Docker Desktop")
	}
	if e.o.Pull == "" {
		e.o.Pull = PullMissing
	}
	if e.o.Root == "" {
		e.o.Root = filepath.Join(os.TempDir(), fmt.Sprintf("gantry-docker-%d", os.Getuid()))
	}
	if e.owner, err = newOwner(e.o.Root); err != nil {
		return err
	}
	if err := e.sweep(ctx); err != nil {
		return errors.Join(err, e.owner.close())
	}
	return nil
}

// Close ends the connection. Workspaces must have been closed before.
func (e *Engine) Close() error {
	return errors.Join(e.owner.close(), e.api.Close())
}

// archName is the model's name of an architecture that an engine or a Go program names.
func archName(a string) string {
	switch a {
	case "x86_64", "amd64":
		return "X64"
	case "aarch64", "arm64":
		return "ARM64"
	case "i386", "i686", "386":
		return "X86"
	case "armv7l", "armv6l", "arm":
		return "ARM"
	}
	return strings.ToUpper(a)
}

// keyedMutex is a mutex for each of many keys.
type keyedMutex struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// lock waits for the key, or for ctx to end.
func (k *keyedMutex) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		wait, busy := k.held[key]
		if !busy {
			if k.held == nil {
				k.held = map[string]chan struct{}{}
			}
			done := make(chan struct{})
			k.held[key] = done
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, key)
				k.mu.Unlock()
				close(done)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
