package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

var _ runner.Executor = (*Executor)(nil)

// Options are where and with what jobs run.
type Options struct {
	// Name is what jobs see as the runner's; empty: the host's.
	Name string
	// Root is the folder that holds the runs' folders; empty: gantry/work in the user's cache folder.
	Root string
	// Tools is the folder in which set-up actions keep tools, shared by all runs; empty: gantry/tools in the user's cache
	// folder.
	Tools string
	// PassEnv names variables of Gantry's own environment that processes get beside those that [PassedEnv] lists; a name
	// may end in "*".
	PassEnv []string
	// IgnoreContainers runs jobs on the machine itself that ask for a container or services; without it they are refused.
	IgnoreContainers bool
}

// Executor opens folders on this machine. It is safe for concurrent use.
type Executor struct {
	o       Options
	machine pipeline.Machine
	env     []pipeline.EnvVar
	// control holds, by run and job, the small files of steps; empty: they are in the job's folder.
	control string
	// outer is the value of Tracking that this process has itself, being part of a job.
	outer string

	sweepOnce sync.Once
	swept     chan struct{} // closed when stale folders have been removed

	turns  turns
	strays strays

	mu   sync.Mutex
	runs map[string]*run
}

// New returns an executor. It makes the folders of the options where they are missing.
func New(o Options) (*Executor, error) {
	hearSignals()
	for _, f := range []struct {
		path *string
		name string
	}{{&o.Root, "work"}, {&o.Tools, "tools"}} {
		if *f.path == "" {
			cache, err := os.UserCacheDir()
			if err != nil {
				return nil, fmt.Errorf("find a place for the %s folder: %w", f.name, err)
			}
			*f.path = filepath.Join(cache, "gantry", f.name)
		}
		abs, err := filepath.Abs(*f.path)
		if err == nil {
			err = os.MkdirAll(abs, 0o755)
		}
		if err == nil {
			// Processes that ask for their folder get it without links; so have the paths to be that they are compared to.
			abs, err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, fmt.Errorf("make the %s folder: %w", f.name, explain(err))
		}
		*f.path = abs
	}
	name := o.Name
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "localhost"
		}
		name = host
	}
	e := &Executor{o: o, turns: turns{free: runtime.GOMAXPROCS(0)}, outer: os.Getenv(Tracking), swept: make(chan struct{}), runs: map[string]*run{}}
	e.control = controlRoot(o.Root)
	e.env = cleanEnv(os.Environ(), o.PassEnv)
	e.machine = pipeline.Machine{OS: systemName(runtime.GOOS), Arch: archName(runtime.GOARCH), Name: name, Tools: o.Tools}
	for _, v := range e.env {
		if v.Name == homeVariable {
			e.machine.Home = v.Value
		}
	}
	return e, nil
}

// Open implements [runner.Executor].
func (e *Executor) Open(ctx context.Context, spec runner.JobSpec) (runner.Workspace, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if !e.o.IgnoreContainers {
		if spec.Container != nil {
			return nil, fmt.Errorf("the job wants the container %q, and jobs run on this machine itself; run it with --executor docker", spec.Container.Image)
		}
		if len(spec.Services) > 0 {
			return nil, fmt.Errorf("the job wants the service %q, and jobs run on this machine itself; run it with --executor docker", spec.Services[0].Name)
		}
	}
	e.sweepOnce.Do(func() {
		go func() {
			defer close(e.swept)
			e.sweep()
		}()
	})
	defer e.turns.take(toOpen, spec.Rank)()
	r, err := e.acquire(folderName(spec.RunID, "run"))
	if err != nil {
		return nil, fmt.Errorf("open a place for job %q: %w", spec.JobID, explain(err))
	}
	w, err := e.open(r, spec)
	if err != nil {
		err = fmt.Errorf("open a place for job %q: %w", spec.JobID, explain(err))
		return nil, errors.Join(err, e.release(r))
	}
	return w, nil
}

func (e *Executor) open(r *run, spec runner.JobSpec) (_ *Workspace, err error) {
	repository := folderName(spec.Repository, "repository")
	if strings.HasPrefix(repository, "_") {
		repository = "-" + repository // names that begin so are ours
	}
	dir, err := e.makeSkeleton(r, folderName(spec.JobID, "job"), repository, spec.InPlace == "")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeAll(dir))
		}
	}()
	w := &Workspace{executor: e, run: r, dir: dir, machine: e.machine, token: token(e.o.Root, r.name, filepath.Base(dir))}
	w.tracking = w.token
	if e.outer != "" {
		w.tracking = e.outer + ":" + w.token
	}
	m := &w.machine
	m.Labels = slices.Clone(spec.RunsOn)
	m.Temp = filepath.Join(dir, tempName)
	if spec.InPlace != "" {
		if m.Workspace, err = inPlace(spec.InPlace); err != nil {
			return nil, err
		}
	} else {
		m.Workspace = filepath.Join(dir, repository, repository)
		w.repository = repository
	}
	if m.Home == "" {
		m.Home = filepath.Join(dir, "_home")
		if err := os.Mkdir(m.Home, 0o755); err != nil {
			return nil, err
		}
	}
	if m.Control, err = e.makeControl(r.name, filepath.Base(dir)); err != nil {
		return nil, err
	}
	if len(spec.EventFile) > 0 {
		m.EventFile = filepath.Join(dir, "_event.json")
		if m.Control != "" {
			m.EventFile = filepath.Join(m.Control, "event.json")
		}
		if err := os.WriteFile(m.EventFile, spec.EventFile, 0o644); err != nil {
			return nil, err
		}
	}
	w.env = slices.Clone(e.env)
	if e.machine.Home == "" {
		w.env = append(w.env, pipeline.EnvVar{Name: homeVariable, Value: m.Home})
	}
	return w, nil
}

// makeControl makes a job's folder for the small files of steps; empty: there is no place for it.
func (e *Executor) makeControl(run, job string) (string, error) {
	if e.control == "" {
		return "", nil
	}
	dir := filepath.Join(e.control, run, job)
	return dir, os.MkdirAll(dir, 0o755)
}

// removeControl removes that of a run.
func (e *Executor) removeControl(run string) error {
	if e.control == "" {
		return nil
	}
	return removeAll(filepath.Join(e.control, run))
}

// inPlace checks a folder that is to be a work folder as it is.
func inPlace(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", abs)
	}
	return abs, nil
}

// makeNew makes a folder in dir of that name, or where it exists of that name and a number.
func makeNew(dir, name string) (string, error) {
	for i := 1; ; i++ {
		path := filepath.Join(dir, name)
		if i > 1 {
			path = fmt.Sprintf("%s.%d", path, i)
		}
		err := os.Mkdir(path, 0o755)
		if err == nil || !os.IsExist(err) {
			return path, err
		}
	}
}

// maxName keeps paths short: sockets in the work folder have 107 bytes (unix(7)).
const maxName = 40

// folderName makes a name for a folder of any text, in which no program needs quotes; other is for an empty one.
func folderName(text, other string) string {
	clean := strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '-'
	}, text)
	if len(clean) > maxName {
		clean = clean[:maxName]
	}
	if strings.HasPrefix(clean, ".") {
		clean = "-" + clean[1:]
	}
	if clean == "" {
		return other
	}
	return clean
}

// systemName returns the name of an operating system as GitHub writes it.
func systemName(goos string) string {
	switch goos {
	case "darwin":
		return "macOS"
	case "windows":
		return "Windows"
	}
	return strings.ToUpper(goos[:1]) + goos[1:]
}

// archName returns the name of a processor as GitHub writes it.
func archName(goarch string) string {
	switch goarch {
	case "amd64":
		return "X64"
	case "386":
		return "X86"
	}
	return strings.ToUpper(goarch)
}
