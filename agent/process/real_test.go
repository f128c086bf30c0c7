//go:build linux

package process

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// quick restarts at once.
var quick = Backoff{First: time.Millisecond, Most: 20 * time.Millisecond}

// patience is how long a test waits for what must come; the machine may be slow.
const patience = 2 * time.Minute

// workload is a spec whose check passes when the test binary serves.
func workload(id, mode string) Spec {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Spec{
		ID: id, Bundle: filepath.Dir(exe), Argv: []string{exe}, Env: map[string]string{modeEnv: mode}, Ports: []string{"http"},
		Check: Check{Kind: CheckHTTP, Path: "/ok", Interval: 10 * time.Millisecond, MinHealthy: time.Millisecond, Timeout: patience, StartWithin: patience},
		Stop:  Stop{Grace: patience},
	}
}

// supervise opens a supervisor and makes sure that nothing is left of it at the end.
func supervise(t *testing.T, dir string, o Options) *Supervisor {
	t.Helper()
	if o.Backoff == (Backoff{}) {
		o.Backoff = quick
	}
	s, err := New(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, s) })
	return s
}

func end(t *testing.T, s *Supervisor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if left := marked(t, s.store+"/"); len(left) > 0 {
		t.Errorf("processes are left over: %v", left)
	}
	if dir := s.host.(*linuxHost).cgroups.dir; dir != "" {
		names, err := readNames(dir)
		for _, name := range names {
			if strings.Contains(name, s.store) {
				t.Errorf("the cgroup %s is left over, %v", name, err)
			}
		}
	}
}

// marked are the processes whose marker begins so.
func marked(t *testing.T, prefix string) (pids []int) {
	t.Helper()
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if !s.dead() && strings.HasPrefix(marker(s.pid), prefix) {
			pids = append(pids, s.pid)
		}
	}
	return pids
}

func start(t *testing.T, s *Supervisor, spec Spec) *Instance {
	t.Helper()
	i, err := s.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func await(t *testing.T, i *Instance, what string, ok func(Status) bool) Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status, err := i.Await(ctx, ok)
	if err != nil {
		t.Fatalf("%s: %v\n%+v\n%s", what, err, status, printed(t, i))
	}
	return status
}

func healthy(t *testing.T, i *Instance) Status {
	t.Helper()
	return await(t, i, "healthy", func(s Status) bool { return s.State == Healthy })
}

// crashed waits for a crash with a reason.
func crashed(t *testing.T, i *Instance, reason string) Status {
	t.Helper()
	return await(t, i, "crashed with "+reason, func(s Status) bool { return s.State == Crashed && strings.Contains(s.Reason, reason) })
}

// printed is the log, a line each: STREAM TEXT.
func printed(t *testing.T, i *Instance) string {
	t.Helper()
	var b strings.Builder
	for l, err := range i.Logs(context.Background(), LogOptions{Last: -1}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s\n", l.Stream, l.Text)
	}
	return b.String()
}

// tell sends a request to an instance; that it may die of it is no error.
func tell(t *testing.T, i *Instance, path string) {
	t.Helper()
	r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", i.Status().Ports["http"], path))
	if err == nil {
		r.Body.Close()
	}
}

func stop(t *testing.T, s *Supervisor, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Stop(ctx, id); err != nil {
		t.Fatal(err)
	}
}

// groups are those of this machine.
var groups = sync.OnceValue(func() cgroups { return findCgroups("", "probe") })

// both runs a test with cgroups, where there are some, and without.
func both(t *testing.T, f func(t *testing.T, o Options)) {
	t.Helper()
	for _, cgroup := range []string{"", "off"} {
		t.Run("cgroup="+cgroup, func(t *testing.T) {
			t.Parallel()
			if c := groups(); cgroup == "" && c.dir == "" {
				t.Skip(c.why)
			}
			f(t, Options{Cgroup: cgroup})
		})
	}
}

func TestLifeOfAWorkload(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		s := supervise(t, t.TempDir(), o)
		spec := workload("web", "print=hello complain=oh environ=GREETING environ=PORT_HTTP child daemon serve")
		spec.Env["GREETING"] = "good-day"
		spec.Limits = Limits{Memory: 1 << 40, CPU: 0.5, PIDs: 5000}
		spec.Labels = map[string]string{"service": "web"}
		i := start(t, s, spec)
		status := healthy(t, i)
		if status.PID == 0 || status.Ports["http"] == 0 || status.Labels["service"] != "web" || len(status.Limits) != 3 {
			t.Errorf("status %+v", status)
		}
		if _, err := s.Start(t.Context(), spec); !errors.Is(err, ErrExists) {
			t.Errorf("twice: %v", err)
		}
		usage, err := i.Usage()
		if err != nil || usage.RSS == 0 || usage.FDs < 6 || usage.Threads < 3 || usage.Processes != 3 {
			t.Errorf("usage %+v, %v", usage, err)
		}
		if list := s.List(); len(list) != 1 || list[0].ID != "web" {
			t.Errorf("list %+v", list)
		}
		stop(t, s, "web")
		status = i.Status()
		if status.State != Ended || status.PID != 0 || status.Ports != nil || !strings.Contains(status.Reason, "asked to end") {
			t.Errorf("status %+v", status)
		}
		if left := marked(t, s.store+"/"); len(left) > 0 {
			t.Errorf("processes are left over: %v", left)
		}
		log := printed(t, i)
		for _, want := range []string{"out hello\n", "err oh\n", "out GREETING=good-day\n", "out PORT_HTTP=", "out child\n", "sys is healthy", "sys was killed by SIGTERM\n"} {
			if !strings.Contains(log, want) {
				t.Errorf("the log has no %q:\n%s", want, log)
			}
		}
		if err := s.Remove(t.Context(), "web"); err != nil {
			t.Fatal(err)
		}
		if names, err := os.ReadDir(filepath.Join(s.dir, instancesDir)); len(names) != 0 {
			t.Errorf("files are left over: %v, %v", names, err)
		}
		if _, err := s.Get("web"); !errors.Is(err, ErrNotFound) {
			t.Errorf("it is still there: %v", err)
		}
	})
}

func TestEndsInWords(t *testing.T) {
	dir := t.TempDir()
	write := func(name, body string, mode os.FileMode) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(body), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	// An ELF header alone, of a machine that this is not.
	machine := elf.EM_AARCH64
	if machines[runtime.GOARCH] == machine {
		machine = elf.EM_X86_64
	}
	foreign := slices.Concat([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9), []byte{2, 0, byte(machine), 0, 1, 0, 0, 0}, make([]byte, 40))
	exe := workload("x", "").Argv[0]
	tests := []struct {
		name, program, mode, want string
	}{
		{"exit", exe, "exit=3", "ended with exit code 3"},
		{"clean exit", exe, "exit=0", "ended with exit code 0"},
		{"signal", exe, "kill", "was killed by SIGKILL, and not by the agent"},
		{"leaves a child", exe, "child exit=1", "ended with exit code 1; it left 1 process behind"},
		{"leaves a daemon", exe, "daemon exit=0", "ended with exit code 0; it left 1 process behind"},
		{"not there", "./none", "", "there is no such program"},
		{"not on the path", "no-such-program", "", "no such program in the bundle's folder nor on the PATH"},
		{"not executable", write("plain", "x", 0o644), "", "it may not be executed: its mode is -rw-r--r--"},
		{"a folder", dir, "", "it is a folder"},
		{"no interpreter", write("script", "#!/no/such/shell\n", 0o755), "", "what is to run it is not: /no/such/shell"},
		{"a script of Windows", write("crlf", "#!/bin/sh\r\nexit 0\r\n", 0o755), "", "carriage return"},
		{"no format", write("text", "hello", 0o755), "", "neither a program for this system nor a script"},
		{"empty", write("empty", "", 0o755), "", "it is empty"},
		{"another machine", write("foreign", string(foreign), 0o755), "", "it is built for another machine: for " + machineName(machine)},
		{"below a file", write("file", "", 0o755) + "/x", "", "no folder"},
	}
	s := supervise(t, t.TempDir(), Options{})
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := workload(fmt.Sprint("w", n), tt.mode)
			spec.Bundle, spec.Argv, spec.NoRestart = dir, []string{tt.program}, true
			i := start(t, s, spec)
			status := await(t, i, "ended", func(s Status) bool { return s.State == Crashed || s.State == Ended })
			if !strings.Contains(status.Reason, tt.want) {
				t.Errorf("got %q\nwant %q", status.Reason, tt.want)
			}
			want := Crashed
			if strings.Contains(tt.want, "exit code 0") {
				want = Ended
			}
			if status.State != want {
				t.Errorf("state %s", status.State)
			}
		})
	}
}

func TestRestarts(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		s := supervise(t, t.TempDir(), o)
		i := start(t, s, workload("web", "child daemon serve"))
		first := healthy(t, i)
		tell(t, i, "/exit?5")
		second := await(t, i, "restarted", func(s Status) bool { return s.State == Healthy && s.Restarts == 1 })
		if second.PID == first.PID || !strings.Contains(second.LastExit, "exit code 5; it left 2 processes behind") {
			t.Errorf("status %+v", second)
		}
		if second.Ports["http"] != first.Ports["http"] {
			t.Errorf("the port changed from %v to %v", first.Ports, second.Ports)
		}
		// By somebody else.
		if err := unix.Kill(second.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		third := await(t, i, "restarted", func(s Status) bool { return s.State == Healthy && s.Restarts == 2 })
		if !strings.Contains(third.LastExit, "was killed by SIGKILL, and not by the agent") {
			t.Errorf("status %+v", third)
		}
	})
}

func TestCrashLoop(t *testing.T) {
	s := supervise(t, t.TempDir(), Options{})
	i := start(t, s, workload("web", "exit=1"))
	status := await(t, i, "crash loop", func(s Status) bool { return s.CrashLoop })
	if status.Crashes < crashLoop || !strings.Contains(status.Reason, "it crashes in a loop") || !strings.Contains(status.Reason, "ended with exit code 1") {
		t.Errorf("status %+v", status)
	}
}

func TestIgnoresTERM(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		s := supervise(t, t.TempDir(), o)
		spec := workload("web", "ignore-term deaf-daemon serve")
		spec.Stop.Grace = 50 * time.Millisecond
		i := start(t, s, spec)
		healthy(t, i)
		stop(t, s, "web")
		if status := i.Status(); !strings.Contains(status.Reason, "was killed by SIGKILL after it had not ended within its grace") {
			t.Errorf("reason %q", status.Reason)
		}
	})
}

func TestWrongPort(t *testing.T) {
	s := supervise(t, t.TempDir(), Options{})
	port := start(t, s, workload("port", "wrong-port"))
	await(t, port, "diagnosed", func(s Status) bool {
		return strings.Contains(s.Reason, "the instance listens on another port") && strings.Contains(s.Reason, "does it read PORT_HTTP?")
	})
	address := start(t, s, workload("address", "other-address"))
	await(t, address, "diagnosed", func(s Status) bool { return strings.Contains(s.Reason, "at the address 127.0.0.2 alone") })
	none := start(t, s, workload("none", "sleep"))
	await(t, none, "diagnosed", func(s Status) bool { return strings.Contains(s.Reason, "the instance listens on no port yet") })

	late := workload("late", "wrong-port")
	late.Check.StartWithin, late.NoRestart = 500*time.Millisecond, true
	status := await(t, start(t, s, late), "given up", func(s Status) bool { return s.State == Crashed })
	if !strings.Contains(status.Reason, "it was not healthy within 500ms") {
		t.Errorf("reason %q", status.Reason)
	}
}

// TestPortTaken has somebody else listen on the port before the workload does: where that one answers the check, it does not count.
func TestPortTaken(t *testing.T) {
	s := supervise(t, t.TempDir(), Options{})
	spec := workload("web", "sleep")
	i := start(t, s, spec)
	port := i.awaitPort(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go server.Serve(l)
	defer server.Close()
	await(t, i, "diagnosed", func(s Status) bool {
		return strings.Contains(s.Reason, fmt.Sprintf("port %d is answered by another process (%d)", port, os.Getpid()))
	})
	if status := i.Status(); status.State != Starting {
		t.Errorf("state %s", status.State)
	}
}

// TestPortLost has somebody else take a port after it was handed out and before the workload listens.
func TestPortLost(t *testing.T) {
	s := supervise(t, t.TempDir(), Options{})
	signal := filepath.Join(t.TempDir(), "go")
	i := start(t, s, workload("web", "await="+signal+" serve"))
	port := i.awaitPort(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status := healthy(t, i)
	if status.Ports["http"] == port || status.Restarts == 0 {
		t.Errorf("status %+v", status)
	}
	if !strings.Contains(status.LastExit, fmt.Sprintf("exit code 7; somebody else listens on its port http (%d)", port)) {
		t.Errorf("last exit %q", status.LastExit)
	}
}

func TestCommandInside(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		s := supervise(t, t.TempDir(), o)
		spec := workload("web", "sleep")
		spec.Check.Kind = CheckCommand

		spec.ID, spec.Check.Command = "none", []string{"./none"}
		none := start(t, s, spec)
		await(t, none, "told", func(s Status) bool { return strings.Contains(s.Reason, "./none: there is no such program") })

		sh := func(id, script string, timeout time.Duration) *Instance {
			spec.ID, spec.Check.Timeout = id, timeout
			spec.Check.Command = []string{"/bin/sh", "-c", script}
			return start(t, s, spec)
		}
		// A command leaves somebody behind, who holds its output.
		fine := sh("fine", "test $PORT_HTTP = $PORT && test \"$(pwd -P)\" = \"$(cd $GANTRY_WORK && pwd -P)\" || exit 1; sleep 1000 &", patience)
		healthy(t, fine)
		bad := sh("bad", "echo the queue is full; echo more; exit 3", patience)
		await(t, bad, "told", func(s Status) bool {
			return strings.Contains(s.Reason, "/bin/sh ended with exit code 3: the queue is full")
		})
		hangs := sh("hangs", "sleep 1000", 50*time.Millisecond)
		await(t, hangs, "told", func(s Status) bool { return strings.Contains(s.Reason, "/bin/sh did not end within 50ms") })
		for _, i := range []*Instance{none, fine, bad, hangs} {
			stop(t, s, i.ID())
			if status := i.Status(); strings.Contains(status.Reason, "left") {
				t.Errorf("a check's command was taken for the workload's: %s", status.Reason)
			}
		}
	})
}

// TestFlood has one instance print without end. The others are heard, and the flood is counted.
func TestFlood(t *testing.T) {
	s := supervise(t, t.TempDir(), Options{Logs: LogLimits{Rate: 1000, Burst: 10_000}})
	flood := start(t, s, workload("flood", "flood=1000000000"))
	quiet := start(t, s, workload("quiet", "print=heard serve"))
	healthy(t, quiet)
	if log := printed(t, quiet); !strings.Contains(log, "out heard\n") {
		t.Errorf("log:\n%s", log)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for l, err := range flood.Logs(ctx, LogOptions{Last: -1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if l.Stream == Agent && strings.Contains(string(l.Text), "were left out: more than 1000 bytes per second") {
			break
		}
	}
}

// awaitPort returns the port of an instance that has one.
func (i *Instance) awaitPort(t *testing.T) int {
	t.Helper()
	return await(t, i, "a port", func(s Status) bool { return s.PID != 0 && s.Ports["http"] != 0 }).Ports["http"]
}
