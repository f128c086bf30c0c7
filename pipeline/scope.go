package pipeline

import (
	"errors"
	"sync"
	"time"
)

// ErrUnknown is returned while planning by what can only be computed from the results of a run.
var ErrUnknown = errors.New("known only while the pipeline runs")

// Status is how a step, job or run ended.
type Status string

const (
	// Success: everything that ran did what it should.
	Success Status = "success"
	// Failure: something did not, and nobody said to go on.
	Failure Status = "failure"
	// Cancelled: a person, a timeout of the job, fail-fast or a newer run ended it.
	Cancelled Status = "cancelled"
	// Skipped: it did not run; a reason goes with it.
	Skipped Status = "skipped"
)

// Scope is all that an expression can depend on. The runner fills it with neutral facts; a front end's
// expressions read them and present them as the contexts of their format. Fields that do not apply
// where an expression stands are zero. A Scope is not changed while an expression is evaluated.
type Scope struct {
	// Planning: results are not known; what depends on them is [Unknown].
	Planning bool

	Run     *Run
	Inputs  Object
	Secrets Object
	Vars    Object
	// Env are the variables that the file and the steps have set so far, not those of the machine.
	Env Object

	// Job is nil where no job is being considered, for example in a run's title.
	Job *JobScope
	// Upstream are the job's needs and, transitively, theirs.
	Upstream []Result
	Matrix   Object
	Strategy StrategyScope

	// Steps are the results of the steps of this scope that have ended, by ID; nil outside of steps.
	Steps StepResults
	// StepID is the ID of the step being considered.
	StepID string
	// Current is the state of the job, or of the composite action, so far; empty outside of steps.
	Current Status
	// Cancelled: the run was asked to stop.
	Cancelled bool
	// Jobs are the results of all jobs, set only for the outputs of a called pipeline.
	Jobs []Result

	// Action is set inside of an action.
	Action *ActionScope
	// Machine is where the job runs.
	Machine Machine
	// HashFiles returns the hash of the files that match the patterns, relative to the work folder, in lower-case
	// hexadecimal; empty where none matches. nil where no work folder exists.
	HashFiles func(patterns []string) (string, error)
}

// StepResults gives the results of steps by ID, ignoring case.
type StepResults interface {
	Lookup(id string) (StepResult, bool)
	IDs() []string
}

// Run are the facts of a run that no job changes.
type Run struct {
	// ID is unique for ever; Number counts the runs of a pipeline from 1; Attempt counts from 1.
	ID      string
	Number  int
	Attempt int
	// Pipeline and File are the name and the path of the pipeline that was started, not of one it calls.
	Pipeline string
	File     string
	Started  time.Time

	Event      Event
	Repository Repository
	Change     Change
	// Actor is who started the run.
	Actor string
	// Debug asks for debug output.
	Debug bool
	// Token is the token that jobs may use at the forge; a secret, empty without one.
	Token string
	// Memo is for the dialect: values made once a run, such as contexts already built.
	Memo Memo
}

// Event is what started a run.
type Event struct {
	// Name as the format calls it: "push", "pull_request", "schedule", "workflow_dispatch".
	Name string
	// Action is the activity type within the event: "opened"; empty for most.
	Action string
	// Schedule is the cron line that was due, for schedules.
	Schedule string
	// Payload is the event's document, as the forge would send it.
	Payload *Map
}

// Repository is where the pipeline's file comes from.
type Repository struct {
	// Owner and Name; Owner may hold slashes (groups).
	Owner, Name string
	// Server is the forge's base URL without a trailing slash, for example "https://github.com".
	Server string
	// CloneURL is what git clones, empty for a repository without a remote.
	CloneURL      string
	DefaultBranch string
	Private       bool
}

// FullName returns "owner/name".
func (r Repository) FullName() string {
	if r.Owner == "" {
		return r.Name
	}
	return r.Owner + "/" + r.Name
}

// Change is the commit that a run is for.
type Change struct {
	// SHA is the commit, Before the one that the branch had before; 40 or 64 hexadecimal digits.
	SHA, Before string
	// Ref is the full ref: "refs/heads/main", "refs/tags/v1", "refs/pull/1/merge".
	Ref string
	// Head and Base are the branches of a pull request, without "refs/heads/".
	Head, Base string
	// Number of the pull request; 0 without one.
	Number int

	Message                 string
	AuthorName, AuthorEmail string
	Time                    time.Time
	// Files are the paths that the change touches, with forward slashes. FilesKnown is false where that cannot be told, for
	// example for a new branch; filters on paths then match.
	Files      []string
	FilesKnown bool
	// Dirty: the work folder holds changes that are not committed, and the run includes them.
	Dirty bool
}

// JobScope are the facts of the job being considered.
type JobScope struct {
	Key string
	// ID is the path of keys with legs, as in "call (a) / build (1)".
	ID string
	// Container and Services are set while the job runs in or beside containers.
	Container *RunningContainer
	Services  map[string]RunningContainer
	// File is the path or reference of the file that defines the job.
	File string
}

// RunningContainer are the facts of a started container.
type RunningContainer struct {
	ID      string
	Network string
	// Ports maps the container's port ("5432") to the one on the machine.
	Ports map[string]string
}

// StrategyScope are the facts of the leg being considered.
type StrategyScope struct {
	Index, Total, MaxParallel int
	FailFast                  bool
}

// Result is the outcome of a job, all of its legs taken together.
type Result struct {
	Key string `json:"key"`
	// Direct: the job being considered names it in its needs.
	Direct  bool   `json:"direct,omitempty"`
	Status  Status `json:"status"`
	Outputs *Map   `json:"outputs,omitempty"`
}

// StepResult is the outcome of a step.
type StepResult struct {
	// Outcome is the result before continue-on-error is considered, Conclusion the one after.
	Outcome, Conclusion Status
	Outputs             *Map
}

// ActionScope are the facts of the action being run.
type ActionScope struct {
	// Path is the action's folder, as processes of the job see it.
	Path string
	// Repository ("owner/name") and Ref of an action from elsewhere.
	Repository, Ref string
}

// Machine is where a job's processes run, with absolute paths as they see them.
type Machine struct {
	// OS is "Linux", "macOS" or "Windows"; Arch is "X64", "ARM64", "X86" or "ARM".
	OS, Arch string
	Name     string
	Labels   []string
	// Workspace is the work folder, Temp a folder that is emptied with the job, Tools where set-up actions keep tools, Home the home folder.
	Workspace, Temp, Tools, Home string
	// Control is where the runner puts scripts and command files, which are small and many; empty: Temp.
	Control string
	// EventFile holds the event's payload as JSON.
	EventFile string
}

// Memo keeps values that are computed once. The zero Memo is ready, and safe for concurrent use.
type Memo struct{ values sync.Map }

// Do returns the value kept under key, which must be comparable, computing it at the first call.
func (m *Memo) Do(key any, compute func() any) any {
	if v, ok := m.values.Load(key); ok {
		return v
	}
	v, _ := m.values.LoadOrStore(key, compute())
	return v
}
