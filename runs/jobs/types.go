package jobs

import (
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runs/logs"
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
type LogLine = logs.Line

// MaxTries is how often a job is handed out whose workers vanish.
const MaxTries = 5
