package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

func TestLabels(t *testing.T) {
	for _, tt := range []struct {
		labels, wants string
		others        []string
		want          bool
	}{
		{"linux,x64", "", nil, true},
		{"linux,x64", "Linux", nil, true},
		{"LINUX,x64", "x64,linux,X64", nil, true},
		{"linux", "linux,gpu", nil, false},
		{"*", "ubuntu-latest", nil, true},
		{"*", "ubuntu-latest", []string{"linux"}, true},
		{"*", "linux", []string{"linux,gpu"}, false},
		{"*,linux", "linux", []string{"linux,gpu"}, true},
		{"*", "linux", []string{"*,linux"}, true},
		{"*", "linux,gpu", []string{"linux", "gpu"}, true},
	} {
		split := func(s string) []string { return fold(strings.Split(s, ",")) }
		got, err := takes(split(tt.labels), wantsOf(strings.Split(tt.wants, ",")), func() (sets [][]string, err error) {
			for _, o := range tt.others {
				sets = append(sets, split(o))
			}
			return sets, nil
		})
		if err != nil || got != tt.want {
			t.Errorf("%q takes %q beside %q: %v, %v", tt.labels, tt.wants, tt.others, got, err)
		}
	}
}

func TestClaimOrder(t *testing.T) {
	each(t, func(w *world) {
		w.enqueue("10", "late")
		w.enqueue("9", "second")
		w.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := w.Enqueue(ctx, tx, "p", "9", 1, runner.Assignment{ID: "first", Key: "first", Name: "first", Rank: 3, RunsOn: []string{"ubuntu-latest"}})
			return err
		})
		var got []string
		for range 4 {
			if task := w.claim(embedded("a")); task != nil {
				got = append(got, task.Assignment.ID)
			}
		}
		if s := fmt.Sprint(got); s != "[first second late]" {
			w.t.Errorf("claimed %s", s)
		}
	})
}

func TestClaimByLabels(t *testing.T) {
	each(t, func(w *world) {
		gpu, err := w.RegisterRunner(w.t.Context(), By{Actor: "account:ann"}, "gpu-1", []string{"linux", "gpu"})
		if err != nil {
			w.t.Fatal(err)
		}
		w.enqueue("1", "train", "GPU")
		w.enqueue("1", "build", "ubuntu-latest")
		if task := w.must(embedded("a")); task.Assignment.ID != "build" {
			w.t.Errorf("the embedded runner got %q", task.Assignment.ID)
		}
		if task := w.claim(embedded("a")); task != nil {
			w.t.Errorf("the embedded runner got %q as well", task.Assignment.ID)
		}
		// It says more labels than it was registered with: that does not count.
		remote := Worker{ID: gpu.ID, Session: "s", Labels: []string{"ubuntu-latest"}}
		task := w.must(remote)
		if task.Assignment.ID != "train" || task.TTL != 30 || task.SHA != "abc" {
			w.t.Errorf("the remote runner got %+v", task)
		}
		w.enqueue("1", "other", "ubuntu-latest")
		if task := w.claim(remote); task != nil {
			w.t.Errorf("the remote runner got %q", task.Assignment.ID)
		}
		if _, err := w.Claim(w.t.Context(), Worker{ID: "nobody", Session: "s"}, 0); !errors.Is(err, ErrNotFound) {
			w.t.Errorf("a runner that is not registered: %v", err)
		}
		if err := w.RemoveRunner(w.t.Context(), By{Actor: "account:ann"}, gpu.ID); err != nil {
			w.t.Fatal(err)
		}
		if j := w.job(task.Job); j.Status != Queued {
			w.t.Errorf("the removed runner's job is %s", j.Status)
		}
		if _, err := w.Renew(w.t.Context(), task.TaskRef); !errors.Is(err, ErrFenced) {
			w.t.Errorf("renew after the removal: %v", err)
		}
		if _, err := w.Claim(w.t.Context(), remote, 0); !errors.Is(err, ErrNotFound) {
			w.t.Errorf("a runner that was removed: %v", err)
		}
	})
}

// TestClaimWaits shows that a claim that waits is woken by what is queued, without the clock's help.
func TestClaimWaits(t *testing.T) {
	each(t, func(w *world) {
		got := make(chan *Task)
		go func() {
			task, err := w.Claim(w.t.Context(), embedded("a"), time.Minute)
			if err != nil {
				w.t.Error(err)
			}
			got <- task
		}()
		id := w.enqueue("1", "a")
		if task := <-got; task == nil || task.Job != id {
			w.t.Errorf("got %+v", task)
		}
	})
}

// TestClaimPreparationFails shows that a job whose task cannot be filled is tried again later, and fails in the end.
func TestClaimPreparationFails(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		w.fill = func(context.Context, *Job, *Task) error { return errors.New("the store of secrets is away") }
		for n := range MaxTries {
			if task := w.claim(embedded("a")); task != nil {
				w.t.Fatal("a job was handed out that could not be prepared")
			}
			if j := w.job(id); n < MaxTries-1 && (j.Status != Queued || !strings.Contains(j.Reason, "secrets is away")) {
				w.t.Fatalf("try %d: %s, %q", n+1, j.Status, j.Reason)
			}
			w.clock.pass(10 * time.Second)
		}
		if j := w.job(id); j.Status != Failure || j.Try != MaxTries {
			w.t.Errorf("%s after %d tries", j.Status, j.Try)
		}
	})
}

func TestClaimGivenUp(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		ctx, cancel := context.WithCancel(w.t.Context())
		w.fill = func(context.Context, *Job, *Task) error { cancel(); return nil }
		if task, err := w.Claim(ctx, embedded("a"), 0); task != nil || !errors.Is(err, context.Canceled) {
			w.t.Fatalf("%v, %v", task, err)
		}
		w.fill = nil
		if task := w.must(embedded("a")); task.Job != id || task.Try != 1 {
			w.t.Errorf("got %+v", task)
		}
	})
}

func TestNewSessionTakesOver(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		old := w.must(embedded("before"))
		again := w.must(embedded("after"))
		if again.Job != id || again.Try != 2 || again.Token <= old.Token {
			w.t.Errorf("after %+v came %+v", old.TaskRef, again)
		}
		err := w.Finish(w.t.Context(), old.TaskRef, TaskEnd{Outcome: runner.Outcome{Status: pipeline.Success}})
		if !errors.Is(err, ErrFenced) {
			w.t.Errorf("the dead server's end: %v", err)
		}
	})
}
