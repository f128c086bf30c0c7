package docker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// modes are the two ways in which output travels.
func modes(t *testing.T, f func(t *testing.T, e *Engine)) {
	for _, pipes := range []bool{true, false} {
		t.Run(fmt.Sprintf("pipes=%v", pipes), func(t *testing.T) {
			e := needEngine(t, Options{})
			if pipes && !e.pipes {
				t.Skip("skipping output by pipes: the engine is on another machine")
			}
			e.pipes = pipes
			f(t, e)
		})
	}
}

func TestExec(t *testing.T) {
	modes(t, func(t *testing.T, e *Engine) {
		ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell, Env: []pipeline.EnvVar{{Name: "FROM_JOB", Value: "a b"}}}))
		env := ws.Environ()
		for _, tt := range []struct {
			name string
			cmd  runner.Command
			in   string
			want string
			exit runner.Exit
		}{
			{name: "environment and folder", cmd: runner.Command{Argv: []string{"sh", "-c", `echo "$FROM_IMAGE $FROM_JOB $HOME"; pwd`}, Dir: "/__w/demo/demo", Env: env}, want: "yes a b /github/home\n/__w/demo/demo\n"},
			{name: "only the variables given", cmd: runner.Command{Argv: []string{"/bin/sh", "-c", `echo "[$FROM_IMAGE$FROM_JOB] $X"`}, Dir: "/", Env: []pipeline.EnvVar{{Name: "PATH", Value: "/bin"}, {Name: "X", Value: "1\n2"}}}, want: "[] 1\n2\n"},
			{name: "outputs in order", cmd: runner.Command{Argv: []string{"sh", "-c", `for i in 1 2 3 4 5 6 7 8 9; do echo out$i; echo err$i >&2; done`}, Dir: "/", Env: env}, want: "out1\nerr1\nout2\nerr2\nout3\nerr3\nout4\nerr4\nout5\nerr5\nout6\nerr6\nout7\nerr7\nout8\nerr8\nout9\nerr9\n"},
			{name: "status", cmd: runner.Command{Argv: []string{"sh", "-c", "exit 7"}, Dir: "/", Env: env}, exit: runner.Exit{Code: 7}},
			{name: "own signal", cmd: runner.Command{Argv: []string{"sh", "-c", "kill -TERM $$"}, Dir: "/", Env: env}, exit: runner.Exit{Code: 143}},
			{name: "input", cmd: runner.Command{Argv: []string{"cat"}, Dir: "/", Env: env}, in: "from outside", want: "from outside"},
			{name: "no input", cmd: runner.Command{Argv: []string{"cat"}, Dir: "/", Env: env}},
			{name: "no line end", cmd: runner.Command{Argv: []string{"echo", "-n", "x"}, Dir: "/", Env: env}, want: "x"},
			{name: "odd arguments", cmd: runner.Command{Argv: []string{"echo", "-n", "a  b", "$HOME", "'\"", ""}, Dir: "/", Env: env}, want: "a  b $HOME '\" "},
			{name: "missing program", cmd: runner.Command{Argv: []string{"zsh"}, Dir: "/", Env: env}, exit: runner.Exit{Code: 127, Reason: `program "zsh" not found`}},
			{name: "missing path", cmd: runner.Command{Argv: []string{"/bin/zsh"}, Dir: "/", Env: env}, exit: runner.Exit{Code: 127, Reason: `program "/bin/zsh" not found`}},
			{name: "a folder", cmd: runner.Command{Argv: []string{"/etc"}, Dir: "/", Env: env}, exit: runner.Exit{Code: 126, Reason: `program "/etc" cannot be executed`}},
			{name: "missing folder", cmd: runner.Command{Argv: []string{"true"}, Dir: "/nowhere", Env: env}, exit: runner.Exit{Code: 126, Reason: `working directory "/nowhere" does not exist`}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				var out logBuffer
				stdio := runner.Stdio{Out: &out}
				if tt.in != "" {
					stdio.In = strings.NewReader(tt.in)
				}
				exit, err := ws.Exec(t.Context(), tt.cmd, stdio)
				if err != nil {
					t.Fatal(err)
				}
				if exit != tt.exit {
					t.Errorf("exit %+v, want %+v", exit, tt.exit)
				}
				if out.String() != tt.want {
					t.Errorf("output %q, want %q", out.String(), tt.want)
				}
			})
		}
	})
}

func TestExecConcurrently(t *testing.T) {
	modes(t, func(t *testing.T, e *Engine) {
		ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				out, exit := sh(t, ws, fmt.Sprintf("echo %d; exit %d", i, i))
				if out != fmt.Sprintln(i) || exit.Code != i {
					t.Errorf("process %d: %q %+v", i, out, exit)
				}
			})
		}
		wg.Wait()
	})
}

// All output is delivered, however much it is and however the end of a pipe's content falls.
func TestExecMuchOutput(t *testing.T) {
	modes(t, func(t *testing.T, e *Engine) {
		ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
		out, exit := sh(t, ws, "seq 1 200000")
		if exit.Code != 0 || strings.Count(out, "\n") != 200000 || !strings.HasSuffix(out, "\n200000\n") || !strings.HasPrefix(out, "1\n2\n") {
			t.Errorf("exit %+v, %d bytes, %d lines", exit, len(out), strings.Count(out, "\n"))
		}
	})
}

// stubborn prints its name when it may be stopped, and what stops it. Its child is in its group.
const stubborn = `trap 'echo INT' INT; trap 'echo TERM' TERM; sleep 1000 & echo ready; while :; do wait; sleep 0.05; done`

func TestExecCancel(t *testing.T) {
	modes(t, func(t *testing.T, e *Engine) {
		ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
		for _, tt := range []struct {
			name, script         string
			interrupt, terminate time.Duration
			kill                 bool
			want                 string
			exit                 runner.Exit
		}{
			{"interrupt", `trap 'echo INT; exit 3' INT; echo ready; while :; do sleep 0.05; done`, time.Minute, time.Minute, false, "INT\n", runner.Exit{Code: 3, Cancelled: true}},
			{"terminate", `trap '' INT; trap 'echo TERM; exit 4' TERM; echo ready; while :; do sleep 0.05; done`, time.Millisecond, time.Minute, false, "TERM\n", runner.Exit{Code: 4, Cancelled: true}},
			{"kill in the end", stubborn, time.Millisecond, time.Millisecond, false, "ready\n", runner.Exit{Code: 137, Reason: "killed by SIGKILL", Cancelled: true}},
			{"kill at once", stubborn, time.Minute, time.Minute, true, "ready\n", runner.Exit{Code: 137, Reason: "killed by SIGKILL", Cancelled: true}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				kill := make(chan struct{})
				var once sync.Once
				out := &logBuffer{seen: func(all string) {
					if strings.Contains(all, "ready") {
						once.Do(func() {
							if tt.kill {
								close(kill)
							} else {
								cancel()
							}
						})
					}
				}}
				exit, err := ws.Exec(ctx, runner.Command{Argv: []string{"sh", "-c", tt.script}, Dir: "/", Env: ws.Environ(), Interrupt: tt.interrupt, Terminate: tt.terminate, Kill: kill}, runner.Stdio{Out: out})
				if err != nil {
					t.Fatal(err)
				}
				if exit != tt.exit {
					t.Errorf("exit %+v, want %+v", exit, tt.exit)
				}
				if got := out.String(); !strings.Contains(got, tt.want) {
					t.Errorf("output %q does not hold %q", got, tt.want)
				}
				if left, _ := sh(t, ws, `ps -o stat,args | grep -v '^Z' | grep '[s]leep 1000'`); left != "" {
					t.Errorf("processes left: %s", left)
				}
			})
		}
	})
}

// A step's descendants neither hold it up nor lose their output.
func TestExecDescendants(t *testing.T) {
	e := needEngine(t, Options{})
	if !e.pipes {
		t.Skip("skipping: the output of descendants is kept only where the engine is on this machine")
	}
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageShell}))
	late := make(chan struct{})
	var once sync.Once
	out := &logBuffer{seen: func(all string) {
		if strings.Contains(all, "late") {
			once.Do(func() { close(late) })
		}
	}}
	exit, err := ws.Exec(t.Context(), runner.Command{Argv: []string{"sh", "-c", `(until [ -e go ]; do sleep 0.05; done; echo late) & echo early`}, Dir: ws.Machine().Workspace, Env: ws.Environ()}, runner.Stdio{Out: out})
	if err != nil || exit.Code != 0 || out.String() != "early\n" {
		t.Fatalf("exit %+v, error %v, output %q", exit, err, out)
	}
	if err := ws.WriteFile(t.Context(), ws.Machine().Workspace+"/go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	<-late
	if got := out.String(); got != "early\nlate\n" {
		t.Errorf("output %q", got)
	}
}

func TestExecWithoutShell(t *testing.T) {
	e := needEngine(t, Options{})
	ws := openJob(t, e, spec(t, &pipeline.ContainerSpec{Image: imageBare}))
	var out logBuffer
	exit, err := ws.Exec(t.Context(), runner.Command{Argv: []string{"echo", "hello"}, Dir: "/", Env: ws.Environ()}, runner.Stdio{Out: &out})
	if err != nil || exit.Code != 0 || out.String() != "hello\n" {
		t.Errorf("exit %+v, error %v, output %q", exit, err, out.String())
	}
	for _, local := range []bool{true, false} {
		e.pipes = local && e.pipes
		kill := make(chan struct{})
		w := ws.(*workspace)
		go func() {
			defer close(kill)
			for t.Context().Err() == nil { // until the process is there
				top, err := e.api.ContainerTop(t.Context(), w.id, client.ContainerTopOptions{})
				if err == nil && len(top.Processes) > 1 {
					return
				}
			}
		}()
		exit, err = ws.Exec(t.Context(), runner.Command{Argv: []string{"sleep", "1000"}, Dir: "/", Env: ws.Environ(), Kill: kill}, runner.Stdio{})
		if err != nil || exit.Code != 137 || !exit.Cancelled {
			t.Errorf("local %v: exit %+v, error %v", local, exit, err)
		}
	}
	if exit, err = ws.Exec(t.Context(), runner.Command{Argv: []string{"echo"}, Dir: "/", Env: ws.Environ()}, runner.Stdio{}); err != nil || exit.Code != 0 {
		t.Errorf("after a kill: exit %+v, error %v", exit, err)
	}
}
