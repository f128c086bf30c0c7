package process

import (
	"context"
	"errors"
	"path/filepath"
)

// ErrUnsupported: workloads cannot be supervised on this system.
var ErrUnsupported = errors.New("supervising workloads needs Linux 5.4 or later")

// markerName is the variable that says of a process which instance it came from: STORE/ID/LAUNCH.
const markerName = "GANTRY_INSTANCE"

// host is the operating system, as the supervisor needs it.
type host interface {
	// launch starts a process. An error says in words why it could not be started; then nothing of it is left.
	launch(l launch) (process, error)
	// adopt takes over what was launched before: l with the run that was recorded. Where it is gone, the process that is returned is
	// done already; what it has left behind is among its members.
	adopt(ctx context.Context, l launch, r run) process
	// sweep ends what has this store's marker and is of no current launch (ID to launch). It returns the IDs of what it ended.
	sweep(ctx context.Context, store string, launches map[string]string) ([]int, error)
	// capture reads what instances print from the pipes in a folder, which it makes.
	capture(dir string, log *logs) (capture, error)
	// boot identifies this boot of the machine.
	boot() string
	// free returns which of some TCP ports nobody listens on, and choose that many ports which the kernel has to give.
	free(ports []int) []int
	choose(n int) ([]int, error)
}

// launch is all that a start needs.
type launch struct {
	store, id, nonce string
	// argv's first element is what was asked for; path is the file to execute.
	path   string
	argv   []string
	env    []string
	bundle string
	// home is the instance's folder: work is the working folder, out and err are the pipes.
	home   string
	limits Limits
}

func (l launch) marker() string { return l.store + "/" + l.id + "/" + l.nonce }

func (l launch) work() string { return filepath.Join(l.home, workDir) }

// run is what is recorded of a process, so that another agent finds it and nothing else.
type run struct {
	// Nonce names the start; it is in the marker.
	Nonce string `json:"nonce,omitempty"`
	// PID is 0 before the process was started, and after it ended.
	PID int `json:"pid,omitempty"`
	// Start is the process's start time in clock ticks since boot (proc(5), stat, field 22).
	Start uint64 `json:"start,omitempty"`
	// Boot is the machine's boot ID.
	Boot string `json:"boot,omitempty"`
	// Exe is the file that was executed.
	Exe string `json:"exe,omitempty"`
	// Cgroup is the folder of its cgroup, if it has one.
	Cgroup string `json:"cgroup,omitempty"`
}

// process is one run of a workload: a leader and all that came from it. Its methods may be called by several goroutines, but finish and
// release by one, as the last.
type process interface {
	// run is what to record of it.
	run() run
	// done is closed when the leader has ended.
	done() <-chan struct{}
	// limits says in words what holds which limit.
	limits() []string
	// signal asks all of it to end: each once, and when it is called again those that it has not found before. It is called by one goroutine.
	signal(name string) error
	// members are the process IDs of what lives.
	members() ([]int, error)
	// finish ends what still lives, by force, and tells how the leader ended. After an error, which names what does not end, it may be
	// called again.
	finish(ctx context.Context) (exit, error)
	// release lets go of it and leaves it alone.
	release()
	// listening returns the TCP sockets that it listens on; ok is false where that cannot be seen.
	listening() (sockets []socket, ok bool)
	// owner returns another process that listens on a port; 0 where there is none to be seen.
	owner(port int) (pid int)
	usage() (Usage, error)
	// inside runs a command as a part of it, and returns its exit code and the beginning of what it printed.
	inside(ctx context.Context, l launch) (code int, output []byte, err error)
}

// exit is how a leader ended.
type exit struct {
	// reason in words.
	reason string
	// known is false where somebody else was told. Then clean is false.
	known bool
	// clean: exit code 0.
	clean bool
	// rebooted: the machine was started anew since, which is nobody's fault.
	rebooted bool
	// left are processes that it left behind and that were ended.
	left []int
}

// socket listens for TCP.
type socket struct {
	ip   string
	port int
}

// capture reads the pipes of an instance.
type capture interface {
	// drain returns when all that is in the pipes is in the log. It is called when nothing of the workload lives.
	drain()
	// close stops reading; what is in the pipes stays there for as long as somebody has them open.
	close()
}

func isAbs(path string) bool { return filepath.IsAbs(path) }
