package runner

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
)

// Executor opens the places where jobs run.
type Executor interface {
	// Open makes a workspace for one job. It may take long (images are pulled, services become healthy); progress goes to
	// spec.Log. When ctx ends it cleans up and returns ctx's cause. Open may be called concurrently; workspaces share nothing
	// that a job can change. A returned error means that the job cannot run, and says why.
	Open(ctx context.Context, spec JobSpec) (Workspace, error)
}

// JobSpec is what an executor has to know of a job.
type JobSpec struct {
	// RunID and JobID name the job, for folders, labels and messages.
	RunID, JobID string
	// Rank is the length of the longest chain of jobs that had to end before this one could start. Where jobs have to wait for
	// their place, a chain that has come far should go on before others begin.
	Rank int
	// RunsOn are the labels of the machine wanted.
	RunsOn []string
	// Repository is the name of the repository without its owner; work folders are called like it.
	Repository string
	// InPlace, where set, is a folder of this machine that serves as the work folder as it is; it is not removed.
	InPlace string
	// Container is where the steps run; nil: on the machine itself.
	Container *pipeline.ContainerSpec
	// Services to start beside the job, by name, in their order.
	Services []ServiceSpec
	// EventFile is the content of the file with the event's payload.
	EventFile []byte
	// Log takes lines of progress, without line end.
	Log func(line string)
}

// ServiceSpec is a named container beside a job.
type ServiceSpec struct {
	Name string
	pipeline.ContainerSpec
}

// Workspace is one job's place: a work folder and processes. All paths are absolute and as the processes see them, except
// where "host" is said. Exec may be called concurrently (steps may run in parallel). Files written before Exec is called are
// seen by its process, and what a process wrote is seen by ReadFile after Exec has returned.
type Workspace interface {
	// Machine returns the paths and facts; it does not change while the workspace is open.
	Machine() pipeline.Machine
	// Environ are the variables that every process starts with, PATH and HOME among them.
	Environ() []pipeline.EnvVar
	// Container and Services return the facts of started containers; nil where there are none.
	Container() *pipeline.RunningContainer
	Services() map[string]pipeline.RunningContainer
	// LookPath finds a program by the PATH given; ok is false where there is none.
	LookPath(ctx context.Context, program, path string) (file string, ok bool)

	// Exec runs a process in a group of its own and waits for it. The process's result, also when it was killed or
	// could not be found, is the Exit; an error means that the executor itself failed. When ctx is cancelled the group
	// gets SIGINT, after stop.Interrupt SIGTERM, after stop.Terminate SIGKILL; when cmd.Kill closes, SIGKILL at once.
	// Output that the process wrote before it ended is all delivered; Exec does not wait for descendants that keep the
	// pipe open: what they print later goes to the same writer until the workspace closes.
	Exec(ctx context.Context, cmd Command, stdio Stdio) (Exit, error)

	// ReadFile reads a file of at most limit bytes; a larger one is an error. A missing one is fs.ErrNotExist.
	ReadFile(ctx context.Context, path string, limit int64) ([]byte, error)
	// WriteFile makes or replaces a file, with the folders above it.
	WriteFile(ctx context.Context, path string, data []byte, mode os.FileMode) error
	// CopyIn copies a host file or folder to a path, CopyOut the other way; folders merge, symbolic links stay links,
	// modes are kept.
	CopyIn(ctx context.Context, host, path string) error
	CopyOut(ctx context.Context, path, host string) error
	// HostPath returns the host path of a path, where the host can see it.
	HostPath(path string) (host string, ok bool)

	// Close ends what still runs and removes what Open made. It is called with a context of its own, also after a
	// cancel, and may be called only once.
	Close(ctx context.Context) error
}

// Command is a process to run.
type Command struct {
	// Argv is the program and its arguments; a program without a slash is found by the PATH of Env.
	Argv []string
	// Dir is the working directory; it must exist.
	Dir string
	// Env is the whole environment.
	Env []pipeline.EnvVar
	// Interrupt and Terminate are how long to wait after SIGINT and after SIGTERM; zero skips the wait.
	Interrupt, Terminate time.Duration
	// Kill, when closed, ends the process at once. May be nil.
	Kill <-chan struct{}
}

// Stdio is what a process is connected to.
type Stdio struct {
	// In is standard input; nil: empty.
	In io.Reader
	// Out takes standard output and standard error in the order they were written. Writes are not concurrent.
	Out io.Writer
	// Terminal, where set, is connected to all three instead, for a person's shell.
	Terminal *os.File
}

// Exit is how a process ended.
type Exit struct {
	// Code is the exit status; 128 + the signal for a process that a signal ended, 127 for a program that was not found,
	// 126 for one that could not be started.
	Code int
	// Reason says more where Code does not come from the process itself: "killed by SIGKILL", "program \"zsh\" not found".
	Reason string
	// Cancelled: the process was asked to stop because the context ended.
	Cancelled bool
}
