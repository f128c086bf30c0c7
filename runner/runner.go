package runner

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gantry-ops/gantry/pipeline"
)

// Waits of a cancel where Options sets none: what GitHub's runner gives a process.
const (
	DefaultInterrupt = 7500 * time.Millisecond
	DefaultTerminate = 2500 * time.Millisecond
	// DefaultCleanup bounds the steps that run after a cancel.
	DefaultCleanup = 5 * time.Minute
)

// ErrInterrupted is the cause of a cancel that a person asked for.
var ErrInterrupted = errors.New("the run was interrupted")

// Masker hides secrets. It is safe for concurrent use.
type Masker interface {
	// Add hides a text from now on.
	Add(text string)
	// Mask appends src to dst with every secret replaced.
	Mask(dst, src []byte) []byte
	// Longest returns the length of the longest text to look for, in bytes.
	Longest() int
}

// Keeper stores what jobs leave behind by the model's own Artifacts and Caches.
type Keeper interface {
	// RestoreCache brings back the newest match and returns its key; empty: none.
	RestoreCache(ctx context.Context, ws Workspace, key string, restoreKeys, paths []string) (hit string, err error)
	SaveCache(ctx context.Context, ws Workspace, key string, paths []string) error
	SaveArtifact(ctx context.Context, ws Workspace, name string, paths []string) error
}

// Options are what a run is made of. Executor and Sink are required.
type Options struct {
	// Executor chooses where a job runs. An error fails the job.
	Executor func(JobSpec) (Executor, error)
	// Actions runs Use steps; nil: they fail.
	Actions Actions
	// Engine runs containers of steps; nil: they fail.
	Engine func() (ContainerEngine, error)
	Sink   Sink
	// Masker; nil: nothing is masked.
	Masker Masker
	Keeper Keeper
	// Groups are the concurrency groups, to be shared by all that must not run at the same time; nil: this run's own.
	Groups Groups
	// Dispatch runs the jobs elsewhere; Executor, Actions, Engine and Keeper are not used then. nil: they run here.
	Dispatch Dispatcher
	// Jobs is how many jobs run at a time; 0: one for each processor.
	Jobs int
	// InPlace runs all jobs in this folder instead of work copies.
	InPlace string
	// Interrupt, Terminate and Cleanup: see the defaults.
	Interrupt, Terminate, Cleanup time.Duration
	// Kill, when closed, ends all processes at once; steps that would still run do not. May be nil.
	Kill <-chan struct{}
	// OnFailure is called when a step has failed, before the next one; one call at a time.
	OnFailure func(ctx context.Context, f FailedStep)
	// Now is the clock of events; nil: time.Now.
	Now func() time.Time
}

// FailedStep is what a person needs to look into a failure.
type FailedStep struct {
	Job, Step string
	Reason    string
	Workspace Workspace
	// Command is the step's last process, with its folder and environment; Argv is empty where it had none.
	Command Command
}

// Request is one pipeline to run.
type Request struct {
	Pipeline *pipeline.Pipeline
	// Run are its facts; the ID must be set.
	Run *pipeline.Run
	// Inputs, Secrets and Vars are its contexts; Env is the environment it starts with.
	Inputs, Secrets, Vars, Env pipeline.Object
	// Jobs are the keys of the jobs wanted; what they need runs as well. Empty: all.
	Jobs []string
	// Matrix keeps only legs with these values, where a leg has the name at all.
	Matrix map[string]string
}

// Result is the outcome of a run.
type Result struct {
	Status pipeline.Status
	Reason string
	// Jobs that ran or were skipped, in the order in which they ended.
	Jobs []JobResult
}

// JobResult is the outcome of one leg of one job.
type JobResult struct {
	ID, Name  string
	Status    pipeline.Status
	Tolerated bool
	Reason    string
}

// Run runs the pipelines of all requests and returns when everything has ended. Cancelling ctx cancels the run: steps that
// run are interrupted, steps and jobs whose condition asks for it still run. The error is only for a run that could not
// be started; failures are in the Result.
func Run(ctx context.Context, o Options, requests ...Request) (Result, error) {
	if o.Executor == nil && o.Dispatch == nil || o.Sink == nil {
		return Result{}, errors.New("run: an executor and a sink are required")
	}
	r := newRun(o)
	start := r.Now()
	first := Event{Type: RunStarted}
	if len(requests) == 1 {
		first.Run, first.Workflow = requests[0].Run.ID, requests[0].Pipeline.Name
	}
	r.emit(first)
	var wg sync.WaitGroup
	for i := range requests {
		req := &requests[i]
		r.hide(req)
		wg.Go(func() { r.graph(req).execute(ctx) })
	}
	wg.Wait()
	res := r.result(ctx)
	last := Event{Type: RunFinished, Status: res.Status, Reason: res.Reason, Duration: r.Now().Sub(start).Seconds(), Run: first.Run, Workflow: first.Workflow}
	r.emit(last)
	return res, nil
}

// run is what all graphs of one Run share.
type run struct {
	Options
	slots *semaphore.Weighted
	// assigned: one leg of a run that is coordinated elsewhere, see RunAssigned.
	assigned bool

	failureMu sync.Mutex // one OnFailure at a time

	mu   sync.Mutex
	jobs []JobResult
}

// newRun fills in what the options leave open.
func newRun(o Options) *run {
	if o.Jobs <= 0 {
		o.Jobs = runtime.NumCPU()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Masker == nil {
		o.Masker = noMask{}
	}
	if o.Groups == nil {
		o.Groups = NewGroups()
	}
	if o.Interrupt == 0 {
		o.Interrupt = DefaultInterrupt
	}
	if o.Terminate == 0 {
		o.Terminate = DefaultTerminate
	}
	if o.Cleanup == 0 {
		o.Cleanup = DefaultCleanup
	}
	return &run{Options: o, slots: semaphore.NewWeighted(int64(o.Jobs))}
}

// hide masks the secrets of a request.
func (r *run) hide(req *Request) {
	r.Masker.Add(req.Run.Token)
	if req.Secrets == nil {
		return
	}
	for _, k := range req.Secrets.Keys() {
		v, _ := req.Secrets.Get(k)
		r.Masker.Add(pipeline.Text(v))
	}
}

// graph returns the graph of a request's pipeline.
func (r *run) graph(req *Request) *graph {
	return &graph{run: r, req: req, p: req.Pipeline, inputs: req.Inputs, secrets: req.Secrets, env: req.Env}
}
func (r *run) emit(e Event) {
	e.Time = r.Now()
	r.Sink.Emit(e)
}

// mask hides secrets in a text of the model (names, reasons), as logs have them hidden.
func (r *run) mask(s string) string {
	if s == "" {
		return s
	}
	return string(r.Masker.Mask(nil, []byte(s)))
}

func (r *run) record(j JobResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs = append(r.jobs, j)
}

func (r *run) result(ctx context.Context) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := Result{Status: pipeline.Success, Jobs: slices.Clone(r.jobs)}
	ran := false
	for _, j := range r.jobs {
		switch {
		case j.Status == pipeline.Skipped:
			continue
		case j.Tolerated:
		case j.Status == pipeline.Failure, j.Status == pipeline.Cancelled:
			res.Status = pipeline.Failure
		}
		ran = true
	}
	if ctx.Err() != nil {
		res.Status, res.Reason = pipeline.Cancelled, context.Cause(ctx).Error()
	} else if !ran && len(r.jobs) > 0 && res.Status == pipeline.Success {
		res.Reason = "every job was skipped"
	}
	return res
}

// killed reports whether everything has to end at once.
func (r *run) killed() bool {
	select {
	case <-r.Kill:
		return true
	default:
		return false
	}
}

type noMask struct{}

func (noMask) Add(string)                  {}
func (noMask) Mask(dst, src []byte) []byte { return append(dst, src...) }
func (noMask) Longest() int                { return 0 }
