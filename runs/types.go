package runs

import (
	"encoding/json"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/store"
)

// Status is the state of a run, a job or a step.
type Status string

// A run is queued, then running, perhaps waiting (for an approval, while nothing of it runs), then ended. A job is pending until all
// that it needs has ended, perhaps waiting for an approval, queued for a worker, running, ended. The last four are ends.
const (
	Pending   Status = "pending"
	Queued    Status = "queued"
	Waiting   Status = "waiting"
	Running   Status = "running"
	Success   Status = Status(pipeline.Success)
	Failure   Status = Status(pipeline.Failure)
	Cancelled Status = Status(pipeline.Cancelled)
	Skipped   Status = Status(pipeline.Skipped)
)

// Ended reports whether nothing changes any more.
func (s Status) Ended() bool {
	return s == Success || s == Failure || s == Cancelled || s == Skipped
}

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

// Job is one leg of one job in one attempt of a run.
type Job struct {
	// ID is unique for ever: RUN.ATTEMPT.N.
	ID      string `json:"id"`
	Run     string `json:"run"`
	Project string `json:"project"`
	Attempt int    `json:"attempt"`
	// Path is the path of keys with legs ("call (a) / build (1)"), Key the one without legs, Leg the leg's suffix, Name is shown.
	Path string `json:"path"`
	Key  string `json:"key"`
	Leg  string `json:"leg,omitempty"`
	Name string `json:"name"`
	// Needs are the IDs of the jobs that it waits for.
	Needs  []string `json:"needs"`
	Status Status   `json:"status"`
	Reason string   `json:"reason,omitempty"`
	// Tolerated: the failure does not fail the run.
	Tolerated bool `json:"tolerated,omitempty"`
	// Try counts how often it was handed to a worker in this attempt.
	Try int `json:"try"`
	// Reused: it did not run in this attempt, its result is that of an earlier one; Origin is the job's ID there, whose log it has.
	Reused bool   `json:"reused,omitempty"`
	Origin string `json:"origin,omitempty"`
	// Critical: it lies on the longest chain of durations through the graph. Set when the run has ended.
	Critical bool     `json:"critical,omitempty"`
	RunsOn   []string `json:"runs_on"`
	Runner   string   `json:"runner,omitempty"`
	// Environment that it deploys to.
	Environment    string `json:"environment,omitempty"`
	EnvironmentURL string `json:"environment_url,omitempty"`
	// Summary is Markdown.
	Summary   string   `json:"summary,omitempty"`
	Artifacts []string `json:"artifacts"`
	Steps     []Step   `json:"steps"`
	// Lines is how many log lines there are so far.
	Lines      int64      `json:"lines"`
	QueuedAt   store.Time `json:"queued_at"`
	StartedAt  store.Time `json:"started_at"`
	FinishedAt store.Time `json:"finished_at"`
}

// Step is one step of a job's current try.
type Step struct {
	// Number is the place among the job's steps, from 1.
	Number    int    `json:"number"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name"`
	Status    Status `json:"status"`
	Reason    string `json:"reason,omitempty"`
	Tolerated bool   `json:"tolerated,omitempty"`
	Exit      *int   `json:"exit,omitempty"`
	// FirstLine is the number of its first log line, 0 while it has none.
	FirstLine  int64      `json:"first_line"`
	StartedAt  store.Time `json:"started_at"`
	FinishedAt store.Time `json:"finished_at"`
}

// Annotation is a remark of a job, with the place that it is about.
type Annotation struct {
	Job     string `json:"job"`
	JobName string `json:"job_name"`
	Step    string `json:"step,omitempty"`
	pipeline.Annotation
}

// Artifact is a named file that a run has left.
type Artifact struct {
	Run     string `json:"run"`
	Attempt int    `json:"attempt"`
	Job     string `json:"job"`
	Name    string `json:"name"`
	// Size in bytes, of the stored archive; Digest is "sha256:…" of it.
	Size      int64      `json:"size"`
	Digest    string     `json:"digest"`
	CreatedAt store.Time `json:"created_at"`
	// ExpiresAt: when it will be thrown away; absent: never.
	ExpiresAt store.Time `json:"expires_at"`
}

// TestSuite is one suite of a JUnit report that a job has left.
type TestSuite struct {
	Job      string     `json:"job"`
	JobName  string     `json:"job_name"`
	Name     string     `json:"name"`
	Tests    int        `json:"tests"`
	Failures int        `json:"failures"`
	Errors   int        `json:"errors"`
	Skipped  int        `json:"skipped"`
	Seconds  float64    `json:"seconds"`
	Cases    []TestCase `json:"cases"`
}

// TestCase is one test of a suite.
type TestCase struct {
	Class string `json:"class,omitempty"`
	Name  string `json:"name"`
	// Status is success, failure or skipped.
	Status  Status  `json:"status"`
	Seconds float64 `json:"seconds"`
	Message string  `json:"message,omitempty"`
	Output  string  `json:"output,omitempty"`
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

// Runner is a machine that takes jobs.
type Runner struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Labels are what a job's runs-on may name; "*" alone: any that no other runner has.
	Labels  []string `json:"labels"`
	OS      string   `json:"os"`
	Arch    string   `json:"arch"`
	Version string   `json:"version"`
	// Places is how many jobs it runs at a time.
	Places int `json:"places"`
	// Embedded: it is part of a server.
	Embedded  bool       `json:"embedded"`
	Online    bool       `json:"online"`
	Jobs      []string   `json:"jobs"`
	LastSeen  store.Time `json:"last_seen"`
	CreatedAt store.Time `json:"created_at"`
}

// LogLine is one line of a job's log.
type LogLine struct {
	// N numbers the lines of the job from 1.
	N    int64      `json:"n"`
	Time store.Time `json:"t"`
	// Step is the number of the step; 0: the job itself.
	Step int `json:"s"`
	// Group is "begin" or "end" on lines that open and close a foldable group; Text is the title then.
	Group string `json:"g,omitempty"`
	// Notice: what Gantry itself says.
	Notice bool `json:"i,omitempty"`
	// Text has its ANSI colours, and no line end.
	Text string `json:"x"`
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
	// Actor as events name it, ActorName for people.
	Actor     string `json:"actor"`
	ActorName string `json:"actor_name"`
	// Payload is the forge's own document, where there is one.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Delivery identifies the report: the same one starts nothing twice. Empty: none.
	Delivery string `json:"delivery,omitempty"`
}

// Defaults.
const (
	// DefaultExpire is after how long an approval that nobody gave is refused.
	DefaultExpire = 30 * 24 * time.Hour
	// MaxTries is how often a job is handed out whose workers vanish.
	MaxTries = 5
)
