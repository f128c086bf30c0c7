//go:build linux

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// edit changes a record on disk, as an agent that died at another moment would have left it.
func edit(t *testing.T, dir, id string, change func(*record)) {
	t.Helper()
	home := filepath.Join(dir, instancesDir, id)
	r, err := readRecord(home)
	if err != nil {
		t.Fatal(err)
	}
	change(&r)
	if err := writeRecord(home, r); err != nil {
		t.Fatal(err)
	}
}

// leave opens a supervisor, starts an instance, and lets go of it.
func leave(t *testing.T, dir string, o Options, spec Spec) Status {
	t.Helper()
	s, err := New(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	status := healthy(t, start(t, s, spec))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return status
}

func get(t *testing.T, s *Supervisor, id string) *Instance {
	t.Helper()
	i, err := s.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAdopt(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		o.Backoff = quick
		dir := t.TempDir()
		spec := workload("web", "child daemon serve")
		before := leave(t, dir, o, spec)
		s := supervise(t, dir, o)
		i := get(t, s, "web")
		after := healthy(t, i)
		if after.PID != before.PID || !after.Adopted || after.Ports["http"] != before.Ports["http"] || after.Restarts != 0 {
			t.Errorf("before %+v\nafter %+v", before, after)
		}
		if usage, err := i.Usage(); err != nil || usage.Processes != 3 {
			t.Errorf("usage %+v, %v", usage, err)
		}
		if _, err := New(contextThatEnds(t), dir, o); !errors.Is(err, ErrLocked) {
			t.Errorf("two have one folder: %v", err)
		}
		tell(t, i, "/exit?4")
		await(t, i, "restarted", func(s Status) bool { return s.State == Healthy && s.Restarts == 1 && !s.Adopted })
	})
}

func contextThatEnds(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestAdoptInDoubt(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		o.Backoff = quick
		dir := t.TempDir()
		before := leave(t, dir, o, workload("web", "child daemon serve"))
		// The agent died between the start and its record.
		edit(t, dir, "web", func(r *record) {
			r.Run.PID, r.Run.Start, r.Run.Exe, r.Run.Cgroup, r.State = 0, 0, "", "", Starting
		})
		s := supervise(t, dir, o)
		after := healthy(t, get(t, s, "web"))
		if after.PID != before.PID || !after.Adopted {
			t.Errorf("before %+v\nafter %+v", before, after)
		}
	})
}

func TestAdoptToEnd(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		o.Backoff = quick
		dir := t.TempDir()
		leave(t, dir, o, workload("web", "child daemon serve"))
		edit(t, dir, "web", func(r *record) { r.Stop = true })
		s := supervise(t, dir, o)
		await(t, get(t, s, "web"), "ended", func(s Status) bool { return s.State == Ended })
		if left := marked(t, s.store+"/"); len(left) > 0 {
			t.Errorf("processes are left over: %v", left)
		}
		if s.Close(); len(s.instances) != 1 {
			t.Errorf("%d instances", len(s.instances))
		}
		again := supervise(t, dir, o)
		if status := get(t, again, "web").Status(); status.State != Ended {
			t.Errorf("status %+v", status)
		}
		if err := again.Remove(t.Context(), "web"); err != nil {
			t.Error(err)
		}
	})
}

// TestAdoptAfterDeath starts anew what died while no agent ran, and ends what it has left behind.
func TestAdoptAfterDeath(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		o.Backoff = quick
		dir := t.TempDir()
		before := leave(t, dir, o, workload("web", "child daemon serve"))
		if err := unix.Kill(before.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// As init does.
		var status unix.WaitStatus
		if _, err := unix.Wait4(before.PID, &status, 0, nil); err != nil {
			t.Fatal(err)
		}
		s := supervise(t, dir, o)
		after := await(t, get(t, s, "web"), "restarted", func(s Status) bool { return s.State == Healthy && s.Restarts == 1 })
		if !strings.Contains(after.LastExit, "ended while no agent ran, so that its exit status is not known; it left 2 processes behind") {
			t.Errorf("status %+v", after)
		}
	})
}

func TestNothingIsAdoptedAfterReboot(t *testing.T) {
	dir := t.TempDir()
	o := Options{Backoff: quick}
	before := leave(t, dir, o, workload("web", "serve"))
	if err := unix.Kill(before.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// A process of the same ID and start time, of another boot.
	innocent := exec.Command("/proc/self/exe")
	innocent.Env = []string{modeEnv + "=sleep"}
	if err := innocent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { innocent.Process.Kill(); innocent.Wait() }()
	now, err := readStat(innocent.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, dir, "web", func(r *record) {
		r.Run.PID, r.Run.Start, r.Run.Boot = innocent.Process.Pid, now.start, "another"
	})
	s := supervise(t, dir, o)
	after := healthy(t, get(t, s, "web"))
	if after.PID == innocent.Process.Pid || after.Crashes != 0 || !strings.Contains(after.LastExit, "restart of the machine") {
		t.Errorf("status %+v", after)
	}
	alive(t, innocent)
	// The killed one was a child of this process.
	var status unix.WaitStatus
	unix.Wait4(before.PID, &status, unix.WNOHANG, nil)
}

func alive(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if s, err := readStat(cmd.Process.Pid); err != nil || s.dead() {
		t.Errorf("a stranger was ended: %+v, %v", s, err)
	}
}

// TestStrangers gives a record the ID of a process that is somebody else's: it is neither adopted nor signalled.
func TestStrangers(t *testing.T) {
	for _, what := range []string{"another start time", "another executable and no marker"} {
		t.Run(what, func(t *testing.T) {
			both(t, func(t *testing.T, o Options) {
				o.Backoff = quick
				dir := t.TempDir()
				s, err := New(t.Context(), dir, o)
				if err != nil {
					t.Fatal(err)
				}
				spec := workload("web", "serve")
				healthy(t, start(t, s, spec))
				stop(t, s, "web")
				s.Close()
				innocent := exec.Command("/proc/self/exe")
				innocent.Env = []string{modeEnv + "=sleep"}
				innocent.SysProcAttr = &unix.SysProcAttr{Setsid: true}
				if err := innocent.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { innocent.Process.Kill(); innocent.Wait() }()
				now, err := readStat(innocent.Process.Pid)
				if err != nil {
					t.Fatal(err)
				}
				edit(t, dir, "web", func(r *record) {
					r.Stop, r.State = false, Healthy
					r.Run = run{Nonce: "abc", PID: now.pid, Start: now.start, Boot: s.host.boot(), Exe: "/usr/bin/other"}
					if what == "another start time" {
						r.Run.Start++
						r.Run.Exe = executable(now.pid)
					}
				})
				s = supervise(t, dir, o)
				i := get(t, s, "web")
				after := await(t, i, "restarted", func(s Status) bool { return s.State == Healthy && !s.Adopted })
				if after.PID == now.pid {
					t.Errorf("it was adopted: %+v", after)
				}
				stop(t, s, "web")
				alive(t, innocent)
			})
		})
	}
}

func TestOutputWhileNoAgentRuns(t *testing.T) {
	dir := t.TempDir()
	o := Options{Backoff: quick, Logs: LogLimits{Burst: 1 << 30, Size: 1 << 30}}
	s, err := New(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	i := start(t, s, workload("web", "print=before serve"))
	healthy(t, i)
	port := i.Status().Ports["http"]
	s.Close()
	// 3.6 MB do not fit into the pipe: the workload waits, and answers all the same.
	tell(t, i, "/run?print=during+flood=30000+print=last+sleep")
	tell(t, i, "/ok")
	s = supervise(t, dir, o)
	i = get(t, s, "web")
	flood := 0
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for l, err := range i.Logs(ctx, LogOptions{Last: -1, Follow: true}) {
		if err != nil {
			t.Fatalf("%v after %d lines", err, flood)
		}
		if strings.HasPrefix(string(l.Text), "flood flood") {
			flood++
		}
		if string(l.Text) == "last" {
			break
		}
	}
	if flood != 30000 {
		t.Errorf("%d lines of 30000", flood)
	}
	if log := printed(t, i); !strings.Contains(log, "out before\n") || !strings.Contains(log, "out during\n") {
		t.Error("lines are missing")
	}
	if i.Status().Ports["http"] != port {
		t.Error("it was started anew")
	}
}

type source map[string]string

func (s source) Secrets(_ context.Context, id string, names []string) (map[string]string, error) {
	if s == nil {
		return nil, errors.New("the server is away")
	}
	return s, nil
}

type stars string

func (s stars) Mask(line []byte) []byte {
	return []byte(strings.ReplaceAll(string(line), string(s), "***"))
}

func TestSecrets(t *testing.T) {
	const secret = "correct-horse-battery"
	dir := t.TempDir()
	spec := workload("web", "environ=TOKEN complain=said serve")
	spec.Secrets = map[string]string{"TOKEN": secret}
	o := Options{Backoff: quick, Masker: stars(secret)}
	leave(t, dir, o, spec)
	var found []string
	filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if data, err := os.ReadFile(name); err != nil || strings.Contains(string(data), secret) {
				found = append(found, fmt.Sprint(name, err))
			}
		}
		return nil
	})
	if len(found) > 0 {
		t.Errorf("the secret is on disk: %v", found)
	}

	s, err := New(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	i := get(t, s, "web")
	healthy(t, i)
	if got := i.Spec().Secrets; len(got) != 1 || got["TOKEN"] != "" {
		t.Errorf("secrets %v", got)
	}
	tell(t, i, "/exit?1")
	crashed(t, i, "its secrets (TOKEN) went with the agent that had them")
	s.Close()

	o.Secrets = source(nil)
	if s, err = New(t.Context(), dir, o); err != nil {
		t.Fatal(err)
	}
	crashed(t, get(t, s, "web"), "its secrets cannot be had: the server is away")
	s.Close()

	o.Secrets = source{"TOKEN": secret}
	s = supervise(t, dir, o)
	i = get(t, s, "web")
	healthy(t, i)
	if log := printed(t, i); strings.Contains(log, secret) || strings.Count(log, "out TOKEN=***\n") != 2 {
		t.Errorf("log:\n%s", log)
	}
}

// TestKilledAgent adopts the workload of an agent that was killed, and another agent's child.
func TestKilledAgent(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		o.Backoff = quick
		dir := t.TempDir()
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), modeEnv+"=agent", "GANTRY_TEST_DIR="+dir, "GANTRY_TEST_CGROUP="+o.Cgroup, "GANTRY_TEST_ONLY=web")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := make([]byte, 512)
		n, _ := out.Read(said)
		cmd.Process.Kill()
		cmd.Wait()
		if string(said[:n]) != "ready <nil>\n" {
			t.Fatalf("the agent said %q", said[:n])
		}
		r, err := readRecord(filepath.Join(dir, instancesDir, "web"))
		if err != nil {
			t.Fatal(err)
		}
		s := supervise(t, dir, o)
		i := get(t, s, "web")
		status := healthy(t, i)
		if status.PID != r.Run.PID || !status.Adopted || status.Restarts != 0 || len(marked(t, s.store+"/web/")) != 3 {
			t.Errorf("status %+v, processes %v", status, marked(t, s.store+"/web/"))
		}
		tell(t, i, "/exit?0")
		status = await(t, i, "restarted", func(s Status) bool { return s.State == Healthy && s.Restarts == 1 })
		if !strings.Contains(status.LastExit, "its exit status is not known, because another agent had started it; it left 2 processes behind") {
			t.Errorf("last exit %q", status.LastExit)
		}
	})
}

// TestKilledAgents kills agents at random moments of starting, stopping and removing. What they leave is taken up by the next: each instance
// has one process, or ends, and in the end nothing is left.
func TestKilledAgents(t *testing.T) { both(t, killAgents) }

func killAgents(t *testing.T, o Options) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	o.Backoff = quick
	dir := t.TempDir()
	random := newChance(7, "")
	adopted, died := 0, 0
	for round := range rounds {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), modeEnv+"=agent", "GANTRY_TEST_DIR="+dir, "GANTRY_TEST_CGROUP="+o.Cgroup)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := make([]byte, 0, 1<<16)
		for wanted := 1 + random.IntN(8); strings.Count(string(said), "\n") < wanted; {
			n, err := out.Read(said[len(said) : len(said)+512])
			said = said[:len(said)+n]
			if err != nil || strings.Contains(string(said), "failed") {
				t.Fatalf("round %d: an agent said %s, %v", round, said, err)
			}
		}
		// When it dies is chance; what is tested does not depend on it.
		<-time.NewTimer(time.Duration(random.IntN(30_000)) * time.Microsecond).C
		cmd.Process.Kill()
		cmd.Wait()

		s, err := New(t.Context(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range s.all() {
			if i.adopted != nil && i.Status().PID != 0 {
				adopted++
			}
			status := await(t, i, "settled", func(s Status) bool { return s.State == Healthy || s.State == Ended })
			if strings.Contains(status.LastExit, "while no agent ran") || strings.Contains(status.LastExit, "when its agent died") {
				died++
			}
			nonces := map[string]bool{}
			for _, pid := range marked(t, s.store+"/"+i.ID()+"/") {
				nonces[marker(pid)] = true
			}
			if delete(nonces, ""); len(nonces) > 1 || len(nonces) == 0 && status.State == Healthy {
				t.Fatalf("round %d: %s is %s and has the runs %v", round, i.ID(), status.State, nonces)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := supervise(t, dir, o)
	for _, status := range s.List() {
		if err := s.Remove(t.Context(), status.ID); err != nil {
			t.Error(err)
		}
	}
	if left := marked(t, s.store+"/"); len(left) > 0 {
		t.Errorf("processes are left over: %v", left)
	}
	if names, err := os.ReadDir(filepath.Join(dir, instancesDir)); len(names) != 0 {
		t.Errorf("files are left over: %v, %v", names, err)
	}
	t.Logf("%d agents killed: %d processes adopted, %d found dead", rounds, adopted, died)
}

// TestOldKernel ends workloads, its own and adopted ones, where a group cannot be signalled by a pidfd.
func TestOldKernel(t *testing.T) {
	before := pidfdGroup
	pidfdGroup = 1 << 20
	defer func() { pidfdGroup = before }()
	dir := t.TempDir()
	o := Options{Backoff: quick, Cgroup: "off"}
	leave(t, dir, o, workload("left", "child daemon serve"))
	s, err := New(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer end(t, s)
	spec := workload("deaf", "ignore-term child daemon deaf-daemon serve")
	spec.Stop.Grace = 50 * time.Millisecond
	healthy(t, start(t, s, spec))
	stop(t, s, "left")
	stop(t, s, "deaf")
}

func TestRecordIsWhole(t *testing.T) {
	dir := t.TempDir()
	o := Options{Backoff: quick}
	leave(t, dir, o, workload("web", "child serve"))
	// Half a record is none: what it was of is ended, and told.
	file := filepath.Join(dir, instancesDir, "web", recordFile)
	data, err := os.ReadFile(file)
	if err != nil || !json.Valid(data) {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	s := supervise(t, dir, o)
	if status := get(t, s, "web").Status(); status.State != Crashed || !strings.Contains(status.Reason, "record.json") {
		t.Errorf("status %+v", status)
	}
	if left := marked(t, s.store+"/"); len(left) > 0 {
		t.Errorf("processes are left over: %v", left)
	}
	if err := s.Remove(t.Context(), "web"); err != nil {
		t.Error(err)
	}
}
