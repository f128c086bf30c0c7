package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// states returns the jobs of the first attempt of run 1 in a line.
func (w *world) states() string {
	w.t.Helper()
	list, err := w.List(w.t.Context(), "1", 1)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, j := range list {
		s := j.Path + "=" + string(j.Status)
		if j.Reason != "" {
			s += "(" + j.Reason + ")"
		}
		if j.Critical {
			s += "*"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestPlanToSweep(t *testing.T) {
	each(t, func(w *world) {
		planned := []Job{
			{Path: "a", Key: "a", Name: "A"}, {Path: "b", Key: "b", Name: "B"}, {Path: "c", Key: "c", Name: "C", Needs: []string{"a", "b"}},
			{Path: "d", Key: "d", Name: "D"}, {Path: "e", Key: "e", Name: "E"}, {Path: "f", Key: "f", Name: "F"},
		}
		of := func(id string) runner.Assignment {
			return runner.Assignment{ID: id, Key: id, Name: strings.ToUpper(id)}
		}
		w.write(func(ctx context.Context, tx *store.Tx) error {
			for range 2 { // planning again changes nothing
				if err := w.Plan(ctx, tx, "p", "1", 1, planned); err != nil {
					return err
				}
			}
			for _, id := range []string{"a", "b", "b"} {
				if _, err := w.Enqueue(ctx, tx, "p", "1", 1, of(id)); err != nil {
					return err
				}
			}
			for range 2 {
				if _, err := w.Hold(ctx, tx, "p", "1", 1, of("d"), "waits for ann"); err != nil {
					return err
				}
			}
			bad := Unstarted{Path: "e", Key: "e", Name: "E", Status: Failure, Reason: "no", Annotation: &pipeline.Annotation{Level: "error", Message: "no"}}
			return w.End(ctx, tx, "p", "1", 1, bad)
		})
		if got := w.states(); got != "a=queued b=queued c=pending d=waiting(waits for ann) e=failure(no) f=pending" {
			w.t.Fatal(got)
		}
		a, b := w.must(embedded("s")), w.must(embedded("s"))
		w.clock.pass(time.Second)
		w.finish(a, pipeline.Success, 0)
		w.clock.pass(time.Second)
		w.finish(b, pipeline.Success, 0)
		w.write(func(ctx context.Context, tx *store.Tx) error {
			if _, err := w.Enqueue(ctx, tx, "p", "1", 1, of("c")); err != nil {
				return err
			}
			// One that the plan did not foresee.
			_, err := w.Enqueue(ctx, tx, "p", "1", 1, runner.Assignment{ID: "c (2)", Key: "c", Leg: "(2)", Name: "C (2)", Needs: []string{"B"}})
			return err
		})
		c := w.must(embedded("s"))
		w.clock.pass(time.Second)
		w.finish(c, pipeline.Failure, 0)
		counts, err := w.Counts(w.t.Context(), "1", 1)
		if err != nil || counts[Success] != 2 || counts[Queued] != 1 || counts[Pending] != 1 {
			w.t.Errorf("%v, %v", counts, err)
		}
		w.write(func(ctx context.Context, tx *store.Tx) error { return w.Sweep(ctx, tx, "1", 1, "the run has ended") })
		want := "a=success b=success* c=failure* c (2)=skipped(the run has ended) d=skipped(the run has ended) e=failure(no) f=skipped(the run has ended)"
		if got := w.states(); got != want {
			w.t.Errorf("got  %s\nwant %s", got, want)
		}
		notes, err := w.Annotations(w.t.Context(), "1", 1)
		if err != nil || len(notes) != 1 || notes[0].JobName != "E" {
			w.t.Errorf("%+v, %v", notes, err)
		}
		st, err := w.Stats(w.t.Context())
		if err != nil || len(st.Jobs) != 0 || st.Places != 2 {
			w.t.Errorf("%+v, %v", st, err)
		}
	})
}

// TestCancel cancels a job in every state.
func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(w *world, ctx context.Context, tx *store.Tx, a runner.Assignment) error
		claim bool
		want  Status
	}{
		{"pending", func(w *world, ctx context.Context, tx *store.Tx, a runner.Assignment) error { return nil }, false, Cancelled},
		{"waiting", func(w *world, ctx context.Context, tx *store.Tx, a runner.Assignment) error {
			_, err := w.Hold(ctx, tx, "p", "1", 1, a, "why")
			return err
		}, false, Cancelled},
		{"queued", func(w *world, ctx context.Context, tx *store.Tx, a runner.Assignment) error {
			_, err := w.Enqueue(ctx, tx, "p", "1", 1, a)
			return err
		}, false, Cancelled},
		{"running", func(w *world, ctx context.Context, tx *store.Tx, a runner.Assignment) error {
			_, err := w.Enqueue(ctx, tx, "p", "1", 1, a)
			return err
		}, true, Running},
		{"ended", func(w *world, ctx context.Context, tx *store.Tx, a runner.Assignment) error {
			return w.End(ctx, tx, "p", "1", 1, Unstarted{Path: "a", Key: "a", Name: "a", Status: Skipped, Reason: "before"})
		}, false, Skipped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(w *world) {
				a := runner.Assignment{ID: "a", Key: "a", Name: "a"}
				w.write(func(ctx context.Context, tx *store.Tx) error {
					if err := w.Plan(ctx, tx, "p", "1", 1, []Job{{Path: "a", Key: "a", Name: "a"}}); err != nil {
						return err
					}
					return tt.setup(w, ctx, tx, a)
				})
				var task *Task
				if tt.claim {
					task = w.must(embedded("s"))
				}
				cancel := func(kill bool) {
					w.write(func(ctx context.Context, tx *store.Tx) error { return w.Cancel(ctx, tx, "1.1.1", "ann said so", kill) })
				}
				cancel(false)
				cancel(false)
				if j := w.job("1.1.1"); j.Status != tt.want {
					w.t.Errorf("it is %s", j.Status)
				}
				if task == nil {
					return
				}
				c, err := w.Renew(w.t.Context(), task.TaskRef)
				if err != nil || !c.Cancel || c.Kill || c.Reason != "ann said so" {
					w.t.Errorf("%+v, %v", c, err)
				}
				cancel(true)
				if c, _ = w.Renew(w.t.Context(), task.TaskRef); !c.Kill {
					w.t.Errorf("after the kill: %+v", c)
				}
				// Its worker dies: a job that was cancelled is not tried again.
				if other := w.claim(embedded("t")); other != nil {
					w.t.Errorf("it was handed out again")
				}
				if j := w.job("1.1.1"); j.Status != Cancelled || j.Reason != "ann said so" {
					w.t.Errorf("in the end it is %s, %q", j.Status, j.Reason)
				}
			})
		})
	}
}

func TestCriticalPathOfCircle(t *testing.T) {
	at := func(s int) store.Time { return store.At(time.Unix(int64(s), 0)) }
	row := func(id string, from, to int, needs ...string) jobRow {
		return jobRow{ID: id, Path: id, Key: id, Name: id, Needs: needs, StartedAt: at(from), FinishedAt: at(to)}
	}
	for _, tt := range []struct {
		rows []jobRow
		want []string
	}{
		{nil, nil},
		{[]jobRow{row("a", 1, 3, "b"), row("b", 3, 4, "a")}, []string{"b", "a"}},
		{[]jobRow{row("a", 1, 2), row("b", 1, 5), row("c", 5, 6, "a"), row("d", 5, 7, "b", "c")}, []string{"b", "d"}},
	} {
		if got := criticalPath(tt.rows); !slices.Equal(got, tt.want) {
			t.Errorf("got %v, want %v", fmt.Sprint(got), tt.want)
		}
	}
}
