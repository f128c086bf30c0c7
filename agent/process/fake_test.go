package process

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// fake is a host without processes, and a prober that says what it is told. Nothing of it waits for anything but timers and channels.
type fake struct {
	mu sync.Mutex
	// refuse is the error of launches.
	refuse  error
	started []*fakeProcess
	// answer is what the next checks find; nil: all is well.
	answer func(ctx context.Context, port int) (reason string, refused bool)
	// probes are running now, and most is how many there were at a time; at is when each began.
	probes, most int
	at           []time.Time
	// busy are ports that somebody else listens on.
	busy []int
	next int
}

type fakeProcess struct {
	f       *fake
	nonce   string
	pid     int
	at      time.Time
	exit    exit
	ended   chan struct{}
	once    sync.Once
	signals []string
	// deaf does not end by a signal; undead not by force, that many times.
	deaf   bool
	undead int
	left   bool // let go of
	others []socket
	alien  int
}

func (f *fake) launch(l launch) (process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	p := &fakeProcess{f: f, nonce: l.nonce, pid: 100 + len(f.started), at: time.Now(), ended: make(chan struct{})}
	f.started = append(f.started, p)
	return p, nil
}

// last is the process that was started last.
func (f *fake) last(t *testing.T) *fakeProcess {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.started) == 0 {
		t.Fatal("nothing was started")
	}
	return f.started[len(f.started)-1]
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.started)
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// well lets checks pass; ill lets them fail.
func (f *fake) well() { f.set(func(f *fake) { f.answer = nil }) }
func (f *fake) ill(reason string) {
	f.set(func(f *fake) { f.answer = func(context.Context, int) (string, bool) { return reason, false } })
}

func (f *fake) adopt(_ context.Context, _ launch, r run) process {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.started {
		if p.nonce == r.Nonce {
			return p
		}
	}
	p := &fakeProcess{f: f, nonce: r.Nonce, ended: make(chan struct{})}
	p.end(exit{reason: "ended while no agent ran"})
	return p
}

func (f *fake) sweep(context.Context, string, map[string]string) ([]int, error) { return nil, nil }

func (f *fake) capture(string, *logs) (capture, error) { return noCapture{}, nil }

type noCapture struct{}

func (noCapture) drain() {}
func (noCapture) close() {}

func (f *fake) boot() string { return "boot" }

func (f *fake) free(ports []int) (free []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range ports {
		if !slices.Contains(f.busy, p) {
			free = append(free, p)
		}
	}
	return free
}

func (f *fake) choose(n int) (ports []int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.next++
		ports = append(ports, 40000+f.next/2) // each twice
	}
	return ports, nil
}

func (f *fake) probe(ctx context.Context, _ Check, port int) (string, bool) {
	f.mu.Lock()
	f.probes++
	f.most = max(f.most, f.probes)
	f.at = append(f.at, time.Now())
	answer := f.answer
	f.mu.Unlock()
	defer f.set(func(f *fake) { f.probes-- })
	if answer == nil {
		return "", false
	}
	return answer(ctx, port)
}

// end lets a process end by itself.
func (p *fakeProcess) end(e exit) {
	p.once.Do(func() {
		p.exit = e
		close(p.ended)
	})
}

func (p *fakeProcess) run() run              { return run{Nonce: p.nonce, PID: p.pid, Boot: "boot"} }
func (p *fakeProcess) done() <-chan struct{} { return p.ended }
func (p *fakeProcess) limits() []string      { return nil }

func (p *fakeProcess) signal(name string) error {
	p.f.mu.Lock()
	p.signals = append(p.signals, name)
	deaf := p.deaf
	p.f.mu.Unlock()
	if !deaf {
		p.end(exit{reason: "was killed by SIG" + name, known: true})
	}
	return nil
}

func (p *fakeProcess) members() ([]int, error) {
	select {
	case <-p.ended:
		return nil, nil
	default:
		return []int{p.pid}, nil
	}
}

func (p *fakeProcess) finish(context.Context) (exit, error) {
	p.f.mu.Lock()
	if p.undead > 0 {
		p.undead--
		p.f.mu.Unlock()
		return exit{}, errors.New("it does not end")
	}
	p.f.mu.Unlock()
	p.end(exit{reason: "was killed by SIGKILL", known: true})
	return p.exit, nil
}

func (p *fakeProcess) release() { p.f.set(func(*fake) { p.left = true }) }
func (p *fakeProcess) listening() (sockets []socket, ok bool) {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	return p.others, true
}

func (p *fakeProcess) owner(int) int {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	return p.alien
}

func (p *fakeProcess) usage() (Usage, error) { return Usage{Processes: 1}, nil }
func (p *fakeProcess) inside(ctx context.Context, l launch) (int, []byte, error) {
	reason, _ := p.f.probe(ctx, Check{}, 0)
	if reason == "" {
		return 0, nil, nil
	}
	return 3, []byte(reason), nil
}

// pretend opens a supervisor on a fake.
func pretend(t *testing.T, dir string, f *fake, o Options) *Supervisor {
	t.Helper()
	s, err := newSupervisor(context.Background(), dir, "store", o, f, f, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pretended is a spec for a fake.
func pretended(id string) Spec {
	return Spec{
		ID: id, Bundle: "/bundle", Argv: []string{"/bin/true"}, Ports: []string{"http"},
		Check: Check{Kind: CheckHTTP, Interval: time.Second, Passes: 3, MinHealthy: 5 * time.Second, Failures: 2},
	}
}

func (p *fakeProcess) String() string { return fmt.Sprint(p.pid) }
