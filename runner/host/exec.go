package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// Exit codes that shells give to what could not be run (POSIX, Shell Command Language, 2.8.2).
const (
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignalled     = 128 // plus the signal
)

// Exec implements [runner.Workspace].
func (w *Workspace) Exec(ctx context.Context, cmd runner.Command, stdio runner.Stdio) (runner.Exit, error) {
	if ctx.Err() != nil || closed(cmd.Kill) {
		return runner.Exit{Code: exitSignalled + int(syscall.SIGINT), Reason: "cancelled before it was started", Cancelled: true}, nil
	}
	file, env, exit := w.resolve(cmd)
	if exit != nil {
		return *exit, nil
	}
	c, err := connect(stdio)
	if err != nil {
		return runner.Exit{}, fmt.Errorf("connect %q: %w", cmd.Argv[0], err)
	}
	if stdio.Terminal != nil && os.Getenv("TERM") != "" && !hasVariable(cmd.Env, "TERM") {
		env = append(env, "TERM="+os.Getenv("TERM"))
	}
	started := w.executor.turns.take(toStart, 0)
	p, err := os.StartProcess(file, cmd.Argv, &os.ProcAttr{Dir: cmd.Dir, Env: env, Files: c.files, Sys: processAttr(stdio.Terminal)})
	started()
	c.started()
	if err != nil {
		c.abandon()
		return notStarted(cmd, file, err)
	}
	c.run()
	state, cancelled, err := await(ctx, p, cmd)
	c.ended(stdio.Terminal)
	w.keepGroup(p.Pid)
	if c.out != nil && !c.out.deliver() {
		w.mu.Lock()
		w.rest = append(w.rest, c.out)
		w.mu.Unlock()
	}
	if err != nil {
		return runner.Exit{}, fmt.Errorf("wait for %q: %w", cmd.Argv[0], err)
	}
	e := exitOf(state)
	e.Cancelled = cancelled
	return e, nil
}

// await returns when the process has ended. Where the system can, its state is only taken when no signal is to be sent any
// more: until then its number is nobody else's.
func await(ctx context.Context, p *os.Process, cmd runner.Command) (state *os.ProcessState, cancelled bool, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		state, err = waitForExit(p)
	}()
	stages := []struct {
		signal stopSignal
		wait   time.Duration
	}{{interrupt, cmd.Interrupt}, {terminate, cmd.Terminate}, {kill, 0}}
	var timer *time.Timer
	var due <-chan time.Time
	escalate := func() {
		for len(stages) > 0 {
			s := stages[0]
			stages = stages[1:]
			signalGroup(p, s.signal)
			if s.wait > 0 {
				timer = time.NewTimer(s.wait)
				due = timer.C
				return
			}
		}
		due = nil
	}
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	stop, killNow := ctx.Done(), cmd.Kill
	for {
		select {
		case <-ended:
			if state == nil && err == nil {
				state, err = p.Wait()
			}
			return state, cancelled, err
		case <-stop:
			stop, cancelled = nil, true
			escalate()
		case <-due:
			escalate()
		case <-killNow:
			stop, killNow, due, cancelled = nil, nil, nil, true
			signalGroup(p, kill)
		}
	}
}

// resolve finds the program of a command and makes its environment; exit says why it cannot be run.
func (w *Workspace) resolve(cmd runner.Command) (file string, env []string, exit *runner.Exit) {
	fail := func(code int, format string, args ...any) (string, []string, *runner.Exit) {
		return "", nil, &runner.Exit{Code: code, Reason: fmt.Sprintf(format, args...)}
	}
	if len(cmd.Argv) == 0 || cmd.Argv[0] == "" {
		return fail(exitNotFound, "the command is empty")
	}
	program := cmd.Argv[0]
	info, err := os.Stat(cmd.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fail(exitNotExecutable, "working directory %q does not exist", cmd.Dir)
	case err != nil:
		return fail(exitNotExecutable, "working directory: %v", err)
	case !info.IsDir():
		return fail(exitNotExecutable, "working directory %q is not a folder", cmd.Dir)
	}
	for _, a := range cmd.Argv {
		if strings.IndexByte(a, 0) >= 0 {
			return fail(exitNotExecutable, "an argument of %q has a NUL byte in it", program)
		}
	}
	path := ""
	env, bad := makeEnv(cmd.Env, cmd.Dir, w.tracking, &path)
	if bad != "" {
		return fail(exitNotExecutable, "variable %q cannot be passed on: a name or value with a NUL byte, or a name with \"=\"", bad)
	}
	file, err = lookPath(program, path, cmd.Dir)
	switch {
	case errors.Is(err, errNotExecutable):
		return fail(exitNotExecutable, "program %q is not executable", program)
	case err != nil:
		return fail(exitNotFound, "program %q not found", program)
	}
	return file, env, nil
}

// makeEnv makes the environment of a process: a later variable replaces an earlier one of the same name. bad is the name of
// a variable that no process can have.
func makeEnv(vars []pipeline.EnvVar, dir, tracking string, path *string) (env []string, bad string) {
	env = make([]string, 0, len(vars)+3)
	at := make(map[string]int, len(vars)+2)
	set := func(name, value string) {
		name = fold(name)
		if i, ok := at[name]; ok {
			env[i] = name + "=" + value
			return
		}
		at[name] = len(env)
		env = append(env, name+"="+value)
	}
	for _, v := range vars {
		if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.IndexByte(v.Value, 0) >= 0 {
			return nil, v.Name
		}
		if fold(v.Name) == "PATH" {
			*path = v.Value
		}
		set(v.Name, v.Value)
	}
	set("PWD", dir) // as a shell would have it; a folder may be reached by links
	set(Tracking, tracking)
	return env, ""
}

func hasVariable(env []pipeline.EnvVar, name string) bool {
	for _, v := range env {
		if v.Name == name {
			return true
		}
	}
	return false
}

// notStarted makes an exit of the system's refusal to start a program, or an error where it is not the program's fault.
func notStarted(cmd runner.Command, file string, err error) (runner.Exit, error) {
	program := cmd.Argv[0]
	exit := runner.Exit{Code: exitNotExecutable}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		exit.Code = exitNotFound
		exit.Reason = fmt.Sprintf("program %q cannot be started: what its first line (#!) or its loader names is not there", program)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		exit.Reason = fmt.Sprintf("program %q cannot be started: permission denied for %s", program, file)
	case errors.Is(err, syscall.ENOEXEC):
		exit.Reason = fmt.Sprintf("program %q cannot be started: %s is neither a program of this machine nor a script that begins with #!", program, file)
	case errors.Is(err, syscall.E2BIG):
		exit.Reason = fmt.Sprintf("program %q cannot be started: its arguments and environment (%d bytes) are more than the system takes", program, size(cmd))
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return runner.Exit{}, fmt.Errorf("start %q: the machine is out of processes, files or memory: %w", program, err)
	default:
		exit.Reason = fmt.Sprintf("program %q cannot be started: %v", program, err)
	}
	return exit, nil
}

func size(cmd runner.Command) int {
	n := 0
	for _, a := range cmd.Argv {
		n += len(a) + 1
	}
	for _, v := range cmd.Env {
		n += len(v.Name) + len(v.Value) + 2
	}
	return n
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// connection is what a process is connected to.
type connection struct {
	files []*os.File
	// ours are the ends that only the process needs: closed once it has been started.
	ours []*os.File
	out  *output
	in   io.Reader
	feed *os.File
}

func connect(stdio runner.Stdio) (*connection, error) {
	c := &connection{}
	if t := stdio.Terminal; t != nil {
		c.files = []*os.File{t, t, t}
		return c, nil
	}
	fail := func(err error) (*connection, error) {
		c.started()
		c.abandon()
		return nil, err
	}
	var in *os.File
	var err error
	switch from := stdio.In.(type) {
	case nil:
		if in, err = os.Open(os.DevNull); err != nil {
			return fail(err)
		}
		c.ours = append(c.ours, in)
	case *os.File:
		in = from
	default:
		var r *os.File
		if r, c.feed, err = os.Pipe(); err != nil {
			return fail(err)
		}
		in, c.in = r, from
		c.ours = append(c.ours, r)
	}
	to := stdio.Out
	if to == nil {
		to = io.Discard
	}
	r, wr, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	c.ours = append(c.ours, wr)
	c.out = newOutput(r, to)
	c.files = []*os.File{in, wr, wr}
	return c, nil
}

// started is called when the process has its files, or will never have.
func (c *connection) started() {
	for _, f := range c.ours {
		f.Close()
	}
}

// abandon is called instead of run when there is no process.
func (c *connection) abandon() {
	if c.feed != nil {
		c.feed.Close()
	}
	if c.out != nil {
		c.out.r.Close()
	}
}

// run begins to move data.
func (c *connection) run() {
	if c.feed != nil {
		go func() {
			io.Copy(c.feed, c.in)
			c.feed.Close()
		}()
	}
	if c.out != nil {
		go c.out.read()
	}
}

// ended is called when the process has ended.
func (c *connection) ended(terminal *os.File) {
	if c.feed != nil {
		c.feed.Close()
	}
	if terminal != nil {
		takeBack(terminal)
	}
}
