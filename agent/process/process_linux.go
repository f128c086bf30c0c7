package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// linuxProcess is a leader, in a session of its own, and all that came from it.
type linuxProcess struct {
	h     *linuxHost
	l     launch
	r     run
	group *cgroup // nil: none
	held  []string

	// child: it is this process's, so that its ID is its own until it is waited for, and its exit status is known then.
	child bool
	pid   int
	start uint64
	// fd is a pidfd, of which file is the owner; -1 where the process was gone already, for a reason that lost says.
	fd       int
	file     *os.File
	lost     string
	rebooted bool
	ended    chan struct{}

	// asked are those that were signalled, by their start; nil before. asGroup: the leader's group was as a whole. Both are for who signals.
	asked   map[int]uint64
	asGroup bool

	mu     sync.Mutex
	killed bool // by us, before it ended
	// guests are the commands that were run inside: they are members, but not left behind.
	guests map[int]bool
	// left are what was found to be left behind, over several calls of finish.
	left map[int]bool
}

// open begins to wait for the leader.
func (p *linuxProcess) open() error {
	if p.fd < 0 {
		fd, err := unix.PidfdOpen(p.pid, 0)
		if err != nil {
			return err
		}
		p.fd = fd
	}
	// Only a file that does not block is waited for without a thread.
	if err := unix.SetNonblock(p.fd, true); err != nil {
		return err
	}
	p.file = os.NewFile(uintptr(p.fd), "pidfd")
	conn, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	go func() {
		err := conn.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(poll, 0)
			return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
		})
		if err == nil {
			close(p.ended)
		}
	}()
	return nil
}

func (p *linuxProcess) run() run { return p.r }

func (p *linuxProcess) done() <-chan struct{} { return p.ended }

func (p *linuxProcess) limits() []string { return p.held }

func (p *linuxProcess) isDone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// scan returns what lives of it. With a cgroup that is what is in there. Without, it is who has the marker; who is in the leader's session,
// as long as nobody else can have its number; and whoever descends from those.
func (p *linuxProcess) scan() ([]stat, error) {
	if p.group != nil {
		return p.inGroup()
	}
	all, err := processes()
	if err != nil {
		return nil, err
	}
	return p.among(all, p.child || p.fd >= 0 && !p.isDone()), nil
}

func (p *linuxProcess) inGroup() (members []stat, err error) {
	pids, err := p.group.pids()
	if err != nil {
		return nil, err
	}
	for _, pid := range pids {
		s, err := readStat(pid)
		if errors.Is(err, fs.ErrNotExist) || err == nil && s.dead() {
			continue
		}
		if err != nil {
			return nil, err
		}
		members = append(members, s)
	}
	return members, nil
}

// among chooses from all processes.
func (p *linuxProcess) among(all []stat, session bool) (members []stat) {
	want := p.l.marker()
	ours := map[int]bool{}
	for _, s := range all {
		if session && p.pid != 0 && (s.session == p.pid || s.pgrp == p.pid) || s.pid != os.Getpid() && !s.dead() && marker(s.pid) == want {
			ours[s.pid] = true
		}
	}
	for more := true; more; {
		more = false
		for _, s := range all {
			if !ours[s.pid] && ours[s.ppid] {
				ours[s.pid], more = true, true
			}
		}
	}
	for _, s := range all {
		if ours[s.pid] && !s.dead() && s.pid != os.Getpid() {
			members = append(members, s)
		}
	}
	return members
}

func (p *linuxProcess) members() (pids []int, err error) {
	members, err := p.scan()
	for _, s := range members {
		pids = append(pids, s.pid)
	}
	return pids, err
}

// signals are those that a workload may be asked to end by.
var signals = map[string]unix.Signal{
	"TERM": unix.SIGTERM, "INT": unix.SIGINT, "QUIT": unix.SIGQUIT, "HUP": unix.SIGHUP, "USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2,
}

// pidfdGroup makes pidfd_send_signal(2) signal the process group (Linux 6.9): exactly that one, whatever became of its number. A test has
// another value, which no kernel knows.
var pidfdGroup = 1 << 2

// signalGroup signals the leader's group, and reports whether the kernel could.
func (p *linuxProcess) signalGroup(signal unix.Signal) bool {
	if p.fd < 0 {
		return false
	}
	err := unix.PidfdSendSignal(p.fd, signal, nil, pidfdGroup)
	if errors.Is(err, unix.EINVAL) && p.child {
		err = unix.Kill(-p.pid, signal) // not waited for, so that the number is its own
	}
	return err == nil
}

func (p *linuxProcess) signal(name string) error {
	signal := signals[name]
	if p.asked == nil {
		p.asked = map[int]uint64{}
		if p.asGroup = p.signalGroup(signal); p.asGroup {
			p.signalGroup(unix.SIGCONT) // one that was stopped could not react
		}
	}
	members, err := p.scan()
	for _, s := range members {
		// Who came into the group since is a part of its ending.
		if p.asked[s.pid] == s.start || p.asGroup && s.pgrp == p.pid {
			continue
		}
		p.asked[s.pid] = s.start
		e := errors.Join(signalOne(s, signal), signalOne(s, unix.SIGCONT))
		if e != nil && !errors.Is(e, unix.ESRCH) && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("signal process %d: %w", s.pid, e))
		}
	}
	return err
}

func (p *linuxProcess) finish(ctx context.Context) (exit, error) {
	members, err := p.scan()
	if err != nil {
		return exit{}, err
	}
	p.note(members)
	killed := map[int]bool{}
	if p.group != nil {
		p.group.kill()
	}
	p.signalGroup(unix.SIGKILL)
	if err := killAll(ctx, p.scan, killed); err != nil {
		return exit{}, err
	}
	p.reapOrphans(killed)
	select {
	case <-p.ended:
	case <-ctx.Done():
		return exit{}, context.Cause(ctx)
	case <-time.After(killWait):
		return exit{}, fmt.Errorf("process %d does not end, although it was killed", p.pid)
	}
	e := p.exit()
	if p.group != nil {
		p.group.removeSoon() // or by the next agent
	}
	p.release()
	return e, nil
}

// note remembers what the leader has left behind, or that it had not ended.
func (p *linuxProcess) note(members []stat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isDone() {
		p.killed = true
		return
	}
	if p.killed {
		return
	}
	if p.left == nil {
		p.left = map[int]bool{}
	}
	for _, s := range members {
		if !p.guests[s.pid] && !p.guests[s.pgrp] {
			p.left[s.pid] = true
		}
	}
}

// reapOrphans waits for those that were killed and had become this process's children, as all orphans do where it is the first of a container.
func (p *linuxProcess) reapOrphans(killed map[int]bool) {
	for pid := range killed {
		if s, err := readStat(pid); err == nil && s.ppid == os.Getpid() && s.dead() && pid != p.pid && !p.isGuest(pid) {
			var status unix.WaitStatus
			unix.Wait4(pid, &status, unix.WNOHANG, nil)
		}
	}
}

func (p *linuxProcess) isGuest(pid int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.guests[pid]
}

// exit waits for the leader, which has ended, and tells how.
func (p *linuxProcess) exit() exit {
	e := exit{rebooted: p.rebooted}
	for pid := range p.left {
		e.left = append(e.left, pid)
	}
	slices.Sort(e.left)
	memory := p.group != nil && p.group.outOfMemory()
	if p.lost != "" {
		e.reason = p.lost
		return e
	}
	var status unix.WaitStatus
	if p.child {
		for {
			pid, err := unix.Wait4(p.pid, &status, 0, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			e.known = err == nil && pid == p.pid
			break
		}
	}
	switch {
	case memory && (!e.known || status.Signaled() && status.Signal() == unix.SIGKILL):
		e.reason = fmt.Sprintf("was killed, because it needed more memory than its limit of %s", bytesText(p.l.limits.Memory))
	case !e.known && p.killed:
		e.reason = "was killed"
	case !e.known:
		e.reason = "ended; its exit status is not known, because another agent had started it"
	case status.Exited():
		e.clean = status.ExitStatus() == 0
		e.reason = fmt.Sprintf("ended with exit code %d", status.ExitStatus())
	case status.Signaled():
		name := unix.SignalName(status.Signal())
		if name == "" {
			name = fmt.Sprintf("signal %d", status.Signal())
		}
		e.reason = "was killed by " + name
		if status.Signal() == unix.SIGKILL && !p.killed {
			e.reason += ", and not by the agent: by a person, or by the kernel for want of memory"
		}
		if status.CoreDump() {
			e.reason += ", and left a core dump"
		}
	}
	return e
}

func (p *linuxProcess) release() {
	if p.file != nil {
		p.file.Close()
	}
}

// outputMost is how much of a check's output is kept, in bytes.
const outputMost = 4 << 10

// outputWait is how long to wait for the output of a command that has ended, but left it to others.
const outputWait = 500 * time.Millisecond

func (p *linuxProcess) inside(ctx context.Context, l launch) (code int, output []byte, err error) {
	out := &limitedBuffer{most: outputMost}
	fd := -1
	cmd := exec.CommandContext(ctx, l.path)
	cmd.Args, cmd.Env, cmd.Dir = l.argv, l.env, l.work()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = outputWait
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, PidFD: &fd}
	if p.group != nil {
		dir, err := os.Open(p.group.dir)
		if err != nil {
			return 0, nil, err
		}
		defer dir.Close()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	// Until it is waited for, the number is its own; afterwards the descriptor still is.
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	if err := cmd.Start(); err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return 0, nil, explain(l, err)
	}
	pid := cmd.Process.Pid
	p.mu.Lock()
	if p.guests == nil {
		p.guests = map[int]bool{}
	}
	p.guests[pid] = true
	p.mu.Unlock()
	err = cmd.Wait()
	if fd >= 0 {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, pidfdGroup) // what it has left
		unix.Close(fd)
	}
	p.mu.Lock()
	delete(p.guests, pid)
	p.mu.Unlock()
	var failed *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, out.Bytes(), nil
	case errors.As(err, &failed):
		if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), out.Bytes(), nil
		}
		return failed.ExitCode(), out.Bytes(), nil
	}
	return 0, out.Bytes(), err
}

var _ process = (*linuxProcess)(nil)
