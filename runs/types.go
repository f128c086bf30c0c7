package runs

import (
	"encoding/json"
	"time"

	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// The words of the queue of jobs, which are this room's too.
type (
	Status     = jobs.Status
	Job        = jobs.Job
	Step       = jobs.Step
	Annotation = jobs.Annotation
	Artifact   = jobs.Artifact
	TestSuite  = jobs.TestSuite
	TestCase   = jobs.TestCase
	Runner     = jobs.Runner
	LogLine    = jobs.LogLine
	By         = jobs.By
)

// The statuses, see [jobs.Status].
const (
	Pending   = jobs.Pending
	Queued    = jobs.Queued
	Waiting   = jobs.Waiting
	Running   = jobs.Running
	Success   = jobs.Success
	Failure   = jobs.Failure
	Cancelled = jobs.Cancelled
	Skipped   = jobs.Skipped
)

// What callers decide by, see [jobs].
var (
	ErrNotFound = jobs.ErrNotFound
	ErrConflict = jobs.ErrConflict
	ErrFenced   = jobs.ErrFenced
)

// Project is a repository, or a folder of one, whose pipelines are run.
type Project struct {
	// ID names it in addresses: 1 to 64 of a-z, 0-9 and "-", beginning with a letter.
	ID string `json:"id"`
	// Name is shown; empty: the ID.
	Name   string `json:"name"`
	Source Source `json:"source"`
	Forge  Forge  `json:"forge"`
	// Poll is how often the source is looked at for new commits, in seconds; 0: never, webhooks tell.
	Poll int `json:"poll_seconds"`
	// Paused: triggers start nothing; a person still may.
	Paused    bool       `json:"paused"`
	Retention Retention  `json:"retention"`
	CreatedAt store.Time `json:"created_at"`
	UpdatedAt store.Time `json:"updated_at"`
	// Version grows with each change; an update names the one that it was made from.
	Version int64 `json:"version"`
}

// Source is where a project's files come from.
type Source struct {
	// URL is what git clones: https, ssh, file, or a path of the server's machine.
	URL string `json:"url"`
	// Path is the folder of the repository that is the project; empty: all of it.
	Path string `json:"path,omitempty"`
	// Folder: URL is a folder of the server's machine whose files are taken as they are, committed or not.
	Folder bool `json:"folder,omitempty"`
	// DefaultBranch; empty: what the repository says.
	DefaultBranch string `json:"default_branch,omitempty"`
}

// Forge is where statuses and comments go, and whose webhooks are taken. Its token and the webhooks' secret are kept as secrets.
type Forge struct {
	// Kind is "github", "gitlab", "bitbucket", or empty for plain Git.
	Kind string `json:"kind,omitempty"`
	// BaseURL is the API's address; empty: the vendor's own.
	BaseURL string `json:"base_url,omitempty"`
	// Repository is the full name there: "owner/name".
	Repository string `json:"repository,omitempty"`
	// Comment: a pull request gets one comment that says how its runs stand.
	Comment bool `json:"comment,omitempty"`
	// HasToken and HasWebhookSecret say whether they are set; they are never shown.
	HasToken         bool `json:"has_token"`
	HasWebhookSecret bool `json:"has_webhook_secret"`
}

// Retention says how long things are kept, in days; 0: for ever.
type Retention struct {
	Runs      int `json:"runs_days"`
	Logs      int `json:"logs_days"`
	Artifacts int `json:"artifacts_days"`
}

// Environment is a place that jobs deploy to, with what has to be so before one may.
type Environment struct {
	Project string `json:"project"`
	Name    string `json:"name"`
	// Approvals is how many people have to approve; 0: none.
	Approvals int `json:"approvals"`
	// Approvers are accounts that may; empty: all whose role lets them approve.
	Approvers []string `json:"approvers"`
	// NotStarter: who started the run may not approve it.
	NotStarter bool `json:"not_starter"`
	// Wait is how long to wait after all approvals, in minutes.
	Wait int `json:"wait_minutes"`
	// Refs are the only refs that may deploy, as patterns ("refs/heads/release/*"); empty: all.
	Refs []string `json:"refs"`
	// Expire is after how many hours an approval that nobody gave is refused; 0: 720.
	Expire    int        `json:"expire_hours"`
	UpdatedAt store.Time `json:"updated_at"`
}

// Variable is a value for the vars context; it is no secret.
type Variable struct {
	Project string `json:"project"`
	// Environment restricts it to jobs of that environment; empty: all jobs.
	Environment string     `json:"environment,omitempty"`
	Name        string     `json:"name"`
	Value       string     `json:"value"`
	UpdatedAt   store.Time `json:"updated_at"`
}

// Run is one run of one pipeline for one commit.
type Run struct {
	// ID is a number that grows, as text.
	ID      string `json:"id"`
	Project string `json:"project"`
	// Pipeline is its name, File its path in the project.
	Pipeline string `json:"pipeline"`
	File     string `json:"file"`
	// Number counts the runs of the pipeline from 1, Attempt those of this run from 1.
	Number  int `json:"number"`
	Attempt int `json:"attempt"`
	// Title is the first line of the commit's message, or what the pipeline's file says.
	Title  string `json:"title"`
	Status Status `json:"status"`
	// Reason says why it did not succeed or was not started.
	Reason string `json:"reason,omitempty"`
	// Cancelling: somebody asked to cancel, and clean-up still runs.
	Cancelling bool `json:"cancelling,omitempty"`
	// Event is the event's name in the format's words, Ref the full ref, Branch its short name, SHA the commit.
	Event  string `json:"event"`
	Ref    string `json:"ref"`
	Branch string `json:"branch"`
	SHA    string `json:"sha"`
	// PullRequest is its number; 0 for none.
	PullRequest int `json:"pull_request,omitempty"`
	// Actor is who started it, as events name it; StartedBy is the name for people.
	Actor     string `json:"actor"`
	StartedBy string `json:"started_by"`
	// Inputs of a run that a person started.
	Inputs map[string]string `json:"inputs,omitempty"`
	// Jobs counts the attempt's jobs by status.
	Jobs       map[Status]int `json:"jobs"`
	CreatedAt  store.Time     `json:"created_at"`
	StartedAt  store.Time     `json:"started_at"`
	FinishedAt store.Time     `json:"finished_at"`
}

// Approval is asked for before a job may run.
type Approval struct {
	ID          string `json:"id"`
	Project     string `json:"project"`
	Run         string `json:"run"`
	Job         string `json:"job"`
	JobName     string `json:"job_name"`
	RunTitle    string `json:"run_title"`
	Environment string `json:"environment,omitempty"`
	// Manual: the pipeline's file has the job started by a person.
	Manual bool `json:"manual,omitempty"`
	// Status is waiting, success (approved), failure (rejected or expired) or cancelled (the run was cancelled).
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
	// Required is how many people have to approve.
	Required  int        `json:"required"`
	Decisions []Decision `json:"decisions"`
	// StartedBy is who started the run; NotStarter says that this person may not approve.
	StartedBy  string     `json:"started_by"`
	NotStarter bool       `json:"not_starter,omitempty"`
	Approvers  []string   `json:"approvers,omitempty"`
	CreatedAt  store.Time `json:"created_at"`
	ExpiresAt  store.Time `json:"expires_at"`
	DecidedAt  store.Time `json:"decided_at"`
}

// Decision is what one person said to an approval.
type Decision struct {
	Actor   string     `json:"actor"`
	Approve bool       `json:"approve"`
	Comment string     `json:"comment,omitempty"`
	At      store.Time `json:"at"`
}

// PipelineInfo is a pipeline that a project has at a ref.
type PipelineInfo struct {
	File string `json:"file"`
	Name string `json:"name"`
	// Events are those that start it; Manual says whether a person can, with Inputs.
	Events    []string       `json:"events"`
	Manual    bool           `json:"manual"`
	Inputs    []InputInfo    `json:"inputs"`
	Schedules []ScheduleInfo `json:"schedules"`
	// Errors are the file's diagnostics, located; a file with errors is not run.
	Errors []string `json:"errors"`
}

// InputInfo is an input of a pipeline.
type InputInfo struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Type is "string", "boolean", "number", "choice" or "environment".
	Type     string   `json:"type"`
	Required bool     `json:"required"`
	Default  string   `json:"default,omitempty"`
	Options  []string `json:"options,omitempty"`
}

// ScheduleInfo is a time at which a pipeline runs.
type ScheduleInfo struct {
	Cron     string     `json:"cron"`
	TimeZone string     `json:"time_zone"`
	Next     store.Time `json:"next"`
}

// Delivery is a webhook that was taken, or refused.
type Delivery struct {
	// ID is the forge's own.
	ID      string `json:"id"`
	Project string `json:"project"`
	Event   string `json:"event"`
	// Outcome is "started", "ignored" or "refused"; Reason says why.
	Outcome string     `json:"outcome"`
	Reason  string     `json:"reason,omitempty"`
	Runs    []string   `json:"runs"`
	At      store.Time `json:"at"`
}

// Overview is what a person sees first.
type Overview struct {
	// Red are the newest runs of pipelines on default branches that failed; Active are those that run or are queued.
	Red     []Run      `json:"red"`
	Active  []Run      `json:"active"`
	Recent  []Run      `json:"recent"`
	Waiting []Approval `json:"waiting"`
	// Days are counts of the ended runs of the last 14 days, the oldest first.
	Days []DayCount `json:"days"`
	// Queue is how many jobs wait for a runner, Busy how many run, Places how many can.
	Queue  int `json:"queue"`
	Busy   int `json:"busy"`
	Places int `json:"places"`
}

// DayCount counts a day's ended runs; the day is a date in UTC.
type DayCount struct {
	Day     string `json:"day"`
	Success int    `json:"success"`
	Failure int    `json:"failure"`
	Other   int    `json:"other"`
	// Seconds is the median duration of the day's successful runs.
	Seconds float64 `json:"seconds"`
}

// Trigger asks for runs: what a forge, a poller, a schedule or a person reports of a project.
type Trigger struct {
	Project string `json:"project"`
	// Event in the neutral words of the house, which formats translate: "push", "tag", "pull_request", "schedule", "manual".
	Event string `json:"event"`
	// Action is the activity: "opened", "synchronize"; Cron the line that was due.
	Action string `json:"action,omitempty"`
	Cron   string `json:"cron,omitempty"`
	// Ref is the full ref, SHA the commit, Before the one before (empty or zeros: none).
	Ref    string `json:"ref"`
	SHA    string `json:"sha,omitempty"`
	Before string `json:"before,omitempty"`
	// PullRequest, with HeadRef and BaseRef (branches), for pull requests. Fork: the head is in another repository, whose runs get no
	// secrets.
	PullRequest int    `json:"pull_request,omitempty"`
	HeadRef     string `json:"head_ref,omitempty"`
	BaseRef     string `json:"base_ref,omitempty"`
	BaseSHA     string `json:"base_sha,omitempty"`
	Fork        bool   `json:"fork,omitempty"`
	// File restricts to one pipeline (manual, schedule); Inputs are a person's.
	File   string            `json:"file,omitempty"`
	Inputs map[string]string `json:"inputs,omitempty"`
	// Actor as events name it, ActorName for people. Account is the account behind it, where there is one: by it is known who may
	// not approve.
	Actor     string `json:"actor"`
	ActorName string `json:"actor_name"`
	Account   string `json:"account,omitempty"`
	// Payload is the forge's own document, where there is one.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Delivery identifies the report: the same one starts nothing twice. Empty: none.
	Delivery string `json:"delivery,omitempty"`
}

// Defaults.
const (
	// DefaultExpire is after how long an approval that nobody gave is refused.
	DefaultExpire = 30 * 24 * time.Hour
)
