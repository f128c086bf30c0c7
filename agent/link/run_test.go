package link

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/process"
)

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestBackoff(t *testing.T) {
	var b backoff
	for i := range 50 {
		most := min(firstPause<<min(i, 10), longestTime)
		if d := b.next(); d < most/2 || d > most {
			t.Errorf("the pause %d is %v; %v to %v were expected", i, d, most/2, most)
		}
	}
	b.reset()
	if d := b.next(); d > firstPause {
		t.Errorf("after a success it waits %v", d)
	}
}

// TestNotJoined: without what is needed nothing is begun.
func TestNotJoined(t *testing.T) {
	open := func(context.Context, agent.Source, Registry) (*agent.Host, error) {
		t.Error("the host was opened")
		return nil, errors.New("no")
	}
	if err := Run(t.Context(), Options{Dir: t.TempDir(), Open: open}); !errors.Is(err, ErrNoToken) {
		t.Error(err)
	}
	err := Run(t.Context(), Options{Dir: t.TempDir(), Token: "gja_x", Open: open})
	contains(t, err, "say which server the agent is of")
	err = Run(t.Context(), Options{Dir: t.TempDir(), Token: "gja_x", Server: "https://127.0.0.1:1", Open: open})
	contains(t, err, "this is no join token")
}

// TestSignature: what a rollout may wait for is told at once, and the passing of time is not.
func TestSignature(t *testing.T) {
	o := agent.Observed{Generation: 1, Instances: []process.Status{{ID: "a", State: process.Starting}, {ID: "b", State: process.Healthy}}}
	same := o
	same.At = time.Now()
	same.Instances = []process.Status{o.Instances[1], o.Instances[0]}
	if signature(o) != signature(same) {
		t.Error("the order of instances or the time is news")
	}
	for name, change := range map[string]func(*agent.Observed){
		"a state":      func(o *agent.Observed) { o.Instances[0].State = process.Healthy },
		"a restart":    func(o *agent.Observed) { o.Instances[0].Restarts++ },
		"a generation": func(o *agent.Observed) { o.Applied++ },
		"a weight":     func(o *agent.Observed) { o.Weights = map[string]map[string]int{"x": {"1": 500}} },
		"a problem":    func(o *agent.Observed) { o.Problems = map[string]string{"routes": "the port is taken"} },
		"a task":       func(o *agent.Observed) { o.Tasks = map[string]agent.TaskStatus{"t": {State: agent.TaskFailed}} },
	} {
		other := o
		other.Instances = append([]process.Status(nil), o.Instances...)
		change(&other)
		if signature(other) == signature(o) {
			t.Errorf("%s is no news", name)
		}
	}
}

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadStatus(dir); !errors.Is(err, ErrNoStatus) {
		t.Error(err)
	}
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	s := Status{Name: "eu-1", Server: "https://ci.example.com:7071", At: at, Reached: at, Observed: agent.Observed{Instances: []process.Status{{ID: "a", State: process.Healthy}}}}
	w := &teller{dir: dir}
	read := func() Status {
		t.Helper()
		got, err := ReadStatus(dir)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if err := w.tell(s); err != nil || read().Name != "eu-1" || read().Observed.Instances[0].ID != "a" {
		t.Errorf("%+v, %v", read(), err)
	}
	// The same again is not written with each report, but now and then; what is new is written at once.
	s.At = at.Add(statusEvery - 1)
	if err := w.tell(s); err != nil || !read().At.Equal(at) {
		t.Errorf("%v, %v", read().At, err)
	}
	s.At = at.Add(statusEvery)
	if err := w.tell(s); err != nil || !read().At.Equal(s.At) {
		t.Errorf("%v, %v", read().At, err)
	}
	s.At, s.Trouble = s.At.Add(time.Second), "connection refused"
	if err := w.tell(s); err != nil || read().Trouble != s.Trouble {
		t.Errorf("%+v, %v", read(), err)
	}
	if err := TellStopped(dir, s.At.Add(time.Second)); err != nil || read().Stopped.IsZero() || len(read().Observed.Instances) != 0 || read().Trouble != "" {
		t.Errorf("%+v, %v", read(), err)
	}
}
