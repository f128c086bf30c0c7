package jobs

import (
	"context"
	"io"
	"log/slog"
	"regexp"
	"time"

	"gocloud.dev/blob"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// Filler adds to a task what the queue does not know: the run's facts, inputs, variables, secrets and source. It is called when a job is
// claimed, outside of any transaction.
type Filler interface {
	Fill(ctx context.Context, j *Job, t *Task) error
}

// Options are what a Service is made of.
type Options struct {
	DB     *store.DB
	Engine *engine.Engine
	// Blobs keep log chunks and artifacts.
	Blobs *blob.Bucket
	Filler
	// Ended is called after a job's end was committed, by this server; soon after, by others. It must not block.
	Ended func(run string, job string)
	// TTL is how long a job is an embedded worker's without a sign of life (0: 4 s), RemoteTTL the same for runners elsewhere (0: 30 s).
	TTL, RemoteTTL time.Duration
	Now            func() time.Time
	Log            *slog.Logger
}

// Service is the queue. It is safe for concurrent use, and any number of servers may have one on the same database.
type Service struct {
	o Options
}

// New makes the tables where they are missing, and registers the reconciler that takes jobs from workers that are not heard of.
func New(ctx context.Context, o Options) (*Service, error) { panic("to be written") }

// For whom coordinates runs. All of them write in the caller's transaction, with the events that belong to the change.

// Plan makes jobs, pending, with their Path, Key, Leg, Name, Needs (paths), RunsOn and Environment set; one that is there already (by
// run, attempt and path) is left as it is. The order is kept for lists.
func (s *Service) Plan(ctx context.Context, tx *store.Tx, project, run string, attempt int, planned []Job) error {
	panic("to be written")
}

// Enqueue queues a job for workers, making it where the plan could not foresee it; a job that is queued, running or ended already is
// left as it is. Jobs of older runs and of higher rank come first. It returns the job's ID.
func (s *Service) Enqueue(ctx context.Context, tx *store.Tx, project, run string, attempt int, a runner.Assignment) (id string, err error) {
	panic("to be written")
}

// Hold makes a pending job wait (for an approval), and returns its ID; one that is further already is left as it is.
func (s *Service) Hold(ctx context.Context, tx *store.Tx, project, run string, attempt int, a runner.Assignment, reason string) (id string, err error) {
	panic("to be written")
}

// End ends a job that never came to a worker: skipped, failed or cancelled, with the reason. One that has ended is left as it is.
func (s *Service) End(ctx context.Context, tx *store.Tx, project, run string, attempt int, e Unstarted) error {
	panic("to be written")
}

// Unstarted is a job that ended without having been run.
type Unstarted struct {
	Path, Key, Leg, Name string
	Needs                []string
	Status               Status
	Reason               string
	Tolerated            bool
	// Annotation, where set, is the located error.
	Annotation *pipeline.Annotation
}

// Reuse copies the ended jobs of an attempt for which keep says so into the next one, as reused.
func (s *Service) Reuse(ctx context.Context, tx *store.Tx, run string, from, to int, keep func(*Job) bool) error {
	panic("to be written")
}

// Sweep ends all jobs of an attempt that have not: pending ones are skipped with the reason. It is called when a run has ended, and also
// marks the critical path.
func (s *Service) Sweep(ctx context.Context, tx *store.Tx, run string, attempt int, reason string) error {
	panic("to be written")
}

// Wait returns when the job has ended, with its recorded outcome, or when ctx ends. It polls once a second for what other servers do.
func (s *Service) Wait(ctx context.Context, id string) (runner.Outcome, error) {
	panic("to be written")
}

// Cancel asks the worker of a job to stop; a job that no worker has ends at once. kill: without clean-up.
func (s *Service) Cancel(ctx context.Context, tx *store.Tx, id, reason string, kill bool) error {
	panic("to be written")
}

// Counts counts the jobs of an attempt by status.
func (s *Service) Counts(ctx context.Context, run string, attempt int) (map[Status]int, error) {
	panic("to be written")
}

// Delete removes all that is kept of a run; blobs go after the transaction has committed. DeleteLogs and DeleteArtifacts remove only those.
func (s *Service) Delete(ctx context.Context, tx *store.Tx, run string) error { panic("to be written") }
func (s *Service) DeleteLogs(ctx context.Context, tx *store.Tx, run string) error {
	panic("to be written")
}
func (s *Service) DeleteArtifacts(ctx context.Context, tx *store.Tx, run string) error {
	panic("to be written")
}

// For whom looks at runs.

// List returns the jobs of an attempt in the order of the file; Job returns one.
func (s *Service) List(ctx context.Context, run string, attempt int) ([]Job, error) {
	panic("to be written")
}
func (s *Service) Job(ctx context.Context, id string) (*Job, error) { panic("to be written") }
func (s *Service) Annotations(ctx context.Context, run string, attempt int) ([]Annotation, error) {
	panic("to be written")
}
func (s *Service) Tests(ctx context.Context, run string, attempt int) ([]TestSuite, error) {
	panic("to be written")
}
func (s *Service) Artifacts(ctx context.Context, run string) ([]Artifact, error) {
	panic("to be written")
}
func (s *Service) OpenArtifact(ctx context.Context, run, name string) (*Artifact, io.ReadSeekCloser, error) {
	panic("to be written")
}

// LogQuery says which lines to read. From is the first line's number, from 1; negative: that many from the end. Limit is 1 to 10000;
// 0: 1000.
type LogQuery struct {
	From  int64
	Limit int
}

// LogPage is a range of a job's log.
type LogPage struct {
	Lines []LogLine `json:"lines"`
	// Total is how many lines there are now; Complete: there will be no more.
	Total    int64 `json:"total"`
	Complete bool  `json:"complete"`
}

// Log reads a range. Its cost depends on the range, not on the log.
func (s *Service) Log(ctx context.Context, job string, q LogQuery) (*LogPage, error) {
	panic("to be written")
}

// LogMatches are lines that a pattern was found in.
type LogMatches struct {
	// Lines are numbers of lines. More: there may be others after Next.
	Lines []int64 `json:"lines"`
	More  bool    `json:"more"`
	Next  int64   `json:"next,omitempty"`
}

// SearchLog looks for a pattern in the lines from a number on, colours left out, until limit (1 to 10000) were found.
func (s *Service) SearchLog(ctx context.Context, job string, pattern *regexp.Regexp, from int64, limit int) (*LogMatches, error) {
	panic("to be written")
}

// WriteLog writes the whole log as text, each line with its time in front where timestamps is set.
func (s *Service) WriteLog(ctx context.Context, job string, timestamps bool, w io.Writer) error {
	panic("to be written")
}

// WatchLog returns a channel that gets a value when the job's log has grown or ended; by other servers, within a second.
func (s *Service) WatchLog(ctx context.Context, job string) <-chan struct{} { panic("to be written") }

// Runners that were ever seen. Register makes a runner that may take jobs; who proves to be it is auth's business. Remove takes it out;
// its jobs go back to the queue.
func (s *Service) Runners(ctx context.Context) ([]Runner, error) { panic("to be written") }
func (s *Service) RegisterRunner(ctx context.Context, by By, name string, labels []string) (*Runner, error) {
	panic("to be written")
}
func (s *Service) RemoveRunner(ctx context.Context, by By, id string) error { panic("to be written") }

// Stats are figures for monitoring and the overview: jobs by status that have not ended, and the online runners' places.
type Stats struct {
	Jobs         map[Status]int
	Places, Busy int
}

// Stats counts.
func (s *Service) Stats(ctx context.Context) (*Stats, error) { panic("to be written") }
