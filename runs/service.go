package runs

import (
	"context"
	"log/slog"
	"time"

	"gocloud.dev/blob"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// Options are what a Service is made of.
type Options struct {
	DB     *store.DB
	Engine *engine.Engine
	// Blobs keep log chunks and artifacts.
	Blobs    *blob.Bucket
	Sources  Sources
	Formats  Formats
	Secrets  Secrets
	Reporter Reporter
	// Active bounds how many runs this server coordinates at a time; 0: 64.
	Active int
	// TTL is how long a job is an embedded worker's without a sign of life (0: 4 s), RemoteTTL the same for runners elsewhere (0: 30 s).
	TTL, RemoteTTL time.Duration
	Now            func() time.Time
	Log            *slog.Logger
}

// Service is the room's whole. It is safe for concurrent use.
type Service struct {
	// Service is the queue: jobs, logs, artifacts, runners, and the protocol of workers.
	*jobs.Service
	o Options
}

// Lists and logs are the queue's.
type (
	Page[T any] = jobs.Page[T]
	ListOptions = jobs.ListOptions
	LogQuery    = jobs.LogQuery
	LogPage     = jobs.LogPage
	LogMatches  = jobs.LogMatches
)

// New makes the tables where they are missing, and registers the reconcilers: runs, approvals, schedules, polls, reports to forges,
// and retention.
func New(ctx context.Context, o Options) (*Service, error) { panic("to be written") }

// Projects. Update fails with ErrConflict when p.Version is not the current one. Delete removes the project with its runs.
func (s *Service) Projects(ctx context.Context, only []string, o ListOptions) (Page[Project], error) {
	panic("to be written")
}
func (s *Service) Project(ctx context.Context, id string) (*Project, error) { panic("to be written") }
func (s *Service) CreateProject(ctx context.Context, by By, p Project) (*Project, error) {
	panic("to be written")
}
func (s *Service) UpdateProject(ctx context.Context, by By, p Project) (*Project, error) {
	panic("to be written")
}
func (s *Service) DeleteProject(ctx context.Context, by By, id string) error { panic("to be written") }

// Pipelines reads those of a project at a ref ("" is the default branch).
func (s *Service) Pipelines(ctx context.Context, project, ref string) ([]PipelineInfo, error) {
	panic("to be written")
}

// Environments of a project; Put makes or replaces one.
func (s *Service) Environments(ctx context.Context, project string) ([]Environment, error) {
	panic("to be written")
}
func (s *Service) PutEnvironment(ctx context.Context, by By, e Environment) (*Environment, error) {
	panic("to be written")
}
func (s *Service) DeleteEnvironment(ctx context.Context, by By, project, name string) error {
	panic("to be written")
}

// Variables of a project; Put makes or replaces one.
func (s *Service) Variables(ctx context.Context, project string) ([]Variable, error) {
	panic("to be written")
}
func (s *Service) PutVariable(ctx context.Context, by By, v Variable) (*Variable, error) {
	panic("to be written")
}
func (s *Service) DeleteVariable(ctx context.Context, by By, project, environment, name string) error {
	panic("to be written")
}

// Started is what became of a trigger.
type Started struct {
	Runs       []Run        `json:"runs"`
	NotStarted []NotStarted `json:"not_started"`
}

// Trigger starts the runs that a trigger asks for. A delivery that was taken before returns what it started then.
func (s *Service) Trigger(ctx context.Context, t Trigger) (*Started, error) { panic("to be written") }

// RunQuery restricts a list of runs; empty fields do not. Projects nil: all.
type RunQuery struct {
	Projects    []string
	Status      []Status
	Branch      string
	Event       string
	Actor       string
	File        string
	SHA         string
	PullRequest int
	// Text is looked for in titles, pipelines' names, branches and commits.
	Text string
	ListOptions
}

// Runs lists runs, the newest first. Run returns one; Jobs returns the jobs of an attempt (0: the newest), in the order of the file.
func (s *Service) Runs(ctx context.Context, q RunQuery) (Page[Run], error) { panic("to be written") }
func (s *Service) Run(ctx context.Context, id string) (*Run, error)        { panic("to be written") }
func (s *Service) Jobs(ctx context.Context, run string, attempt int) ([]Job, error) {
	panic("to be written")
}

// Cancel asks a run to stop; steps that clean up still run. kill: nothing does. A run that has ended is ErrConflict.
func (s *Service) Cancel(ctx context.Context, by By, run string, kill bool) (*Run, error) {
	panic("to be written")
}

// RerunMode says which jobs of an ended run are run again.
type RerunMode string

// All of them; those that did not succeed with all that depend on them; one job (by its path or key) with all that depend on it.
const (
	RerunAll    RerunMode = "all"
	RerunFailed RerunMode = "failed"
	RerunJob    RerunMode = "job"
)

// Rerun starts a new attempt. Jobs that are not run again stand with their results, artifacts and logs. A run that has not ended is
// ErrConflict.
func (s *Service) Rerun(ctx context.Context, by By, run string, mode RerunMode, job string) (*Run, error) {
	panic("to be written")
}

// DeleteRun removes an ended run with its logs and artifacts.
func (s *Service) DeleteRun(ctx context.Context, by By, run string) error { panic("to be written") }

// ApprovalQuery restricts a list of approvals. Projects nil: all.
type ApprovalQuery struct {
	Projects []string
	Run      string
	Status   []Status
	ListOptions
}

// Approvals lists them, the newest first. Decide records one person's decision: ErrConflict where it is decided already or by this
// person, a *ForbiddenError where this person may not.
func (s *Service) Approvals(ctx context.Context, q ApprovalQuery) (Page[Approval], error) {
	panic("to be written")
}
func (s *Service) Approval(ctx context.Context, id string) (*Approval, error) { panic("to be written") }
func (s *Service) Decide(ctx context.Context, by By, id string, approve bool, comment string) (*Approval, error) {
	panic("to be written")
}

// ForbiddenError is a refusal by what an environment says.
type ForbiddenError struct{ Reason string }

func (e *ForbiddenError) Error() string { return e.Reason }

// RecordDelivery keeps what became of a webhook; Deliveries lists the newest 100. Seen reports whether a delivery was taken before.
func (s *Service) RecordDelivery(ctx context.Context, d Delivery) error { panic("to be written") }
func (s *Service) Deliveries(ctx context.Context, project string) ([]Delivery, error) {
	panic("to be written")
}
func (s *Service) Overview(ctx context.Context, projects []string) (*Overview, error) {
	panic("to be written")
}
