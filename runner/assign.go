package runner

import (
	"context"

	"github.com/gantry-ops/gantry/pipeline"
)

// Assignment is one leg of a run that is to be run elsewhere: where it stands, what whoever places it has to know, and what it
// has to know of the jobs before it. With the same files of the same commit, [RunAssigned] runs it in any process. It survives a
// round trip through JSON.
type Assignment struct {
	// ID is the path of keys with legs, unique in the run and the same each time that the run's files are read:
	// "call (a) / build (1)". Key is the path without legs, Name the display name, Leg the suffix that names the leg.
	ID   string `json:"id"`
	Key  string `json:"key"`
	Name string `json:"name"`
	Leg  string `json:"leg,omitempty"`
	// Path leads from the pipeline that was started through calls to the leg.
	Path []Stop `json:"path"`
	// Needs are the display names of what the job waited for.
	Needs []string `json:"needs,omitempty"`
	// RunsOn are the labels of the machine wanted.
	RunsOn []string `json:"runs_on,omitempty"`
	// Environment is the name of the environment that the job deploys to; empty for most.
	Environment string `json:"environment,omitempty"`
	// Manual: a person has to start the job.
	Manual bool `json:"manual,omitempty"`
	// Tolerated: a failure does not fail what is above.
	Tolerated bool `json:"tolerated,omitempty"`
	// Rank: see JobSpec.
	Rank int `json:"rank,omitempty"`
}

// Stop is one job on the way to a leg.
type Stop struct {
	// Job is the key of the job in its pipeline, Leg the suffix of its leg as the matrix names it, with the blank before it.
	Job string `json:"job"`
	Leg string `json:"leg,omitempty"`
	// Upstream are the results of all jobs before it, as the scope of its expressions has them.
	Upstream []pipeline.Result `json:"upstream,omitempty"`
}

// Outcome is how an assigned leg ended.
type Outcome struct {
	Status pipeline.Status `json:"status"`
	Reason string          `json:"reason,omitempty"`
	// Outputs go to the jobs that need this one. An output that holds a secret is left out.
	Outputs *pipeline.Map `json:"outputs,omitempty"`
}

// Dispatcher runs legs elsewhere.
type Dispatcher interface {
	// Dispatch has a leg run and returns when it has ended. It is called once for each leg that runs, as soon as the leg may run,
	// from any number of goroutines; where the leg runs and when is the dispatcher's business, and so are the events of the leg
	// (JobStarted to JobFinished). A leg that has ended before, in an earlier life of this run, is answered by its recorded outcome.
	// When ctx ends the leg is cancelled; Dispatch still returns only when it has ended. An error fails the leg.
	Dispatch(ctx context.Context, a Assignment) (Outcome, error)
}
