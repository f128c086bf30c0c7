package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// What callers decide by.
var (
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrConflict: it is not in a state in which that can be done, or was changed meanwhile; the text says more.
	ErrConflict = errors.New("conflict")
	// ErrFenced: the job was given to another worker, or has ended; the sender must stop working on it.
	ErrFenced = errors.New("fenced: the job is not this worker's any longer")
)

// Queue is what a worker speaks to: the Service itself in the server's process, a client over HTTP elsewhere. All of it may be
// called again when it is not known whether it arrived. Errors other than ErrFenced and ErrNotFound are worth repeating.
type Queue interface {
	// Claim hands a job to a worker that has a free place; it waits up to the time given for one. A nil Task: there was none.
	Claim(ctx context.Context, w Worker, wait time.Duration) (*Task, error)
	// Renew keeps the job the worker's and returns what is asked of it. It is called every third of Task.TTL.
	Renew(ctx context.Context, ref TaskRef) (Control, error)
	// Report records what happened in the job. Batches are numbered from 1 without gaps; one that has arrived already is accepted
	// without effect, one that leaves a gap is ErrConflict.
	Report(ctx context.Context, ref TaskRef, b Batch) error
	// Finish records the outcome, after all batches. An outcome with Interrupted set gives the job back for a new try.
	Finish(ctx context.Context, ref TaskRef, end TaskEnd) error
	// PutArtifact stores a file of the run under a name that is unique in it; the same name again replaces what the same job stored,
	// else it is ErrConflict. GetArtifact reads one, ListArtifacts names those of the run, of this and earlier attempts.
	PutArtifact(ctx context.Context, ref TaskRef, name string, size int64, r io.Reader) error
	GetArtifact(ctx context.Context, ref TaskRef, name string) (io.ReadCloser, error)
	ListArtifacts(ctx context.Context, ref TaskRef) ([]Artifact, error)
	// Source reads the repository as a git bundle that holds Task.SHA, for workers that do not share the server's disk.
	Source(ctx context.Context, ref TaskRef) (io.ReadCloser, error)
}

// Worker is who asks for a job.
type Worker struct {
	// ID is the runner's.
	ID string `json:"id"`
	// Session is different for each process of the runner.
	Session string   `json:"session"`
	Name    string   `json:"name"`
	Labels  []string `json:"labels"`
	OS      string   `json:"os"`
	Arch    string   `json:"arch"`
	Version string   `json:"version"`
	Places  int      `json:"places"`
	// Embedded: it is part of the server.
	Embedded bool `json:"embedded"`
}

// TaskRef names a try of a job and proves the right to it.
type TaskRef struct {
	Job string `json:"job"`
	// Token is the fencing token of the try.
	Token int64 `json:"token"`
}

// Task is a job that a worker is to run.
type Task struct {
	TaskRef
	Try int `json:"try"`
	// TTL is how long the job is the worker's without a Renew, in seconds.
	TTL     float64 `json:"ttl_seconds"`
	Project string  `json:"project"`
	// SHA is the commit to check out; Path the folder of the repository that is the project; Dir, on the server's own machine, a
	// folder with the files.
	SHA  string `json:"sha"`
	Path string `json:"path,omitempty"`
	// File is the path of the pipeline's file in the project.
	File string `json:"file"`
	// Facts are the run's facts.
	Facts  *pipeline.Run     `json:"facts"`
	Inputs json.RawMessage   `json:"inputs,omitempty"`
	Vars   map[string]string `json:"vars,omitempty"`
	// Secrets that the job may have. They are nowhere but in memory, here and there.
	Secrets    map[string]string `json:"secrets,omitempty"`
	Assignment runner.Assignment `json:"assignment"`
}

// Control is what a server asks of a worker.
type Control struct {
	// Cancel: interrupt the job; it may still clean up. Kill: end it at once. Reason says why.
	Cancel bool   `json:"cancel,omitempty"`
	Kill   bool   `json:"kill,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Batch is a part of what happened in a job, in its order.
type Batch struct {
	Seq   int64  `json:"seq"`
	Items []Item `json:"items"`
}

// Item is either an event of the runner other than a log line, or log lines of one step.
type Item struct {
	Event *runner.Event `json:"event,omitempty"`
	// Lines are log lines; their numbers are given by the server.
	Lines []LogLine `json:"lines,omitempty"`
}

// TaskEnd is how a try ended.
type TaskEnd struct {
	runner.Outcome
	// Interrupted: the worker had to stop, the job did not end by itself.
	Interrupted bool `json:"interrupted,omitempty"`
	// Batches is the number of the last batch; an end that comes before it is ErrConflict.
	Batches int64 `json:"batches"`
}
