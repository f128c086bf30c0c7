package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

func TestReport(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		task := w.must(embedded("s"))
		note := &pipeline.Annotation{Level: "error", Message: "nil\x00", File: "a.go", Line: 3}
		batches := []Batch{
			{Seq: 1, Items: []Item{started(1), lines(1, "one", "two"), finished(1, pipeline.Success), started(2)}},
			{Seq: 2, Items: []Item{lines(2, "three"), {Event: &runner.Event{Type: runner.Annotated, Step: "step 2", Annotation: note}}}},
			{Seq: 3, Items: []Item{lines(2, "four"), finished(2, pipeline.Failure), {Event: &runner.Event{
				Type: runner.JobFinished, Summary: "# done", EnvironmentURL: "https://example.com",
			}}}},
		}
		for _, b := range batches {
			for range 2 { // each comes twice, and counts once
				if err := w.Report(w.t.Context(), task.TaskRef, b); err != nil {
					w.t.Fatal(err)
				}
			}
		}
		if err := w.Report(w.t.Context(), task.TaskRef, Batch{Seq: 5}); !errors.Is(err, ErrConflict) {
			w.t.Errorf("a gap: %v", err)
		}
		end := TaskEnd{Outcome: runner.Outcome{Status: pipeline.Failure, Outputs: pipeline.NewMap("k", "v")}, Batches: 4}
		if err := w.Finish(w.t.Context(), task.TaskRef, end); !errors.Is(err, ErrConflict) {
			w.t.Errorf("an end before its batches: %v", err)
		}
		end.Batches = 3
		for range 2 {
			if err := w.Finish(w.t.Context(), task.TaskRef, end); err != nil {
				w.t.Fatal(err)
			}
		}
		j := w.job(id)
		if j.Status != Failure || j.Summary != "# done" || j.EnvironmentURL != "https://example.com" || j.Lines != 4 {
			w.t.Errorf("the job: %+v", j)
		}
		var steps []string
		for _, s := range j.Steps {
			steps = append(steps, fmt.Sprintf("%d %s %s %d", s.Number, s.Name, s.Status, s.FirstLine))
		}
		if got := strings.Join(steps, ", "); got != "1 step 1 success 1, 2 step 2 failure 3" {
			w.t.Errorf("steps: %s", got)
		}
		if got := strings.Join(w.log(id), ","); got != "one,two,three,four" {
			w.t.Errorf("log: %s", got)
		}
		notes, err := w.Annotations(w.t.Context(), "1", 1)
		if err != nil || len(notes) != 1 || notes[0].Message != "nil" || notes[0].Step != "step 2" || notes[0].JobName != "a" {
			w.t.Errorf("annotations %+v, %v", notes, err)
		}
		o, err := w.Wait(w.t.Context(), id)
		if err != nil || o.Status != pipeline.Failure || o.Outputs.Strings()["k"] != "v" {
			w.t.Errorf("waited for %+v, %v", o, err)
		}
		if !slices.Equal(w.ended, []string{id}) {
			w.t.Errorf("told of the ends of %v", w.ended)
		}
		events, err := w.db.Events(w.t.Context(), store.EventQuery{Run: "1"})
		if err != nil {
			w.t.Fatal(err)
		}
		var types []string
		for _, e := range events {
			types = append(types, e.Type)
		}
		if got := strings.Join(types, " "); got != "job.queued job.started job.progress job.progress job.progress job.finished" {
			w.t.Errorf("events: %s", got)
		}
	})
}

func TestReportRefuses(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		task := w.must(embedded("s"))
		for _, tt := range []struct {
			b    Batch
			want string
		}{
			{Batch{}, "batch.seq must be at least 1"},
			{Batch{Seq: 1, Items: make([]Item, MaxItems+1)}, "batch.items must be at most 10000"},
			{Batch{Seq: 1, Items: []Item{lines(0, strings.Repeat("x", MaxBatch))}}, "batch must have at most 4194304 bytes of text"},
			{Batch{Seq: 1, Items: []Item{lines(-1, "x")}}, "batch.items[0].lines.s must be from 0 to 10000"},
			{Batch{Seq: 1, Items: []Item{lines(0), started(MaxSteps + 1)}}, "batch.items[1].event.number must be from 0 to 10000"},
		} {
			if err := w.Report(w.t.Context(), task.TaskRef, tt.b); err == nil || err.Error() != tt.want {
				w.t.Errorf("got %v, want %s", err, tt.want)
			}
		}
		if err := w.Report(w.t.Context(), TaskRef{Job: "no", Token: 1}, Batch{Seq: 1}); !errors.Is(err, ErrNotFound) {
			w.t.Errorf("no such job: %v", err)
		}
		if err := w.Finish(w.t.Context(), task.TaskRef, TaskEnd{}); err == nil {
			w.t.Error("no status, and no error")
		}
		// What is too large to keep is a failure that says so, not one that the worker repeats for ever.
		big := runner.Outcome{Status: pipeline.Success, Outputs: pipeline.NewMap("k", strings.Repeat("x", MaxOutputs))}
		if err := w.Finish(w.t.Context(), task.TaskRef, TaskEnd{Outcome: big}); err != nil {
			w.t.Fatal(err)
		}
		if j := w.job(id); j.Status != Failure || !strings.Contains(j.Reason, "outputs have") {
			w.t.Errorf("%s, %q", j.Status, j.Reason)
		}
	})
}

func TestAnnotationsAreBounded(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		task := w.must(embedded("s"))
		var items []Item
		for range 400 {
			items = append(items, Item{Event: &runner.Event{Type: runner.Annotated, Annotation: &pipeline.Annotation{Level: "notice", Message: "m"}}})
		}
		for seq := range int64(4) {
			if err := w.Report(w.t.Context(), task.TaskRef, Batch{Seq: seq + 1, Items: items}); err != nil {
				w.t.Fatal(err)
			}
		}
		notes, err := w.Annotations(w.t.Context(), "1", 1)
		if err != nil || len(notes) != MaxAnnotations {
			w.t.Errorf("%d annotations, %v", len(notes), err)
		}
		if log := w.log(id); len(log) != 1 || !strings.Contains(log[0], "more than 1000 annotations") {
			w.t.Errorf("log %q", log)
		}
	})
}

func TestStaleWorkerIsFenced(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		stale := w.must(embedded("s"))
		w.look() // before anybody can be missed
		err := w.Report(w.t.Context(), stale.TaskRef, Batch{Seq: 1, Items: []Item{started(1), lines(1, "first try")}})
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.PutArtifact(w.t.Context(), stale.TaskRef, "kept", -1, strings.NewReader("x")); err != nil {
			w.t.Fatal(err)
		}
		w.clock.pass(3 * time.Second)
		w.look()
		if j := w.job(id); j.Status != Running {
			w.t.Fatalf("within its TTL it is %s", j.Status)
		}
		w.clock.pass(2 * time.Second)
		w.look()
		if j := w.job(id); j.Status != Queued || len(j.Steps) != 0 || len(j.Artifacts) != 0 {
			w.t.Fatalf("after its TTL: %+v", j)
		}
		refused := func(when string) {
			for what, err := range map[string]error{
				"renew":    func() error { _, err := w.Renew(w.t.Context(), stale.TaskRef); return err }(),
				"report":   w.Report(w.t.Context(), stale.TaskRef, Batch{Seq: 2, Items: []Item{started(2), lines(2, "stale")}}),
				"finish":   w.Finish(w.t.Context(), stale.TaskRef, TaskEnd{Outcome: runner.Outcome{Status: pipeline.Success}, Batches: 1}),
				"artifact": w.PutArtifact(w.t.Context(), stale.TaskRef, "a", -1, strings.NewReader("stale")),
				"list":     func() error { _, err := w.ListArtifacts(w.t.Context(), stale.TaskRef); return err }(),
				"get":      func() error { _, err := w.GetArtifact(w.t.Context(), stale.TaskRef, "a"); return err }(),
			} {
				if !errors.Is(err, ErrFenced) {
					w.t.Errorf("%s, %s: %v", when, what, err)
				}
			}
		}
		refused("while it is queued again")
		fresh := w.must(embedded("s"))
		refused("while another has it")
		if err := w.Report(w.t.Context(), fresh.TaskRef, Batch{Seq: 1, Items: []Item{lines(0, "second try")}}); err != nil {
			w.t.Fatal(err)
		}
		w.finish(fresh, pipeline.Success, 1)
		refused("after its end")
		j := w.job(id)
		if j.Status != Success || j.Try != 2 || len(j.Steps) != 0 || len(j.Artifacts) != 0 {
			w.t.Errorf("the job: %+v", j)
		}
		want := "first try|! the runner server was not heard of for 4s; the job is queued again after try 1 of 5|second try"
		if got := strings.Join(w.log(id), "|"); got != want {
			w.t.Errorf("log: %s", got)
		}
	})
}

func TestWorkersVanishForGood(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		for n := range MaxTries {
			w.must(embedded(fmt.Sprint(n)))
		}
		if task := w.claim(embedded("last")); task != nil {
			w.t.Fatalf("try %d was handed out", task.Try)
		}
		if j := w.job(id); j.Status != Failure || !strings.HasPrefix(j.Reason, "its workers vanished 5 times") {
			w.t.Errorf("%s, %q", j.Status, j.Reason)
		}
	})
}

// TestRestartLeavesRunnersTheirTime shows that a server that begins to look takes no job of a runner elsewhere before its TTL is over anew.
func TestRestartLeavesRunnersTheirTime(t *testing.T) {
	each(t, func(w *world) {
		r, err := w.RegisterRunner(w.t.Context(), By{Actor: "account:ann"}, "far", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		id := w.enqueue("1", "a")
		task := w.must(Worker{ID: r.ID, Session: "s", Labels: []string{"*"}})
		w.clock.pass(time.Hour)
		w.look()
		if j := w.job(id); j.Status != Running {
			w.t.Fatalf("at once it is %s", j.Status)
		}
		w.clock.pass(29 * time.Second)
		w.look()
		if _, err := w.Renew(w.t.Context(), task.TaskRef); err != nil {
			w.t.Fatalf("after 29 s: %v", err)
		}
		w.clock.pass(31 * time.Second)
		w.look()
		if j := w.job(id); j.Status != Queued {
			w.t.Errorf("31 s after its sign of life it is %s", j.Status)
		}
	})
}

func TestInterrupted(t *testing.T) {
	each(t, func(w *world) {
		id := w.enqueue("1", "a")
		task := w.must(embedded("s"))
		stop := TaskEnd{Interrupted: true}
		if err := w.Finish(w.t.Context(), task.TaskRef, stop); err != nil {
			w.t.Fatal(err)
		}
		again := w.must(embedded("s"))
		if again.Job != id || again.Try != 2 {
			w.t.Errorf("%+v", again)
		}
	})
}
