//go:build linux

package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/agent/route"
)

// TestShip brings version after version onto a host under load: beside the old one, with a share, alone.
func TestShip(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.apply(w.want([]string{"1"}, []int{2}, nil), map[string]int{"1": 10_000})
	l := w.load(4)
	for n := 2; n <= 5; n++ {
		last, next := fmt.Sprint(n-1), fmt.Sprint(n)
		w.apply(w.want([]string{last, next}, []int{2, 1}, []int{2000}), map[string]int{last: 8000, next: 2000})
		before := w.h.Observe().Requests["shop"][next]["2xx"]
		w.until("requests for the new version", func(o Observed) bool { return o.Requests["shop"][next]["2xx"] > before+20 })
		w.apply(w.want([]string{next}, []int{2}, nil), map[string]int{next: 10_000})
		w.until("the end of the old version", func(o Observed) bool {
			return len(o.Instances) == 2 && o.Instances[0].Labels["version"] == next && o.Instances[1].State == process.Healthy
		})
	}
	l.end(t)
	if removed, err := w.h.Sweep(); err != nil || len(removed) != 4 {
		t.Errorf("of the old candidates %d were removed, %v", len(removed), err)
	}
	if w.src.fetched != 5 {
		t.Errorf("candidates were fetched %d times", w.src.fetched)
	}
}

// TestRestart ends the agent and opens the host again: the workloads are the same processes, also with a wish that came just before.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.apply(w.want([]string{"1"}, []int{1}, nil), map[string]int{"1": 10_000})
	_, pid, _, err := w.ask(http.DefaultClient, "/", "x")
	if err != nil {
		t.Fatal(err)
	}
	w.apply(w.want([]string{"1"}, []int{1}, nil), map[string]int{"1": 10_000}) // with the port that it has got
	w.halt()
	if _, err := net.Dial("tcp", w.addr); err == nil {
		t.Error("somebody listens without an agent")
	}
	w.start()
	w.until("the traffic", func(o Observed) bool { return o.Weights["shop"]["1"] == 10_000 })
	if _, again, _, err := w.ask(http.DefaultClient, "/", "x"); err != nil || again != pid {
		t.Errorf("process %s answers instead of %s, %v", again, pid, err)
	}
	// Its secrets are there for a start without the server, and nowhere to be read.
	_, _, _, _ = w.ask(http.DefaultClient, "/crash", "")
	w.until("another process", func(o Observed) bool {
		return o.Instances[0].State == process.Healthy && fmt.Sprint(o.Instances[0].PID) != pid && o.Weights["shop"]["1"] == 10_000
	})
	if _, _, answer, err := w.ask(http.DefaultClient, "/", "x"); err != nil || answer != "x secret-1" {
		t.Errorf("started again it answers %q, %v", answer, err)
	}
	if err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "secret-1") {
			t.Errorf("%s has the secret in it", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	d := w.want([]string{"2"}, []int{1}, nil)
	if err := w.h.Apply(d); err != nil {
		t.Fatal(err)
	}
	w.halt() // most likely before anything was done
	w.start()
	w.until("the next version alone", func(o Observed) bool {
		return o.Generation == d.Generation && o.Weights["shop"]["2"] == 10_000 && len(o.Instances) == 1
	})
}

// TestStopped ends the agent with all that it runs, also in the middle of that, and the next one starts all of it again.
func TestStopped(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.apply(w.want([]string{"1"}, []int{2}, nil), map[string]int{"1": 10_000})
	w.apply(w.want([]string{"1"}, []int{2}, nil), map[string]int{"1": 10_000}) // with the port that it has got
	for name, limit := range map[string]time.Duration{"as a whole": soon, "and is killed meanwhile": time.Nanosecond} {
		w.halt()
		h, err := Open(t.Context(), w.options())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		// What it could not wait for ends by itself, since it was asked to, or is ended by the next agent.
		if err := h.Shutdown(ctx); err != nil && limit == soon {
			t.Fatal(err)
		}
		cancel()
		w.start()
		w.until("the traffic, when the agent was stopped "+name, func(o Observed) bool {
			healthy := 0
			for _, i := range o.Instances {
				if i.State == process.Healthy {
					healthy++
				}
			}
			return healthy == 2 && len(o.Instances) == 2 && o.Weights["shop"]["1"] == 10_000
		})
		if version, _, _, err := w.ask(http.DefaultClient, "/", "x"); err != nil || version != "1" {
			t.Errorf("stopped %s, it answers as %q, %v", name, version, err)
		}
	}
}

// TestTakeOver upgrades the agent under load, again and again: no request fails, and the workloads are the same processes.
func TestTakeOver(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.apply(w.want([]string{"1"}, []int{2}, nil), map[string]int{"1": 10_000})
	pids := func() string {
		var all []string
		for _, st := range w.h.Observe().Instances {
			all = append(all, fmt.Sprint(st.PID))
		}
		return strings.Join(all, " ")
	}
	w.apply(w.want([]string{"1"}, []int{2}, nil), map[string]int{"1": 10_000}) // with the port that it has got
	first := pids()
	l := w.load(4)
	for n := range 3 {
		sent := l.sent.Load()
		ended := w.ended
		next, err := TakeOver(t.Context(), w.options())
		if err != nil {
			t.Fatal(err)
		}
		w.run(next)
		if err := <-ended; !errors.Is(err, ErrReplaced) {
			t.Errorf("the agent before ended with %v", err)
		}
		w.until("requests through the next agent", func(o Observed) bool { return l.sent.Load() > sent+100 && o.Weights["shop"]["1"] == 10_000 })
		if now := pids(); now != first {
			t.Errorf("after %d agents the processes are %s instead of %s", n+1, now, first)
		}
	}
	// It can do what the one before could.
	w.apply(w.want([]string{"1", "2"}, []int{2, 1}, []int{0}), map[string]int{"1": 10_000, "2": 0})
	w.apply(w.want([]string{"2"}, []int{1}, nil), map[string]int{"2": 10_000})
	w.until("the end of the old version", func(o Observed) bool { return len(o.Instances) == 1 })
	l.end(t)
}

// TestNoTakeOver lets one come that does not serve in the end: the agent goes on.
func TestNoTakeOver(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.apply(w.want([]string{"1"}, []int{1}, nil), map[string]int{"1": 10_000})
	l := w.load(2)
	for _, say := range []string{"", "what?\n"} {
		c, err := net.Dial("unix", filepath.Join(w.dir, socketFile))
		if err != nil {
			t.Fatal(err)
		}
		files, err := receive(c.(*net.UnixConn))
		if err != nil || len(files) != 1 {
			t.Fatalf("%d listeners came, %v", len(files), err)
		}
		_, _ = c.Write([]byte(say))
		_ = c.Close()
		for _, f := range files {
			_ = f.Close()
		}
	}
	w.apply(w.want([]string{"1", "2"}, []int{1, 1}, []int{5000}), map[string]int{"1": 5000, "2": 5000})
	l.end(t)
	if _, err := Open(t.Context(), w.options()); !errors.Is(err, process.ErrLocked) {
		t.Errorf("a second agent opened the folder: %v", err)
	}
}

// TestIll moves the traffic away from a version whose instances are not healthy, and tries them when there are no others.
func TestIll(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.apply(w.want([]string{"1", "2"}, []int{1, 1}, []int{3000}), map[string]int{"1": 7000, "2": 3000})
	ill := func(version string, is bool) {
		t.Helper()
		name := filepath.Join(w.ill, "ill-"+version)
		var err error
		if is {
			err = os.WriteFile(name, nil, 0o600)
		} else {
			err = os.Remove(name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	shares := func(want string) {
		t.Helper()
		w.until(want, func(o Observed) bool { return fmt.Sprint(o.Weights["shop"]) == want })
		if _, _, _, err := w.ask(http.DefaultClient, "/", "x"); err != nil {
			t.Error(err)
		}
	}
	ill("2", true)
	shares("map[1:10000]")
	ill("1", true)
	shares("map[1:7000 2:3000]")
	ill("2", false)
	shares("map[2:10000]")
	ill("1", false)
	shares("map[1:7000 2:3000]")
}

// TestRefusals keeps what is desired when something else is asked for that cannot be.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.start()
	good := w.want([]string{"1"}, []int{1}, nil)
	w.apply(good, map[string]int{"1": 10_000})
	for want, change := range map[string]func(*Desired){
		"newer generation":        func(d *Desired) { d.Generation-- },
		"is there twice":          func(d *Desired) { d.Instances = append(d.Instances, d.Instances...) },
		"the instance shop-1-0: ": func(d *Desired) { d.Instances[0].Bundle = "latest" },
		"needs a service":         func(d *Desired) { d.Instances[0].Version = "" },
		"has no port":             func(d *Desired) { d.Services[0].Port = "" },
		"the agent's to find":     func(d *Desired) { d.Services[0].Arms[0].Endpoints = []route.Endpoint{{}} },
	} {
		d := w.want([]string{"1"}, []int{1}, nil)
		d.Generation = good.Generation
		change(&d)
		if err := w.h.Apply(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if o := w.h.Observe(); o.Generation != good.Generation || len(o.Problems) != 0 {
		t.Errorf("it is %+v", o)
	}
	// What is only found out on the way is said, and tried again.
	w.src.mu.Lock()
	w.src.fail = errors.New("the store is away")
	w.src.mu.Unlock()
	d := w.want([]string{"1", "2"}, []int{1, 1}, []int{5000})
	d.Listeners = append(d.Listeners, route.Listener{Name: "other", Address: w.addr, Protocol: route.TCP, Routes: []route.Route{{Service: "shop"}}})
	if err := w.h.Apply(d); err != nil {
		t.Fatal(err)
	}
	w.until("both problems", func(o Observed) bool {
		return strings.Contains(o.Problems["shop-2-0"], "the store is away") && strings.Contains(o.Problems["routes"], "address already in use")
	})
	w.src.mu.Lock()
	w.src.fail = nil
	w.src.mu.Unlock()
	w.apply(w.want([]string{"1", "2"}, []int{1, 1}, []int{5000}), map[string]int{"1": 5000, "2": 5000})
	if o := w.h.Observe(); len(o.Problems) != 0 {
		t.Errorf("there are still problems: %v", o.Problems)
	}
	// What is on disk and cannot be read is not taken for nothing.
	w.halt()
	name := filepath.Join(w.dir, stateFile)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{"", "{", string(b[:len(b)/2]), string(b) + "{}", strings.Replace(string(b), `"generation"`, `"generatiom"`, 1), strings.Replace(string(b), `"sealed": "`, `"sealed": "QUJD`, 1)} {
		if err := os.WriteFile(name, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if h, err := Open(t.Context(), w.options()); err == nil {
			t.Errorf("%.60q was read", damaged)
			_ = h.Close()
		}
		if now, _ := os.ReadFile(name); string(now) != damaged {
			t.Errorf("%.60q was changed", damaged)
		}
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTable makes routing tables of what runs.
func TestTable(t *testing.T) {
	d := Desired{Services: []Service{{Port: "http", Service: route.Service{Name: "shop", Arms: []route.Arm{{Version: "1"}, {Version: "2", Weight: 1000}, {Version: "3", Weight: 2000}}}}}}
	for _, v := range []string{"1", "2", "3"} {
		d.Instances = append(d.Instances, Instance{Service: "shop", Version: v, Spec: process.Spec{ID: v}})
	}
	status := func(v string, s process.State) process.Status {
		return process.Status{ID: v, State: s, Ports: map[string]int{"http": 1}, Labels: map[string]string{LabelService: "shop", LabelVersion: v}}
	}
	for _, c := range []struct {
		states [3]process.State
		want   string
	}{
		{[3]process.State{process.Healthy, process.Healthy, process.Healthy}, "map[1:7000 2:1000 3:2000]"},
		{[3]process.State{process.Healthy, process.Starting, process.Healthy}, "map[1:8000 3:2000]"},
		{[3]process.State{process.Crashed, process.Healthy, process.Healthy}, "map[2:8000 3:2000]"},
		{[3]process.State{process.Unhealthy, process.Starting, process.Unhealthy}, "map[1:8000 3:2000]"},
		{[3]process.State{process.Starting, process.Crashed, process.Stopping}, "map[]"},
	} {
		var running []process.Status
		for n, s := range c.states {
			running = append(running, status(fmt.Sprint(n+1), s))
		}
		running = append(running, status("unwanted", process.Healthy))
		tab, shares := table(d, running)
		if got := fmt.Sprint(shares["shop"]); got != c.want || len(tab.Services[0].Arms) != 3 {
			t.Errorf("%v: %s, %d versions", c.states, got, len(tab.Services[0].Arms))
		}
		if endpoints(tab)["unwanted/http:1"] {
			t.Errorf("%v: an instance that is not wanted has traffic", c.states)
		}
	}
}
