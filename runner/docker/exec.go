package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// The engine starts a process in a container and tells how it ended; it can neither signal it, nor keep the order of its two
// outputs, nor end the connection before the last descendant has closed them. So each process is started by a line of shell
// that makes up for that and then becomes the process:
//
//   - it says its process ID, as the first line of the output: the engine makes it the leader of a session and group of its own;
//   - it joins standard error and standard output, to a named pipe in a mounted folder where the engine is on this machine,
//     which is also faster;
//   - it removes variables of the container that the process is not to have.
//
// An image without a shell can run programs too, without these services; see signalBare for how they are stopped.

// wrapper returns the script; pipe and then the program and its arguments are its parameters.
func wrapper(stdio runner.Stdio, unset []string) string {
	var b strings.Builder
	if stdio.Terminal == nil {
		b.WriteString(`exec 2>&1; [ -z "$1" ] || exec >"$1" 2>&1; `)
	}
	b.WriteString(`shift; echo $$; `)
	if len(unset) > 0 {
		b.WriteString("unset " + strings.Join(unset, " ") + "; ")
	}
	b.WriteString(`exec "$@"`)
	return b.String()
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// unwanted are the container's variables that are not in env.
func (w *workspace) unwanted(env []pipeline.EnvVar) []string {
	have := make(map[string]bool, len(env))
	for _, v := range env {
		have[v.Name] = true
	}
	var out []string
	for _, v := range w.environ {
		if !have[v.Name] && envName.MatchString(v.Name) {
			out = append(out, v.Name)
		}
	}
	return out
}

// process is a process in a container while Exec waits for it.
type process struct {
	w      *workspace
	cmd    runner.Command
	stdio  runner.Stdio
	execID string
	out    *output
	early  limitedBuffer // what came over the engine's connection although output goes through a pipe
	// ended closes when the engine has ended the connection.
	ended chan struct{}
}

// Exec implements [runner.Workspace].
func (w *workspace) Exec(ctx context.Context, cmd runner.Command, stdio runner.Stdio) (runner.Exit, error) {
	if len(cmd.Argv) == 0 {
		return runner.Exit{}, errors.New("execute: no program given")
	}
	if ctx.Err() != nil {
		return runner.Exit{Code: 130, Reason: "cancelled before it started", Cancelled: true}, nil
	}
	argv, exit, ok := w.resolve(ctx, cmd)
	if !ok {
		return exit, nil
	}
	p := &process{w: w, cmd: cmd, stdio: stdio, ended: make(chan struct{})}
	if stdio.Out == nil {
		p.stdio.Out = io.Discard
	}
	// The process is stopped by signals, not by giving up on the calls about it.
	calls := context.WithoutCancel(ctx)
	if err := p.start(calls, argv); err != nil {
		if errdefs.IsConflict(err) || errdefs.IsNotFound(err) {
			err = fmt.Errorf("the job's container does not run any more: %w", err)
		}
		return runner.Exit{}, fmt.Errorf("execute %q: %w", cmd.Argv[0], err)
	}
	stopped, cancelled, err := p.supervise(ctx)
	if err == nil {
		exit, err = p.result(calls, stopped)
	}
	exit.Cancelled = cancelled
	if err != nil {
		p.out.abandon()
		return exit, fmt.Errorf("execute %q: %w", cmd.Argv[0], err)
	}
	return exit, nil
}

// resolve finds the program and checks the folder; where ok is false, the exit says what is wrong.
func (w *workspace) resolve(ctx context.Context, cmd runner.Command) (argv []string, exit runner.Exit, ok bool) {
	program := cmd.Argv[0]
	if cmd.Dir != "" {
		if mode, err := w.lookAt(ctx, cmd.Dir); err != nil || !mode.IsDir() {
			return nil, runner.Exit{Code: 126, Reason: fmt.Sprintf("working directory %q does not exist", cmd.Dir)}, false
		}
	}
	if !strings.Contains(program, "/") {
		file, found := w.LookPath(ctx, program, lookupEnv(cmd.Env, "PATH"))
		if !found {
			return nil, runner.Exit{Code: 127, Reason: fmt.Sprintf("program %q not found", program)}, false
		}
		return append([]string{file}, cmd.Argv[1:]...), exit, true
	}
	file := program
	if !path.IsAbs(file) {
		file = path.Join(cmd.Dir, file)
	}
	mode, err := w.lookAt(ctx, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, runner.Exit{Code: 127, Reason: fmt.Sprintf("program %q not found", program)}, false
	case err == nil && (mode.IsDir() || mode&0o111 == 0):
		return nil, runner.Exit{Code: 126, Reason: fmt.Sprintf("program %q cannot be executed", program)}, false
	}
	return cmd.Argv, exit, true
}

// start makes the process and connects to it.
func (p *process) start(ctx context.Context, argv []string) error {
	w := p.w
	o := client.ExecCreateOptions{AttachStdout: true, AttachStderr: true, AttachStdin: p.stdio.In != nil, Env: envList(p.cmd.Env), WorkingDir: p.cmd.Dir, Cmd: argv}
	tty := p.stdio.Terminal != nil
	if tty {
		o.TTY, o.AttachStdin = true, true
	}
	p.out = newOutput(p.stdio.Out, w.shell != "")
	if tty {
		p.out.to = p.stdio.Terminal
	}
	if w.shell != "" {
		pipe := ""
		if w.e.pipes && !tty {
			var err error
			if pipe, err = p.out.openPipe(w); err != nil {
				return err
			}
		}
		o.Cmd = append([]string{w.shell, "-c", wrapper(p.stdio, w.unwanted(p.cmd.Env)), "sh", pipe}, argv...)
	}
	made, err := w.e.api.ExecCreate(ctx, w.id, o)
	if err != nil {
		p.out.abandon()
		return err
	}
	p.execID = made.ID
	conn, err := w.e.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{TTY: tty})
	if err != nil {
		p.out.abandon()
		return err
	}
	if tty {
		go p.terminal(conn)
		return nil
	}
	if p.stdio.In != nil {
		go func() {
			_, _ = io.Copy(conn.Conn, p.stdio.In) // a process may end without having read everything
			_ = conn.CloseWrite()
		}()
	}
	go func() {
		defer close(p.ended)
		defer conn.Close()
		var to io.Writer = p.out
		if p.out.pipe != nil {
			to = &p.early
		}
		_, _ = stdcopy.StdCopy(to, to, conn.Reader) // how the process ended is asked for afterwards
	}()
	return nil
}

// Waits around the end of a process.
const (
	// killWait is how long a process may take to end after SIGKILL: one that the kernel holds may never.
	killWait = 15 * time.Second
	// inspectFirst and inspectMost bound the pauses between two looks at a process whose connection has ended.
	inspectFirst, inspectMost = time.Millisecond, 100 * time.Millisecond
)

// supervise waits for the process and stops it when it has to. stopped is the last signal sent.
func (p *process) supervise(ctx context.Context) (stopped string, cancelled bool, err error) {
	done, kill := ctx.Done(), p.cmd.Kill
	var next <-chan time.Time // when the next signal is due
	send := func(signal string, wait time.Duration) {
		stopped = signal
		p.signal(context.WithoutCancel(ctx), signal)
		next = time.After(wait)
	}
	for {
		select {
		case <-p.ended:
			return stopped, cancelled, nil
		case <-done:
			done, cancelled = nil, true
			if stopped == "" {
				send("INT", p.cmd.Interrupt)
			}
		case <-kill:
			kill, done, cancelled = nil, nil, true
			send("KILL", killWait)
		case <-next:
			switch stopped {
			case "INT":
				send("TERM", p.cmd.Terminate)
			case "TERM":
				send("KILL", killWait)
			default:
				return stopped, cancelled, errors.New("the process did not end after SIGKILL")
			}
		}
	}
}

// result asks how the process ended, and makes sure that all of its output is delivered.
func (p *process) result(ctx context.Context, stopped string) (runner.Exit, error) {
	var got client.ExecInspectResult
	for pause := inspectFirst; ; pause = min(2*pause, inspectMost) {
		var err error
		if got, err = p.w.e.api.ExecInspect(ctx, p.execID, client.ExecInspectOptions{}); err != nil {
			if errdefs.IsNotFound(err) && stopped == "KILL" {
				// The container had to be restarted to end it.
				p.out.finish()
				return runner.Exit{Code: 137, Reason: "killed by SIGKILL"}, nil
			}
			return runner.Exit{}, fmt.Errorf("ask the Docker engine how it ended: %w", err)
		}
		if !got.Running {
			break
		}
		if err := sleep(p.w.lives, pause); err != nil {
			return runner.Exit{}, err
		}
	}
	p.out.finish()
	exit := runner.Exit{Code: got.ExitCode}
	if p.out.head && !p.out.hasStarted() && stopped == "" {
		exit.Code, exit.Reason = 126, "it could not be started: "+strings.TrimSpace(p.early.String()+p.out.unstarted())
		return exit, nil
	}
	switch {
	case stopped == "KILL" && got.ExitCode == 137:
		exit.Reason = "killed by SIGKILL"
	case stopped == "" && got.ExitCode == 137 && p.w.outOfMemory(ctx):
		exit.Reason = "killed by SIGKILL: the container ran out of memory"
	}
	return exit, nil
}

func (w *workspace) outOfMemory(ctx context.Context) bool {
	got, err := w.e.api.ContainerInspect(ctx, w.id, client.ContainerInspectOptions{})
	return err == nil && got.Container.State != nil && got.Container.State.OOMKilled
}

// limitedBuffer keeps the first bytes written to it.
type limitedBuffer struct{ b []byte }

const limitedBufferSize = 8 << 10

func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b = append(l.b, p[:min(len(p), limitedBufferSize-len(l.b))]...)
	return len(p), nil
}

func (l *limitedBuffer) String() string { return string(l.b) }
