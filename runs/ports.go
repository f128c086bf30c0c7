package runs

import (
	"context"
	"io"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// Sources gives access to the files of projects. It is safe for concurrent use.
type Sources interface {
	// Heads returns the commits of all branches, tags and, where the server offers them, pull requests, by full ref, and the default
	// branch's name.
	Heads(ctx context.Context, p *Project) (refs map[string]string, defaultBranch string, err error)
	// Snapshot makes the files of the project at a commit or ref ("" is the default branch) readable. Where Source.Folder is set it
	// first records the folder's files as they are as a commit, when there is no ref. release gives the folder back.
	Snapshot(ctx context.Context, p *Project, ref string) (s *Snapshot, release func(), err error)
	// ChangedFiles returns the paths, relative to the project, that differ between two commits; known is false where that cannot be
	// told. mergeBase: from where head left base, as for a pull request.
	ChangedFiles(ctx context.Context, p *Project, base, head string, mergeBase bool) (files []string, known bool, err error)
	// Archive serves the repository to workers elsewhere: what git needs to fetch the commit, as a bundle (see git-bundle).
	Archive(ctx context.Context, p *Project, sha string, w io.Writer) error
}

// Snapshot is a project's files at one commit.
type Snapshot struct {
	// Dir is the folder with the files, which must not be changed; it is the project's own, also where Source.Path is set.
	Dir string
	// Repository and Change are the facts that runs are made with; Change.Ref may be empty.
	Repository pipeline.Repository
	Change     pipeline.Change
}

// Formats reads pipelines of all formats. It is safe for concurrent use.
type Formats interface {
	// Pipelines describes those that a folder has, also those with errors.
	Pipelines(ctx context.Context, dir string) ([]PipelineInfo, error)
	// Select returns what a trigger starts, and why it does not start the rest. run gives the facts that the server knows (repository,
	// change with its files, actor, time); each Start has a copy of them completed by the format (event, payload).
	Select(ctx context.Context, dir string, t *Trigger, run *pipeline.Run, vars pipeline.Object) (started []Start, rest []NotStarted, err error)
	// Load reads one pipeline again. An error holds its diagnostics.
	Load(ctx context.Context, dir, file string) (*pipeline.Pipeline, error)
}

// Start is a pipeline that a trigger starts.
type Start struct {
	Pipeline *pipeline.Pipeline
	Run      *pipeline.Run
	Inputs   *pipeline.Map
	// Title is the run's title where the file gives one; empty otherwise.
	Title string
	// Errors are the diagnostics of a file that would be started and cannot be: the run is recorded as failed by them.
	Errors []string
}

// NotStarted is a pipeline that a trigger does not start.
type NotStarted struct {
	File   string `json:"file"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Secrets gives values out to jobs.
type Secrets interface {
	// Values returns the project's secrets for a job of an environment ("" is none), by name; the environment's own win.
	Values(ctx context.Context, project, environment string) (map[string]string, error)
}

// Reporter tells a forge how runs stand.
type Reporter interface {
	// Report sets the commit status of a run, and where the project asks for it brings the pull request's comment up to date with all
	// runs of the commit. It is called again when it fails, and may be called again when it has not.
	Report(ctx context.Context, p *Project, r *Run, jobs []Job, others []Run) error
}

// InvalidError is input that cannot be accepted, and where.
type InvalidError = jobs.InvalidError
