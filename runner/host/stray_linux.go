package host

import (
	"bytes"
	"errors"
	"iter"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// killTracked kills the processes whose Tracking has a token, or where the token ends in a slash one that begins so, and returns
// when they are gone or when stop is closed. It looks again until it finds none: a process may have started another meanwhile.
func killTracked(token string, stop <-chan struct{}) {
	var s scan
	killFound(token, s.find, stop)
}

func killFound(token string, find func(token string) []int, stop <-chan struct{}) {
	for {
		pids := find(token)
		if len(pids) == 0 {
			return
		}
		var s scan
		for _, pid := range pids {
			killProcess(pid, func() bool { return s.marked(strconv.Itoa(pid), token) }, stop)
		}
		if closed(stop) {
			return
		}
	}
}

// strays finds the processes of jobs that have ended. Looking through all processes costs milliseconds where there are
// hundreds; jobs that end while somebody looks share the next look.
type strays struct {
	mu      sync.Mutex
	looking bool
	next    *look
}

// look is one pass over all processes, for some tokens.
type look struct {
	found map[string][]int
	done  chan struct{}
}

// kill is killTracked for a whole token.
func (t *strays) kill(token string, stop <-chan struct{}) { killFound(token, t.find, stop) }

// find returns the processes that are marked with a token, by a look that began after the call.
func (t *strays) find(token string) []int {
	t.mu.Lock()
	if t.next == nil {
		t.next = &look{found: map[string][]int{}, done: make(chan struct{})}
	}
	l := t.next
	l.found[token] = nil
	if !t.looking {
		t.looking = true
		go t.look()
	}
	t.mu.Unlock()
	<-l.done
	return l.found[token]
}

// look makes passes as long as somebody asks.
func (t *strays) look() {
	var s scan
	for {
		t.mu.Lock()
		l := t.next
		t.next = nil
		if l == nil {
			t.looking = false
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		for _, pid := range processes() {
			for token := range tokens(s.environ(strconv.Itoa(pid))) {
				if pids, asked := l.found[string(token)]; asked {
					l.found[string(token)] = append(pids, pid)
				}
			}
		}
		close(l.done)
	}
}

// scan looks through the environments of processes.
type scan struct {
	buf []byte
}

// killGroup kills the members of a process group, and returns when they are gone or when stop is closed.
func killGroup(group int, stop <-chan struct{}) {
	if unix.Kill(-group, 0) != nil {
		return // the usual case: they were found by their mark
	}
	member := func(pid int) bool {
		g, err := unix.Getpgid(pid)
		return err == nil && g == group
	}
	for _, pid := range processes() {
		if member(pid) {
			killProcess(pid, func() bool { return member(pid) }, stop)
		}
	}
	unix.Kill(-group, unix.SIGKILL) // what was forked meanwhile
}

// processes returns all processes but this one.
func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// find returns the processes that are marked with a token.
func (s *scan) find(token string) []int {
	var pids []int
	for _, pid := range processes() {
		if s.marked(strconv.Itoa(pid), token) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// marked reports whether a process has the token.
func (s *scan) marked(pid, token string) bool { return hasToken(s.environ(pid), token) }

// environ returns the environment of a process as the system shows it, until the next call. One of another user, or one that
// has ended, shows none.
func (s *scan) environ(pid string) []byte {
	fd, err := unix.Open("/proc/"+pid+"/environ", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	if s.buf == nil {
		s.buf = make([]byte, 64<<10)
	}
	n := 0
	for {
		k, err := unix.Read(fd, s.buf[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || k <= 0 {
			return s.buf[:n]
		}
		if n += k; n == len(s.buf) {
			s.buf = append(s.buf, make([]byte, n)...)
		}
	}
}

// hasToken looks for a token in an environment.
func hasToken(environ []byte, token string) bool {
	for t := range tokens(environ) {
		if string(t) == token || token[len(token)-1] == '/' && bytes.HasPrefix(t, []byte(token)) {
			return true
		}
	}
	return false
}

// tokens are those in the Tracking of an environment.
func tokens(environ []byte) iter.Seq[[]byte] {
	const name = Tracking + "="
	return func(yield func([]byte) bool) {
		if !bytes.Contains(environ, []byte(name)) {
			return
		}
		for v := range bytes.SplitSeq(environ, []byte{0}) {
			list, ok := bytes.CutPrefix(v, []byte(name))
			if !ok {
				continue
			}
			for t := range bytes.SplitSeq(list, []byte(":")) {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// killProcess kills a process and waits until it is gone. still tells whether the number is still that of the one meant.
func killProcess(pid int, still func() bool, stop <-chan struct{}) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if !errors.Is(err, unix.ESRCH) { // an old kernel
			unix.Kill(pid, unix.SIGKILL)
			unix.Poll(nil, 1)
		}
		return
	}
	defer unix.Close(fd)
	// Now the descriptor stands for one process; it may have been another one that had the number when we looked.
	if !still() || unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) != nil {
		return
	}
	for !closed(stop) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
