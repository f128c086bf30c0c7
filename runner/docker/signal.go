package docker

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

const (
	// startWait is how long a signal waits for the process to say its ID.
	startWait = 5 * time.Second
	// signalTime bounds the sending of one signal.
	signalTime = 10 * time.Second
)

// signal sends a signal to the process's group. It does its best: whether the process ends is seen by its end.
func (p *process) signal(ctx context.Context, name string) {
	ctx, stop := context.WithTimeout(ctx, signalTime)
	defer stop()
	if p.w.shell == "" {
		p.signalBare(ctx, name)
		return
	}
	t := time.NewTimer(startWait)
	defer t.Stop()
	select {
	case <-p.out.started:
	case <-p.ended:
		return
	case <-t.C:
		return
	}
	_ = p.w.asRoot(ctx, fmt.Sprintf("kill -%s -%d", name, p.out.pid))
}

// signalBare stops a process of an image that has no shell, and so no kill. The engine tells its process ID as its own
// kernel has it: where that is this machine, and this user may, the signal is sent from here. Otherwise only the container as a
// whole can be stopped: at SIGKILL it is, and started anew, so that the job's last steps can run.
func (p *process) signalBare(ctx context.Context, name string) {
	api := p.w.e.api
	got, err := api.ExecInspect(ctx, p.execID, client.ExecInspectOptions{})
	if err != nil || !got.Running {
		return
	}
	if p.w.e.pipes && signalHost(p.w.id, got.PID, name) {
		return
	}
	if name == "KILL" {
		_, _ = api.ContainerKill(ctx, p.w.id, client.ContainerKillOptions{Signal: "KILL"})
		_, _ = api.ContainerStart(ctx, p.w.id, client.ContainerStartOptions{})
	}
}

// asRoot runs a line of shell as root in the container, and waits for it.
func (w *workspace) asRoot(ctx context.Context, script string) error {
	made, err := w.e.api.ExecCreate(ctx, w.id, client.ExecCreateOptions{User: "0:0", AttachStdout: true, AttachStderr: true, WorkingDir: "/", Cmd: []string{w.shell, "-c", script}})
	if err != nil {
		return err
	}
	conn, err := w.e.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Conn.Close() })()
	var out limitedBuffer
	if _, err := stdcopy.StdCopy(&out, &out, conn.Reader); err != nil && err != io.EOF {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	}
	got, err := w.e.api.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err != nil {
		return err
	}
	if got.ExitCode != 0 {
		return fmt.Errorf("status %d: %s", got.ExitCode, out.String())
	}
	return nil
}
