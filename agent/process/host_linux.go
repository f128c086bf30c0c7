package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// linuxHost starts and finds processes on this machine.
type linuxHost struct {
	store   string
	bootID  string
	cgroups cgroups
	// table is shared by all who measure.
	table table
}

func newHost(_, store, cgroup string) (host, error) {
	// Whatever is signalled and waited for is so by a pidfd.
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	unix.Close(fd)
	boot, err := bootID()
	if err != nil {
		return nil, fmt.Errorf("identify the machine's boot: %w", err)
	}
	return &linuxHost{store: store, bootID: boot, cgroups: findCgroups(cgroup, store)}, nil
}

func (h *linuxHost) boot() string { return h.bootID }

// busyTries is how often a start is tried whose program somebody has open for writing: another child of the agent may have it, until it
// executes its own program.
const (
	busyTries = 20
	busyWait  = 10 * time.Millisecond
)

func (h *linuxHost) launch(l launch) (process, error) {
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer unix.Close(null)
	out, err := ends(l.home)
	if err != nil {
		return nil, err
	}
	defer closeAll(out)
	group, err := h.cgroups.make("gantry-"+l.store+"-"+l.id+"-"+l.nonce, l.limits)
	if err != nil {
		return nil, err
	}
	p := &linuxProcess{h: h, l: l, group: group, child: true, fd: -1, ended: make(chan struct{})}
	sys := &syscall.SysProcAttr{Setsid: true, PidFD: &p.fd}
	if group != nil {
		dir, err := os.Open(group.dir)
		if err != nil {
			group.remove()
			return nil, err
		}
		defer dir.Close()
		sys.UseCgroupFD, sys.CgroupFD = true, int(dir.Fd())
	}
	attr := &syscall.ProcAttr{Dir: l.work(), Env: l.env, Files: []uintptr{uintptr(null), uintptr(out[0]), uintptr(out[1])}, Sys: sys}
	pid, err := h.fork(l, attr)
	if err != nil {
		if group != nil {
			group.remove()
		}
		return nil, explain(l, err)
	}
	p.pid = pid
	p.held = h.cgroups.hold(pid, l.limits)
	// It is our child, so that its ID is its own until it is waited for, and this cannot fail for its end.
	s, err := readStat(pid)
	if err == nil {
		err = p.open()
	}
	if err != nil {
		unix.Kill(-pid, unix.SIGKILL)
		var status unix.WaitStatus
		unix.Wait4(pid, &status, 0, nil)
		if p.fd >= 0 {
			unix.Close(p.fd)
		}
		return nil, fmt.Errorf("look at the new process: %w", err)
	}
	p.start = s.start
	p.r = run{Nonce: l.nonce, PID: pid, Start: s.start, Boot: h.bootID, Exe: executable(pid)}
	if group != nil {
		p.r.Cgroup = group.dir
	}
	return p, nil
}

func (h *linuxHost) fork(l launch, attr *syscall.ProcAttr) (pid int, err error) {
	for n := range busyTries {
		pid, err = syscall.ForkExec(l.path, l.argv, attr)
		if !errors.Is(err, unix.ETXTBSY) {
			break
		}
		if n < busyTries-1 {
			<-time.NewTimer(busyWait).C
		}
	}
	return pid, err
}

// doubtTries is how often a process is looked for that was being started when its agent died. It has the agent's lock until it executes its
// program, but its environment can be read a moment later only.
const (
	doubtTries = 20
	doubtWait  = 10 * time.Millisecond
)

func (h *linuxHost) adopt(ctx context.Context, l launch, r run) process {
	p := &linuxProcess{h: h, l: l, r: r, fd: -1, ended: make(chan struct{})}
	if r.Cgroup == "" && h.cgroups.dir != "" {
		r.Cgroup = filepath.Join(h.cgroups.dir, "gantry-"+l.store+"-"+l.id+"-"+l.nonce)
	}
	if info, err := os.Stat(r.Cgroup); err == nil && info.IsDir() && r.Cgroup != "" {
		p.group = &cgroup{r.Cgroup}
		p.r.Cgroup = r.Cgroup
	}
	switch {
	case r.Boot != h.bootID:
		p.lost, p.rebooted = "was ended by a restart of the machine", true
	case r.PID == 0:
		if !p.find(ctx) {
			p.lost = "was being started when its agent died, and is not there"
		}
	case !p.recognise():
		p.lost = "ended while no agent ran, so that its exit status is not known"
	}
	if p.lost != "" {
		p.r.PID = 0
		close(p.ended)
	}
	p.held = h.cgroups.hold(0, l.limits)
	return p
}

// recognise takes over the recorded process if it is still the same.
func (p *linuxProcess) recognise() bool {
	fd, err := unix.PidfdOpen(p.r.PID, 0)
	if err != nil {
		return false
	}
	// What is read from here on is of the process that the descriptor is of, or of none: its ID is another's only after its end.
	s, err := readStat(p.r.PID)
	own := err == nil && s.ppid == os.Getpid()
	same := err == nil && s.start == p.r.Start && (!s.dead() || own)
	if same && !s.dead() {
		same = marker(s.pid) == p.l.marker() || p.r.Exe != "" && executable(s.pid) == p.r.Exe
	}
	if !same {
		unix.Close(fd)
		return false
	}
	p.fd, p.pid, p.start, p.child = fd, s.pid, s.start, own
	if err := p.open(); err != nil {
		unix.Close(fd)
		p.fd = -1
		return false
	}
	return true
}

// find looks for a process that was started and not recorded: the first of its session, and the oldest that has the marker.
func (p *linuxProcess) find(ctx context.Context) bool {
	for n := range doubtTries {
		if n > 0 {
			select {
			case <-ctx.Done():
				return false
			case <-time.After(doubtWait):
			}
		}
		members, err := p.scan()
		if err != nil {
			continue
		}
		slices.SortFunc(members, func(a, b stat) int {
			if a.start != b.start {
				return int(min(1, max(-1, int64(a.start)-int64(b.start))))
			}
			return a.pid - b.pid
		})
		for _, s := range members {
			if s.session != s.pid {
				continue
			}
			p.r.PID, p.r.Start, p.r.Exe = s.pid, s.start, executable(s.pid)
			if p.recognise() {
				return true
			}
		}
	}
	return false
}

func (h *linuxHost) sweep(ctx context.Context, store string, launches map[string]string) (killed []int, err error) {
	seen := map[int]bool{}
	err = killAll(ctx, func() ([]stat, error) {
		all, err := processes()
		return slices.DeleteFunc(all, func(s stat) bool {
			if s.dead() || s.pid == os.Getpid() {
				return true
			}
			of, rest, ok := strings.Cut(marker(s.pid), "/")
			id, nonce, _ := strings.Cut(rest, "/")
			return !ok || of != store || launches[id] == nonce && nonce != ""
		}), err
	}, seen)
	for pid := range seen {
		killed = append(killed, pid)
	}
	slices.Sort(killed)
	h.sweepCgroups(launches)
	return killed, err
}

// sweepCgroups removes the cgroups of runs that are over.
func (h *linuxHost) sweepCgroups(launches map[string]string) {
	if h.cgroups.dir == "" {
		return
	}
	current := map[string]bool{}
	for id, nonce := range launches {
		current["gantry-"+h.store+"-"+id+"-"+nonce] = true
	}
	names, _ := readNames(h.cgroups.dir)
	for _, name := range names {
		if strings.HasPrefix(name, "gantry-"+h.store+"-") && !current[name] {
			g := &cgroup{filepath.Join(h.cgroups.dir, name)}
			g.kill()
			g.removeSoon()
		}
	}
}

// How long what was killed may take to be gone: the kernel frees its memory first.
const (
	killWait = 10 * time.Second
	killPoll = time.Millisecond
)

// killAll kills what list returns until that is nothing. It adds what it has killed to seen.
func killAll(ctx context.Context, list func() ([]stat, error), seen map[int]bool) error {
	deadline := time.Now().Add(killWait)
	wait := killPoll
	for {
		left, err := list()
		if err == nil && len(left) == 0 {
			return nil
		}
		for _, s := range left {
			if !seen[s.pid] {
				seen[s.pid] = true
				wait = killPoll
			}
			signalOne(s, unix.SIGKILL)
		}
		if time.Now().After(deadline) {
			var pids []int
			for _, s := range left {
				pids = append(pids, s.pid)
			}
			return errors.Join(err, fmt.Errorf("the processes %v do not end, although they were killed", pids))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		wait = min(2*wait, 100*time.Millisecond)
	}
}

func (h *linuxHost) free(ports []int) (free []int) {
	for _, port := range ports {
		l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err == nil {
			l.Close()
			free = append(free, port)
		}
	}
	return free
}

func (h *linuxHost) choose(n int) (ports []int, err error) {
	// All are held until all are chosen, or the kernel may choose one twice.
	for range n {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// lockFolder makes this process the only one that has a folder. The lock ends with the process, and with its children that have not executed
// their program yet: who gets it knows that all of those have.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(lockWait)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				err = ErrLocked
			}
			return nil, err
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("%w: %w", ErrLocked, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct {
	bytes.Buffer
	most int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, b.most-b.Len()))])
	return len(p), nil
}

var _ host = (*linuxHost)(nil)
