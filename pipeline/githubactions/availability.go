package githubactions

import (
	"strings"

	"github.com/gantry-ops/gantry/pipeline/githubactions/expr"
)

// What expressions may use at each place, after the table "Context availability" of the vendor's documentation
// (https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#context-availability).

const (
	statusFunctions = "always cancelled success failure"

	runContexts  = "github inputs vars"
	jobContexts  = runContexts + " needs strategy matrix"
	stepContexts = jobContexts + " secrets steps job runner env"
)

// allow returns an availability of the contexts and functions named, separated by blanks; functions that are available
// everywhere need no mention.
func allow(contexts, functions string) *expr.Availability {
	return &expr.Availability{Contexts: strings.Fields(contexts), Functions: strings.Fields(functions)}
}

func whereRun() *expr.Availability         { return allow(runContexts, "") }
func whereCallInput() *expr.Availability   { return allow(runContexts, "") }
func whereCallOutput() *expr.Availability  { return allow(runContexts+" jobs", "") }
func whereWorkflowEnv() *expr.Availability { return allow(runContexts+" secrets", "") }

func whereJob() *expr.Availability         { return allow(jobContexts, "") }
func whereJobIf() *expr.Availability       { return allow(runContexts+" needs", statusFunctions) }
func whereStrategy() *expr.Availability    { return allow(runContexts+" needs", "") }
func whereJobEnv() *expr.Availability      { return allow(jobContexts+" secrets", "") }
func whereCallSecrets() *expr.Availability { return allow(jobContexts+" secrets", "") }
func whereJobDefaults() *expr.Availability { return allow(jobContexts+" env", "") }
func whereCredentials() *expr.Availability { return allow(jobContexts+" secrets env", "") }
func whereContainerEnv() *expr.Availability {
	return allow(jobContexts+" secrets job runner env", "")
}
func whereJobOutput() *expr.Availability { return allow(stepContexts, "") }
func whereEnvironmentURL() *expr.Availability {
	return allow(jobContexts+" steps job runner env", "")
}

func whereStep() *expr.Availability { return allow(stepContexts, "hashFiles") }
func whereStepIf() *expr.Availability {
	return allow(jobContexts+" steps job runner env", statusFunctions+" hashFiles")
}

// Actions have no secrets, needs and vars of their own.
const actionContexts = "github inputs strategy matrix steps job runner env"

func whereActionStep() *expr.Availability { return allow(actionContexts, "hashFiles") }
func whereActionStepIf() *expr.Availability {
	return allow(actionContexts, statusFunctions+" hashFiles")
}
func whereActionOutput() *expr.Availability { return allow(actionContexts, "") }
func whereActionInput() *expr.Availability {
	return allow("github strategy matrix job runner", "hashFiles")
}
func whereActionIf() *expr.Availability {
	return allow("github inputs strategy matrix job runner env", statusFunctions+" hashFiles")
}
func whereContainerAction() *expr.Availability { return allow("inputs", "") }
