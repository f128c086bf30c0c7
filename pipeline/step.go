package pipeline

// Step is a node of a job's tree of steps.
type Step struct {
	Pos Pos
	// ID is unique among the steps of its scope; front ends make one up where the file has none.
	ID string
	// Name is the display name; front ends always set it.
	Name Value
	// If decides whether the step runs; front ends always set it, except for Wait and CancelStep.
	If Value
	// Env evaluates to a mapping of variables for this step alone.
	Env             Value
	ContinueOnError Value
	// Timeout is in minutes.
	Timeout Value
	// Background lets the following steps start while this one runs; see Wait.
	Background bool
	// Do is what the step does: *Script, *Use, *Sequence, *Parallel, *Wait or *CancelStep.
	Do Action
}

// Action is what a step does.
type Action interface{ action() }

// Script is text for a shell.
type Script struct {
	Text Value
	// Shell is the name that [Dialect.Shell] understands; absent or empty: the format's default.
	Shell Value
	// Dir is the working directory, relative to the work folder or absolute.
	Dir Value
}

// Use is a call of an action, task, orb command or plug-in step.
type Use struct {
	Pos Pos
	// Ref is what the file names: "./path", "owner/repo/path@ref", "docker://image".
	Ref string
	// With evaluates to a mapping of inputs.
	With Value
}

// Sequence runs steps one after another, then its post hooks.
type Sequence struct {
	Steps []*Step
	// Post steps run after Steps whatever their result; their conditions see it.
	Post []*Step
}

// Parallel runs steps at the same time and ends with the last of them.
type Parallel struct{ Steps []*Step }

// Wait waits for background steps.
type Wait struct {
	// IDs of steps; empty: all that run.
	IDs []string
}

// CancelStep cancels a background step.
type CancelStep struct{ ID string }

func (*Script) action()     {}
func (*Use) action()        {}
func (*Sequence) action()   {}
func (*Parallel) action()   {}
func (*Wait) action()       {}
func (*CancelStep) action() {}

// ActionDefinition is what a [Use] refers to: the signature of an action and how it runs.
type ActionDefinition struct {
	Pos         Pos
	Name        string
	Description string
	Inputs      []Input
	// Outputs have values only for composite actions; others set them while they run.
	Outputs []Output
	// Runs is *NodeAction, *CompositeAction or *ContainerAction.
	Runs ActionRuns
}

// ActionRuns is how an action runs.
type ActionRuns interface{ actionRuns() }

// NodeAction is a JavaScript action. Paths are relative to the action's folder.
type NodeAction struct {
	// Using is the runtime that the file asks for, such as "node20".
	Using           string
	Pre, Main, Post string
	PreIf, PostIf   Value
}

// CompositeAction is a list of steps with a scope of their own.
type CompositeAction struct{ Steps []*Step }

// ContainerAction runs in a container of its own.
type ContainerAction struct {
	// Image is "docker://name" or the path of a Dockerfile, relative to the action's folder.
	Image string
	// Entrypoint, PreEntrypoint and PostEntrypoint replace the image's.
	Entrypoint, PreEntrypoint, PostEntrypoint string
	PreIf, PostIf                             Value
	// Args are evaluated with the action's inputs.
	Args []Value
	// Env evaluates to a mapping.
	Env Value
}

func (*NodeAction) actionRuns()      {}
func (*CompositeAction) actionRuns() {}
func (*ContainerAction) actionRuns() {}

// Uses returns the steps of a tree that call something by reference, in their order.
func Uses(steps []*Step) []*Step {
	var out []*Step
	for _, s := range steps {
		switch a := s.Do.(type) {
		case *Use:
			out = append(out, s)
		case *Sequence:
			out = append(out, Uses(a.Steps)...)
			out = append(out, Uses(a.Post)...)
		case *Parallel:
			out = append(out, Uses(a.Steps)...)
		}
	}
	return out
}
