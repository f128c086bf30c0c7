//go:build linux

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/process"
)

// line is a task that runs a line of shell.
func (w *world) line(id, script string) Task {
	return Task{ID: id, Timeout: time.Minute, Instance: &Instance{
		Service: "p/e/r/shop", Version: "1", Bundle: w.src.candidate(w.t, "1"), Spec: process.Spec{Argv: []string{"/bin/sh", "-c", script}}, Secrets: map[string]string{"KEY": "the value"},
	}}
}

// tasks applies what is desired with tasks, and waits until they have ended.
func (w *world) tasks(d Desired, tasks ...Task) map[string]TaskStatus {
	w.t.Helper()
	d.Tasks = tasks
	d.Generation = w.h.Observe().Generation + 1
	if err := w.h.Apply(d); err != nil {
		w.t.Fatal(err)
	}
	var last map[string]TaskStatus
	w.until("the end of the tasks", func(o Observed) bool {
		last = o.Tasks
		for _, t := range tasks {
			if s := o.Tasks[t.ID].State; s != TaskSucceeded && s != TaskFailed {
				return false
			}
		}
		return true
	})
	return last
}

func TestTasks(t *testing.T) {
	w := newWorld(t)
	w.start()
	d := w.want([]string{"1"}, []int{2}, nil)
	w.apply(d, map[string]int{"1": 10_000})
	again := filepath.Join(t.TempDir(), "again")
	check := func(id, path string, status int) Task {
		return Task{ID: id, Timeout: time.Minute, HTTP: &HTTPCheck{Service: "shop", Version: "1", Port: "http", Path: path, Status: status}}
	}
	late := w.line("late", "echo begun; sleep 600 & wait")
	late.Timeout = 300 * time.Millisecond
	nobody := check("nobody", "/healthz", 200)
	nobody.HTTP.Version, nobody.Timeout = "9", 300*time.Millisecond
	all := []Task{
		w.line("good", `echo "$KEY in $(basename "$GANTRY_DATA")"; echo x >> `+again), w.line("bad", "echo why >&2; exit 3"), late,
		check("well", "/healthz", 200), check("unwell", "/healthz", 204), nobody,
	}
	got := w.tasks(d, all...)
	for id, want := range map[string]TaskStatus{
		"good": {TaskSucceeded, "", "the value in shop\n"}, "bad": {TaskFailed, "exit code 3", "why\n"}, "late": {TaskFailed, "has not ended after 300ms", "begun\n"},
		"well": {State: TaskSucceeded}, "unwell": {TaskFailed, "answers 200, not 204", ""}, "nobody": {TaskFailed, "no instance of 9 is wanted here", ""},
	} {
		if s := got[id]; s.State != want.State || !strings.Contains(s.Reason, want.Reason) || s.Output != want.Output {
			t.Errorf("%s: %+v, and not %+v", id, s, want)
		}
	}
	// Tasks are no instances, and what they ran is gone.
	w.until("the end of what the tasks ran", func(Observed) bool { return len(w.h.supervisor.List()) == 2 })
	if o := w.h.Observe(); len(o.Instances) != 2 {
		t.Errorf("there are %d instances", len(o.Instances))
	}
	// Asked for again, also of the next agent, they are not done again, and their outcomes stay.
	w.halt()
	w.start()
	if more := w.tasks(d, all...); fmt.Sprint(more) != fmt.Sprint(got) {
		t.Errorf("asked for again: %v, and not %v", more, got)
	}
	if b, err := os.ReadFile(again); err != nil || string(b) != "x\n" {
		t.Errorf("the task was done %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(w.dir, stateFile)); err != nil || strings.Contains(string(b), "the value") {
		t.Errorf("a secret can be read in what is desired, %v", err)
	}
	// What is not wanted any more is forgotten.
	w.tasks(d)
	w.until("no record", func(Observed) bool {
		left, err := filepath.Glob(filepath.Join(w.dir, tasksDir, "*"))
		return err == nil && len(left) == 0
	})
	for _, bad := range []Task{{}, {ID: "a/b", HTTP: &HTTPCheck{Path: "/"}}, {ID: "x"}, {ID: "x", HTTP: &HTTPCheck{Path: "nowhere"}}, {ID: "x", Instance: &Instance{}}} {
		d.Tasks, d.Generation = []Task{bad}, w.h.Observe().Generation+1
		if err := w.h.Apply(d); err == nil {
			t.Errorf("the task %+v was taken", bad)
		}
	}
}

// TestTaskOutlivesAgent ends the agent while a task runs: the next one takes it up.
func TestTaskOutlivesAgent(t *testing.T) {
	w := newWorld(t)
	w.start()
	sign := filepath.Join(t.TempDir(), "go")
	task := w.line("slow", "while [ ! -e "+sign+" ]; do sleep 0.05; done; echo done")
	d := Desired{Generation: 1, Tasks: []Task{task}}
	if err := w.h.Apply(d); err != nil {
		t.Fatal(err)
	}
	w.until("its begin", func(Observed) bool { return len(w.h.supervisor.List()) == 1 })
	w.halt()
	w.start()
	w.until("the next agent", func(o Observed) bool { return o.Tasks["slow"].State == TaskRunning })
	if err := os.WriteFile(sign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var s TaskStatus
	w.until("its end", func(o Observed) bool { s = o.Tasks["slow"]; return s.State != TaskRunning })
	// Where the next agent is another process the exit code is not to be had: that is no success. Here it is the same one.
	if s != (TaskStatus{State: TaskSucceeded, Output: "done\n"}) && (s.State != TaskFailed || !strings.Contains(s.Reason, "not known")) {
		t.Errorf("%+v", s)
	}
}
