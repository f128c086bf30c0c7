package runner

import (
	"context"

	"github.com/gantry-ops/gantry/pipeline"
)

// Actions runs the steps that call something by reference.
type Actions interface {
	// Prepare is called once for each job before its first step, with all Use steps of its tree. It fetches what is not
	// here yet, and registers work to be done before the first step by calling before. It returns, for the record, the
	// commit that each remote reference was resolved to. An error fails the job; it names the reference at fault.
	Prepare(ctx context.Context, job JobContext, uses []*pipeline.Step) (resolved map[string]string, err error)
	// Run runs one step. The status is the step's; an error means that Gantry could not do its part.
	Run(ctx context.Context, step StepContext, use *pipeline.Use) (pipeline.Status, error)
}

// JobContext is what code that serves steps may know and do about their job. It is safe for concurrent use.
type JobContext interface {
	// ID is unique within the run: the path of keys with legs.
	ID() string
	Pipeline() *pipeline.Pipeline
	Workspace() Workspace
	// Scope returns the scope of the job, before any step.
	Scope() *pipeline.Scope
	// Log shows a line that Gantry itself has to say.
	Log(line string)
	// Mask hides a text in all further output of the run.
	Mask(text string)
	// Before registers a step that runs before the job's first one, in the order of registration (an action's "pre").
	Before(hook Hook)
	// Values keeps what belongs to the job and has to be closed or shared, by a key of the caller's.
	Values() *pipeline.Memo
	// OnClose registers work to be done when the job has ended, whatever its result, in the reverse order.
	OnClose(func(ctx context.Context))
	// AddArtifact records the name of an artifact that was stored, for the job's report.
	AddArtifact(name string)
}

// StepContext is what code that serves one step may know and do. It is safe for concurrent use.
type StepContext interface {
	Job() JobContext
	// Step is the step as the file has it.
	Step() *pipeline.Step
	// Scope returns the scope of the step as it is now, with the step's own env.
	Scope() *pipeline.Scope
	// Exec runs a process with the step's environment, the dialect's command files and commands, masking, logging and the
	// job's limits, and applies the effects to this step. A zero Dir is the work folder. extra comes on top of the
	// environment.
	Exec(ctx context.Context, argv []string, dir string, extra []pipeline.EnvVar) (Exit, error)
	// Environ returns the environment that Exec would give to a process now, the command files aside; extra comes on top.
	Environ(extra []pipeline.EnvVar) []pipeline.EnvVar
	// Apply applies an effect as if a process of this step had asked for it.
	Apply(pipeline.Effect)
	// Log shows a line of output of the step, as if a process had printed it; commands are not interpreted.
	Log(line string)
	// Fail shows an error annotation and returns Failure, for use in a return statement.
	Fail(format string, args ...any) (pipeline.Status, error)
	// Steps runs steps in a scope of their own (a composite action): inputs and action replace those of the scope, step
	// IDs are apart, env set by the steps stays in the job. outputs are evaluated in the inner scope afterwards and become
	// outputs of this step.
	Steps(ctx context.Context, steps []*pipeline.Step, inputs pipeline.Object, action *pipeline.ActionScope, outputs []pipeline.Output) (pipeline.Status, error)
	// After registers a step that runs after the job's last one, in the reverse order of registration (an action's
	// "post"). It runs whatever the result, where its condition holds.
	After(hook Hook)
	// State is what the step has saved for its post step, and what its pre step has saved for it.
	State() map[string]string
	// WithAction returns a context for the same step in which the scope's Action and Inputs are those given.
	WithAction(action *pipeline.ActionScope, inputs pipeline.Object) StepContext
	// Container runs a container of its own beside the job, with the workspace mounted, and treats its output as Exec does.
	Container(ctx context.Context, c ContainerRun) (Exit, error)
}

// Hook is a step that an action adds around the job's steps.
type Hook struct {
	// Step is the step that the hook belongs to; Name is shown.
	Step *pipeline.Step
	Name string
	// If is the condition; absent: always.
	If pipeline.Value
	// State of the step is shared between its hooks and itself.
	Run func(ctx context.Context, step StepContext) (pipeline.Status, error)
}

// ContainerRun is a container that a step runs to its end.
type ContainerRun struct {
	// Image to run; or Build: a folder, as processes of the job see it, with Dockerfile in it.
	Image             string
	Build, Dockerfile string
	Entrypoint        string
	Args              []string
	Env               []pipeline.EnvVar
}

// ContainerEngine is an optional part of an executor's work: running a step's own container. One engine serves all jobs.
type ContainerEngine interface {
	// RunContainer runs c to its end with the workspace's folders mounted, the work folder as /github/workspace, and with the
	// paths in c.Env and c.Args that lie in those folders rewritten to where they are mounted. cmd gives the waits and Kill of
	// a cancel, which works as in [Workspace.Exec].
	RunContainer(ctx context.Context, ws Workspace, c ContainerRun, cmd Command, stdio Stdio) (Exit, error)
}
