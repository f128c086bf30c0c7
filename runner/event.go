package runner

import (
	"time"

	"github.com/gantry-ops/gantry/pipeline"
)

// EventType names what an Event tells of.
type EventType string

// The types of events. A run.started comes first and a run.finished last; a job's events lie between its job.started and its
// job.finished (a job that is skipped has only the latter), a step's likewise.
const (
	RunStarted   EventType = "run.started"
	JobStarted   EventType = "job.started"
	StepStarted  EventType = "step.started"
	Log          EventType = "log"
	Annotated    EventType = "annotation"
	StepFinished EventType = "step.finished"
	JobFinished  EventType = "job.finished"
	RunFinished  EventType = "run.finished"
)

// Event is one thing that happened in a run. Its JSON form is the line of `gantry run --output json`. All texts are masked.
type Event struct {
	Time time.Time `json:"time"`
	Type EventType `json:"type"`
	// Run is the run's ID.
	Run string `json:"run,omitempty"`
	// Workflow is the name of the pipeline.
	Workflow string `json:"workflow,omitempty"`
	// Job is the display name of the job, JobID the key in its file; jobs of a called pipeline have the caller's in front,
	// separated by " / ". Leg is the suffix that names the leg of a matrix, without the blank before it.
	Job   string `json:"job,omitempty"`
	JobID string `json:"job_id,omitempty"`
	Leg   string `json:"leg,omitempty"`
	// Path is the path of keys with legs, as in [Assignment.ID]. It is for whoever coordinates the run, and not part of the JSON form.
	Path string `json:"-"`
	// Step is the display name, StepID the ID, Number the place among the job's steps, from 1.
	Step   string `json:"step,omitempty"`
	StepID string `json:"step_id,omitempty"`
	Number int    `json:"number,omitempty"`
	// Status of a finished step, job or run.
	Status pipeline.Status `json:"status,omitempty"`
	// Tolerated: the failure does not fail what is above (continue-on-error).
	Tolerated bool `json:"tolerated,omitempty"`
	// Reason says why something was skipped, cancelled or failed.
	Reason string `json:"reason,omitempty"`
	// Exit is the exit code of a step's last process; absent for a step without one.
	Exit *int `json:"exit,omitempty"`
	// Duration in seconds.
	Duration float64 `json:"duration,omitempty"`
	// Line is one line of output, without its end.
	Line string `json:"line,omitempty"`
	// Group is "begin" or "end" on the log lines that open and close a foldable group; Line is the title.
	Group      string               `json:"group,omitempty"`
	Annotation *pipeline.Annotation `json:"annotation,omitempty"`
	// Needs are the display names of the jobs that a job waited for, on job.finished.
	Needs []string `json:"needs,omitempty"`
	// Outputs and Summary (Markdown) of a finished job; EnvironmentURL of a deployment.
	Outputs        map[string]string `json:"outputs,omitempty"`
	Summary        string            `json:"summary,omitempty"`
	Environment    string            `json:"environment,omitempty"`
	EnvironmentURL string            `json:"environment_url,omitempty"`
	// Artifacts that the job stored, on job.finished.
	Artifacts []string `json:"artifacts,omitempty"`
	// Actions are the remote actions used with the commits they were resolved to, on job.finished.
	Actions map[string]string `json:"actions,omitempty"`
	// Notice: what Gantry itself has to say about a step or job, on log events; never a process's output.
	Notice bool `json:"notice,omitempty"`
}

// Sink takes the events of a run. Calls are concurrent for different jobs and in order for one; a sink that blocks slows the run
// down, so that memory stays flat.
type Sink interface {
	Emit(Event)
	// Lines takes whole lines of a step's output, each ended by a line feed, masked. head holds the fields that an Event for
	// each line would have in common (Type is Log); lines is only valid during the call.
	Lines(head *Event, lines []byte)
}
