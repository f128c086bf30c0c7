//go:build unix

package host

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gantry-ops/gantry/runner"
)

type stopSignal = syscall.Signal

const (
	interrupt = syscall.SIGINT
	terminate = syscall.SIGTERM
	kill      = syscall.SIGKILL
)

// processAttr puts a process into a session of its own, and with a terminal into its foreground.
func processAttr(terminal *os.File) *syscall.SysProcAttr {
	if terminal == nil {
		return &syscall.SysProcAttr{Setsid: true}
	}
	fd := int(terminal.Fd())
	if _, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil {
		return &syscall.SysProcAttr{Setpgid: true, Foreground: true, Ctty: fd}
	}
	if _, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
		return &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0} // a terminal that is not ours
	}
	return &syscall.SysProcAttr{Setsid: true}
}

// takeBack makes this process the foreground of its terminal again.
func takeBack(terminal *os.File) {
	fd := int(terminal.Fd())
	if _, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil {
		return
	}
	// A process in the background that does this is stopped, unless it ignores the signal.
	ignored := signal.Ignored(syscall.SIGTTOU)
	signal.Ignore(syscall.SIGTTOU)
	unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, unix.Getpgrp())
	if !ignored {
		signal.Reset(syscall.SIGTTOU)
	}
}

// signalGroup sends a signal to the group of a process that has not been waited for.
func signalGroup(p *os.Process, s stopSignal) {
	syscall.Kill(-p.Pid, s)
	if s != kill {
		syscall.Kill(-p.Pid, syscall.SIGCONT) // one that was stopped could not react
	}
}

// keepGroup remembers the group of a process that has been waited for, where it has other members: its number is not given
// to another one as long as it has.
func (w *Workspace) keepGroup(pid int) {
	if syscall.Kill(-pid, 0) == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.groups = append(w.groups, pid)
	}
}

// exitOf tells how a process ended.
func exitOf(state *os.ProcessState) runner.Exit {
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		s := status.Signal()
		name := unix.SignalName(s)
		if name == "" {
			name = s.String()
		}
		return runner.Exit{Code: exitSignalled + int(s), Reason: "killed by " + name}
	}
	return runner.Exit{Code: state.ExitCode()}
}

// readAvailable hands on what is in the pipe and reports whether nobody can write to it any longer. It takes no more than what is
// there when it begins: a descendant may go on for ever.
func (o *output) readAvailable() (eof bool) {
	conn, err := o.r.SyscallConn()
	if err != nil {
		return true
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	var left int
	conn.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), ioctlReadable) })
	if err != nil {
		return true
	}
	for {
		var n int
		var readErr error
		err := conn.Read(func(fd uintptr) bool {
			for {
				n, readErr = unix.Read(int(fd), *buf)
				if !errors.Is(readErr, unix.EINTR) {
					return true // never wait
				}
			}
		})
		switch {
		case err != nil:
			return true
		case errors.Is(readErr, unix.EAGAIN):
			return false
		case readErr != nil, n <= 0:
			return true
		}
		o.to.Write((*buf)[:n])
		runtime.KeepAlive(o.r)
		if left -= n; left < 0 {
			return false
		}
	}
}
