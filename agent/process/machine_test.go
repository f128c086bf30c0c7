package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs a test on a clock of its own, on a fake host.
func bubble(t *testing.T, o Options, test func(t *testing.T, s *Supervisor, f *fake)) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("paths are others there")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, instancesDir), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := pretend(t, dir, f, o)
		test(t, s, f)
		s.Close()
	})
}

// begin starts a spec and waits until it has settled.
func begin(t *testing.T, s *Supervisor, spec Spec) *Instance {
	t.Helper()
	i, err := s.Start(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return i
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func expect(t *testing.T, i *Instance, state State, reason string) {
	t.Helper()
	if s := i.Status(); s.State != state || !strings.Contains(s.Reason, reason) {
		t.Fatalf("it is %s: %s\nwant %s: %s", s.State, s.Reason, state, reason)
	}
}

func TestGate(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		f.ill("status 503")
		i := begin(t, s, pretended("web"))
		expect(t, i, Starting, "status 503")
		pass(10 * time.Second)
		expect(t, i, Starting, "status 503")
		f.well()
		pass(3 * time.Second) // 3 passes, 2 s apart
		expect(t, i, Starting, "")
		pass(3 * time.Second)
		expect(t, i, Healthy, "passed")

		// One that fails between begins anew.
		f.ill("status 500")
		pass(time.Second)
		expect(t, i, Healthy, "")
		f.well()
		pass(time.Second)
		f.ill("status 500")
		pass(time.Second)
		expect(t, i, Healthy, "")
		pass(time.Second)
		expect(t, i, Unhealthy, "its check failed 2 times in a row: status 500")
		f.well()
		pass(4 * time.Second)
		expect(t, i, Unhealthy, "")
		pass(2 * time.Second)
		expect(t, i, Healthy, "")
		if got := len(i.Status().Health); got != healthHistory {
			t.Errorf("%d results", got)
		}
		if f.most != 1 || f.count() != 1 {
			t.Errorf("%d checks at a time, %d starts", f.most, f.count())
		}
	})
}

func TestGateBegunAnew(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		i := begin(t, s, pretended("web"))
		pass(4 * time.Second)
		f.ill("no")
		pass(time.Second)
		f.well()
		pass(5 * time.Second)
		expect(t, i, Starting, "")
		pass(time.Second)
		expect(t, i, Healthy, "")
	})
}

func TestNoCheck(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		spec := pretended("web")
		spec.Check = Check{MinHealthy: 3 * time.Second}
		i := begin(t, s, spec)
		pass(2 * time.Second)
		expect(t, i, Starting, "")
		pass(time.Second)
		expect(t, i, Healthy, "it has no check, and has run for 3s")
	})
}

func TestChecksDoNotPileUp(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		f.set(func(f *fake) {
			f.answer = func(ctx context.Context, _ int) (string, bool) {
				<-ctx.Done()
				return "gave no answer", false
			}
		})
		spec := pretended("web")
		spec.Check.Timeout = 10 * time.Second
		i := begin(t, s, spec)
		pass(35 * time.Second)
		expect(t, i, Starting, "gave no answer")
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.most != 1 || len(f.at) != 4 {
			t.Errorf("%d at a time, at %v", f.most, f.at)
		}
	})
}

func TestStartDeadline(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		spec := pretended("web")
		spec.Check.StartWithin, spec.NoRestart = 20*time.Second, true
		f.ill("status 503")
		i := begin(t, s, spec)
		pass(20 * time.Second)
		expect(t, i, Crashed, "it was not healthy within 20s: status 503; then it was killed by SIGTERM")
		if got := f.last(t).signals; len(got) != 1 || got[0] != "TERM" {
			t.Errorf("signals %v", got)
		}
	})
}

func TestGrace(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		spec := pretended("web")
		spec.Stop = Stop{Signal: "SIGQUIT", Grace: 7 * time.Second}
		i := begin(t, s, spec)
		p := f.last(t)
		f.set(func(*fake) { p.deaf, p.undead = true, 2 })
		begun := time.Now()
		done := make(chan error, 1)
		go func() { done <- s.Stop(context.Background(), "web") }()
		pass(6 * time.Second)
		expect(t, i, Stopping, "asked to end")
		if !slices.Equal(p.signals, []string{"QUIT"}) {
			t.Errorf("signals %v", p.signals)
		}
		pass(time.Second)
		expect(t, i, Stopping, "it does not end")
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 9*time.Second {
			t.Errorf("it took %v", took)
		}
		expect(t, i, Ended, "after it had not ended within its grace of 7s")
	})
}

func TestBackoffOfCrashes(t *testing.T) {
	o := Options{Backoff: Backoff{First: time.Second, Most: 10 * time.Second, Reset: 30 * time.Second}, Seed: 3}
	bubble(t, o, func(t *testing.T, s *Supervisor, f *fake) {
		i := begin(t, s, pretended("web"))
		crash := func() time.Duration {
			f.last(t).end(exit{reason: "ended with exit code 1", known: true})
			synctest.Wait()
			status := i.Status()
			if status.State != Crashed || status.PID != 0 {
				t.Fatalf("status %+v", status)
			}
			wait := time.Until(status.NextStart)
			before := f.count()
			pass(wait - 1)
			if f.count() != before {
				t.Fatal("it was started early")
			}
			pass(1)
			if f.count() != before+1 {
				t.Fatal("it was not started")
			}
			return wait
		}
		for n, exact := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
			exact *= time.Second
			if wait := crash(); wait > exact || wait < exact*3/4 {
				t.Errorf("crash %d: waited %v of %v", n+1, wait, exact)
			}
			if status := i.Status(); status.Crashes != n+1 || status.CrashLoop != (n+1 >= crashLoop) || status.Restarts != n+1 {
				t.Errorf("crash %d: %+v", n+1, status)
			}
		}
		// Health for too short a time changes nothing.
		pass(20 * time.Second)
		expect(t, i, Healthy, "")
		if wait := crash(); wait < 7*time.Second {
			t.Errorf("after 15 s of health: %v", wait)
		}
		pass(60 * time.Second)
		if wait := crash(); wait > time.Second {
			t.Errorf("after 55 s of health: %v", wait)
		}
		if status := i.Status(); status.CrashLoop || status.Crashes != 1 {
			t.Errorf("status %+v", status)
		}
	})
}

func TestStopWhileItWaits(t *testing.T) {
	bubble(t, Options{Backoff: Backoff{First: time.Hour, Most: time.Hour}}, func(t *testing.T, s *Supervisor, f *fake) {
		f.set(func(f *fake) { f.refuse = errors.New("there is no such program") })
		i := begin(t, s, pretended("web"))
		expect(t, i, Crashed, "it could not be started: there is no such program")
		begun := time.Now()
		if err := s.Stop(context.Background(), "web"); err != nil {
			t.Error(err)
		}
		if time.Since(begun) != 0 {
			t.Error("it waited")
		}
		expect(t, i, Ended, "was asked to end")
		if err := s.Remove(context.Background(), "web"); err != nil {
			t.Error(err)
		}
	})
}

func TestUnhealthyIsEnded(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		spec := pretended("web")
		spec.Check.EndAfter = 10 * time.Second
		i := begin(t, s, spec)
		pass(6 * time.Second)
		expect(t, i, Healthy, "")
		f.ill("hangs")
		pass(5 * time.Second)
		expect(t, i, Unhealthy, "hangs")
		pass(8 * time.Second)
		if status := i.Status(); status.Restarts != 1 || !strings.Contains(status.LastExit, "it was unhealthy for 10s: hangs") {
			t.Errorf("status %+v", status)
		}
	})
}

func TestLies(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		i := begin(t, s, pretended("web"))
		p := f.last(t)
		f.set(func(*fake) { p.alien = 4711 })
		pass(20 * time.Second)
		expect(t, i, Starting, "is answered by another process (4711)")
		f.set(func(f *fake) {
			p.alien, p.others = 0, []socket{{"127.0.0.1", 8080}, {"::", 8080}, {"::", 9000}}
			f.answer = func(context.Context, int) (string, bool) { return "nothing listens", true }
		})
		pass(time.Second)
		expect(t, i, Starting, "nothing listens; the instance listens on another port (8080, 9000): does it read PORT_HTTP?")
	})
}

func TestCommandCheck(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		spec := pretended("web")
		spec.Check.Kind, spec.Check.Command = CheckCommand, []string{"/bin/check"}
		f.ill("the queue is full\nmore")
		i := begin(t, s, spec)
		expect(t, i, Starting, "/bin/check ended with exit code 3: the queue is full")
		f.well()
		pass(7 * time.Second)
		expect(t, i, Healthy, "")
	})
}

// TestTakenUp has another supervisor take up what one has let go of.
func TestTakenUp(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		i := begin(t, s, pretended("web"))
		pass(6 * time.Second)
		expect(t, i, Healthy, "")
		s.Close()
		if p := f.last(t); !p.left || p.signals != nil {
			t.Errorf("it was not left alone: %+v", p)
		}
		if _, err := s.Start(context.Background(), pretended("other")); !errors.Is(err, ErrClosed) {
			t.Errorf("started: %v", err)
		}
		if err := s.Stop(context.Background(), "web"); !errors.Is(err, ErrClosed) {
			t.Errorf("stopped: %v", err)
		}
		// The record says that it is to end: what was wanted of a closed one is done by the next.
		s2 := pretend(t, s.dir, f, Options{})
		synctest.Wait()
		taken, err := s2.Get("web")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, taken, Ended, "")
		s2.Close()
	})
}

func TestTakenUpHealthy(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		begin(t, s, pretended("was"))
		pass(6 * time.Second)
		begin(t, s, pretended("is-not"))
		s.Close()
		s2 := pretend(t, s.dir, f, Options{})
		synctest.Wait()
		was, _ := s2.Get("was")
		expect(t, was, Healthy, "")
		if status := was.Status(); !status.Adopted || status.PID != 100 || status.Started.IsZero() {
			t.Errorf("status %+v", status)
		}
		not, _ := s2.Get("is-not")
		expect(t, not, Starting, "")
		pass(5 * time.Second)
		expect(t, not, Healthy, "")
		s2.Close()
	})
}

func TestChanges(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		begin(t, s, pretended("a"))
		ctx, cancel := context.WithCancel(context.Background())
		var seen []string
		slow := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for status := range s.Changes(ctx) {
				if status.State != Starting || len(seen) == 0 {
					seen = append(seen, status.ID+" "+string(status.State))
				}
				<-slow
			}
		}()
		synctest.Wait()
		begin(t, s, pretended("b"))
		pass(10 * time.Second) // both are healthy long before the first status is taken
		close(slow)
		synctest.Wait()
		cancel()
		<-done
		if want := []string{"a starting", "b healthy", "a healthy"}; !slices.Equal(seen, want) {
			t.Errorf("got %v, want %v", seen, want)
		}
	})
}

func TestPorts(t *testing.T) {
	bubble(t, Options{Ports: PortRange{5000, 5003}}, func(t *testing.T, s *Supervisor, f *fake) {
		f.set(func(f *fake) { f.busy = []int{5001} })
		spec := pretended("a")
		spec.Ports = []string{"http", "admin-api"}
		a := begin(t, s, spec)
		if got := a.Status().Ports; got["http"] != 5000 || got["admin-api"] != 5002 {
			t.Errorf("ports %v", got)
		}
		b := begin(t, s, pretended("b"))
		if got := b.Status().Ports; got["http"] != 5003 {
			t.Errorf("ports %v", got)
		}
		c := begin(t, s, pretended("c"))
		expect(t, c, Crashed, "no port is free in 5000-5003")
		if err := s.Stop(context.Background(), "a"); err != nil {
			t.Error(err)
		}
		pass(time.Minute)
		if got := c.Status().Ports; got["http"] != 5000 && got["http"] != 5002 {
			t.Errorf("ports %v", got)
		}
	})
	bubble(t, Options{}, func(t *testing.T, s *Supervisor, f *fake) {
		given := map[int]bool{}
		for _, id := range []string{"a", "b", "c"} {
			spec := pretended(id)
			spec.Ports = []string{"http", "admin"}
			for _, port := range begin(t, s, spec).Status().Ports {
				if given[port] {
					t.Errorf("port %d was given twice", port)
				}
				given[port] = true
			}
		}
	})
}

func TestSpecs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("paths are others there")
	}
	tests := []struct {
		name   string
		change func(*Spec)
		want   string
	}{
		{"no ID", func(s *Spec) { s.ID = "" }, `ID ""`},
		{"a path", func(s *Spec) { s.ID = "../x" }, `ID "../x"`},
		{"a hidden one", func(s *Spec) { s.ID = ".x" }, `ID ".x"`},
		{"relative bundle", func(s *Spec) { s.Bundle = "x" }, "want an absolute path"},
		{"no program", func(s *Spec) { s.Argv = nil }, "there is no program to run"},
		{"NUL", func(s *Spec) { s.Argv = []string{"a", "b\x00"} }, "has a NUL"},
		{"no variable", func(s *Spec) { s.Env = map[string]string{"A=B": ""} }, "is no name of a variable"},
		{"NUL in a variable", func(s *Spec) { s.Env = map[string]string{"A": "\x00"} }, "the variable A has a NUL"},
		{"ours", func(s *Spec) { s.Env = map[string]string{"GANTRY_INSTANCE": "x"} }, "is set by the agent"},
		{"a port's", func(s *Spec) { s.Secrets = map[string]string{"PORT_HTTP": "x"} }, "is set by the agent"},
		{"secret and not", func(s *Spec) { s.Env, s.Secrets = map[string]string{"A": ""}, map[string]string{"A": ""} }, "is a secret and is not"},
		{"port", func(s *Spec) { s.Ports = []string{"1"} }, `port "1"`},
		{"ports alike", func(s *Spec) { s.Ports = []string{"http", "a-b", "a_b"} }, `"a-b" and "a_b" are both PORT_A_B`},
		{"variable of no port", func(s *Spec) { s.Variables = map[string]string{"grpc": "GRPC"} }, `the port "grpc", which is none`},
		{"variable's name", func(s *Spec) { s.Variables = map[string]string{"http": "1"} }, `"1" is no name of a variable`},
		{"variables alike", func(s *Spec) {
			s.Ports = []string{"http", "admin"}
			s.Variables = map[string]string{"http": "PORT_ADMIN"}
		}, `"admin" and "http" are both PORT_ADMIN`},
		{"a variable's", func(s *Spec) {
			s.Variables, s.Env = map[string]string{"http": "LISTEN"}, map[string]string{"LISTEN": "x"}
		}, "the variable LISTEN is set by the agent"},
		{"limits", func(s *Spec) { s.Limits.CPU = -1 }, "not negative"},
		{"signal", func(s *Spec) { s.Stop.Signal = "KILL" }, `stop signal "KILL"`},
		{"grace", func(s *Spec) { s.Stop.Grace = -1 }, "is negative"},
		{"check", func(s *Spec) { s.Check.Kind = "icmp" }, `check "icmp"`},
		{"check's port", func(s *Spec) { s.Check.Port = "grpc" }, `port "grpc" is none`},
		{"check's path", func(s *Spec) { s.Check.Path = "/a b" }, "with spaces escaped"},
		{"check's command", func(s *Spec) { s.Check.Kind = CheckCommand }, "has no command"},
		{"passes", func(s *Spec) { s.Check.Passes = -1 }, "are negative"},
		{"minimum", func(s *Spec) { s.Check.MinHealthy = time.Hour }, "no less than its start deadline"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := pretended("web")
			tt.change(&spec)
			if _, err := spec.normal(); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
	if _, err := pretended("web").normal(); err != nil {
		t.Error(err)
	}
}

func TestPrepare(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("paths are others there")
	}
	spec := pretended("web")
	spec.Ports = []string{"http", "admin-api"}
	spec.Argv = []string{"bin/server", "--listen=:${PORT}", "${PORT_ADMIN_API}", "${GANTRY_BUNDLE}/x ${TOKEN} $PORT"}
	spec.Env = map[string]string{"MODE": "fast", "HOME": "/elsewhere"}
	l, err := spec.prepare(launch{store: "s", id: "web", nonce: "n", home: "/place"}, map[string]int{"http": 81, "admin-api": 82}, map[string]string{"TOKEN": "t"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"bin/server", "--listen=:81", "82", "/bundle/x ${TOKEN} $PORT"}; !slices.Equal(l.argv, want) || l.path != "/bundle/bin/server" {
		t.Errorf("%s %q", l.path, l.argv)
	}
	for _, want := range []string{"PORT=81", "PORT_HTTP=81", "PORT_ADMIN_API=82", "MODE=fast", "HOME=/elsewhere", "TMPDIR=" + filepath.Join("/place", workDir, "tmp"), "TOKEN=t", "GANTRY_INSTANCE=s/web/n", "GANTRY_BUNDLE=/bundle"} {
		if !slices.Contains(l.env, want) {
			t.Errorf("%s is missing in %q", want, l.env)
		}
	}

	spec.Variables = map[string]string{"admin-api": "ADMIN"}
	if l, err = spec.prepare(launch{}, map[string]int{"http": 81, "admin-api": 82}, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"PORT_HTTP=81", "PORT_ADMIN_API=82", "ADMIN=82"} {
		if !slices.Contains(l.env, want) {
			t.Errorf("%s is missing in %q", want, l.env)
		}
	}
	if slices.Contains(l.env, "PORT=81") {
		t.Error("nobody has asked for PORT")
	}
}
