package pipeline

// Pipeline is one file of one format, ready to be planned and run: a graph of jobs with what starts it.
// It is immutable once a front end has returned it and may be shared by concurrent runs.
type Pipeline struct {
	Pos Pos
	// File is the path of the file, relative to the repository's root, with forward slashes.
	File string
	// Name is what people call the pipeline; the file's path where the file gives none.
	Name string
	// RunName is the title of one run; absent where the format or the file has none.
	RunName Value
	// Dialect is the format's part of a run.
	Dialect Dialect

	Triggers []Trigger
	// Inputs, Secrets and Outputs are the signature of a pipeline that others call.
	Inputs  []Input
	Secrets []SecretInput
	Outputs []Output

	// Env evaluates to a mapping of variables for every job.
	Env         Value
	Concurrency *Concurrency
	// Permissions of the job token by scope ("contents": "read"); nil where the file names none.
	Permissions map[string]string

	// Jobs stand in the file's order, keys are unique, and needs name jobs of this list without a cycle.
	Jobs []*Job
}

// Job is a node of the graph: either a tree of steps on one machine, or a call of another pipeline.
type Job struct {
	Pos Pos
	// Key is the job's key in its file, unique within the pipeline.
	Key string
	// Name is the display name; absent: the key. It may use the matrix, and then replaces the suffix that names the leg.
	Name  Value
	Needs []Need
	// If decides whether the job runs; front ends always set it, with the format's default where the file has none.
	If       Value
	Strategy *Strategy

	// RunsOn evaluates to the labels of the machine wanted, a text or a list.
	RunsOn Value
	// Container evaluates to what [DecodeContainer] reads, or to nothing: then the job runs on the machine itself.
	Container Value
	Services  []Service
	// Env evaluates to a mapping of variables for every step.
	Env Value
	// Outputs are evaluated when the steps have ended.
	Outputs []Output
	// ContinueOnError: the pipeline goes on as if the job had succeeded.
	ContinueOnError Value
	// Timeout is in minutes. CancelTimeout, in minutes too, bounds the steps that still run after a cancel; absent: the
	// runner's own bound.
	Timeout, CancelTimeout Value
	Concurrency            *Concurrency
	Environment            *Environment
	// Manual: a person has to start the job; where nobody can, it runs.
	Manual      bool
	Permissions map[string]string
	// Caches are restored before the first step and saved after the last when the job succeeded.
	Caches []Cache
	// Artifacts are stored after the last step.
	Artifacts []Artifact

	Steps []*Step
	// Call makes the job a call; then Steps is empty.
	Call *Call
}

// Need is an edge of the graph.
type Need struct {
	Pos Pos
	Key string
}

// Service is a container beside a job.
type Service struct {
	Pos  Pos
	Name string
	// Container evaluates to what [DecodeContainer] reads; an empty image leaves the service out.
	Container Value
}

// Output is a named result of a job, an action or a called pipeline.
type Output struct {
	Pos         Pos
	Name        string
	Description string
	Value       Value
}

// Call runs another pipeline in a job's place: a reusable workflow, a child pipeline, a stage.
type Call struct {
	Pos Pos
	// Ref is what the file names, for people and for the record.
	Ref      string
	Pipeline *Pipeline
	// Inputs evaluates to a mapping of input names to values.
	Inputs Value
	// Secrets evaluates to a mapping; InheritSecrets hands over all of the caller's instead.
	Secrets        Value
	InheritSecrets bool
}

// Environment is where a job deploys to.
type Environment struct {
	Pos  Pos
	Name Value
	// URL is evaluated when the steps have ended.
	URL Value
}

// Concurrency lets only one of the jobs or runs of a group run at a time.
type Concurrency struct {
	Pos   Pos
	Group Value
	// CancelInProgress cancels the one that runs instead of waiting for it.
	CancelInProgress Value
	// Queue is how many may wait: "single" (or absent), where a newer one takes the place of the one that waits, or "max",
	// where all wait in their order.
	Queue Value
}

// Strategy makes several legs of a job.
type Strategy struct {
	Pos    Pos
	Matrix Matrix
	// FailFast cancels the other legs when one fails.
	FailFast Value
	// MaxParallel bounds how many legs run at a time; absent: no bound.
	MaxParallel Value
}

// Matrix computes the legs of a job when the job becomes ready. It is immutable.
type Matrix interface {
	// Expand returns the legs in their order. While planning it returns [ErrUnknown] where the legs depend on results.
	Expand(*Scope) ([]Leg, error)
}

// Leg is one combination of a matrix.
type Leg struct {
	// Suffix is what the vendor shows after the job's key, such as " (linux, 1.26)"; unique within the job.
	Suffix string
	Values *Map
}

// Input is a typed parameter of a pipeline or an action.
type Input struct {
	Pos         Pos
	Name        string
	Description string
	// Type is "string", "number", "boolean", "choice" or "environment"; empty for actions, whose inputs are all text.
	Type     string
	Required bool
	Default  Value
	// Options are the values allowed of a choice.
	Options []string
	// Deprecated is the message to show when the input is used.
	Deprecated string
}

// SecretInput is a secret that a called pipeline takes.
type SecretInput struct {
	Pos         Pos
	Name        string
	Description string
	Required    bool
}

// Cache is a folder kept between runs.
type Cache struct {
	Pos Pos
	// Key names the cache; entries are immutable.
	Key Value
	// RestoreKeys evaluates to a list of prefixes, tried in order; the newest match wins.
	RestoreKeys Value
	// Paths evaluates to a list of paths and globs, relative to the work folder.
	Paths Value
}

// Artifact is a named set of files that a job leaves behind.
type Artifact struct {
	Pos  Pos
	Name Value
	// Paths evaluates to a list of paths and globs, relative to the work folder; "!" in front excludes.
	Paths Value
}
