package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run with -update to make it)", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, d)
	}
}

var epoch = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// script plays a run with something of everything: groups, annotations, a failure, a tolerated one, skipped jobs, control
// characters, two jobs at a time. advance is called with the time that passes between events.
func script(s runner.Sink, advance func(time.Duration)) {
	at := epoch
	pass := func(d time.Duration) {
		at = at.Add(d)
		if advance != nil {
			advance(d)
		}
	}
	emit := func(e runner.Event) {
		e.Time, e.Run, e.Workflow = at, "r1", "CI"
		s.Emit(e)
	}
	job := func(id, leg string) runner.Event {
		e := runner.Event{Job: id, JobID: id, Leg: leg}
		if leg != "" {
			e.Job += " " + leg
		}
		return e
	}
	step := func(e runner.Event, n int, name string) runner.Event {
		e.Number, e.Step = n, name
		return e
	}
	typed := func(e runner.Event, t runner.EventType) runner.Event { e.Type = t; return e }
	ended := func(e runner.Event, t runner.EventType, st pipeline.Status, d float64, reason string) runner.Event {
		e.Type, e.Status, e.Duration, e.Reason = t, st, d, reason
		return e
	}
	lines := func(e runner.Event, text string) {
		e.Time, e.Run, e.Workflow, e.Type = at, "r1", "CI", runner.Log
		s.Lines(&e, []byte(text))
	}
	emit(runner.Event{Type: runner.RunStarted})
	lint, race := job("lint", ""), job("test", "(race)")
	emit(typed(lint, runner.JobStarted))
	notice := typed(lint, runner.Log)
	notice.Line, notice.Notice = "actions/checkout@v4 is commit 0123456789abcdef", true
	emit(notice)
	emit(typed(step(lint, 1, "Run make lint"), runner.StepStarted))
	pass(250 * time.Millisecond)
	group := typed(step(lint, 1, "Run make lint"), runner.Log)
	group.Group, group.Line = "begin", "Install tools"
	emit(group)
	lines(step(lint, 1, "Run make lint"), "fetching a\nfetching b\n")
	group.Group, group.Line = "end", ""
	emit(group)
	lines(step(lint, 1, "Run make lint"), "plain\n\x1b[31mred\x1b[0m and \x1b]0;title\x07\x1b[2Jcleared\nprogress 1\rprogress 2\r\n\x00\xff世界 \"quoted\\\"\n")
	a := typed(step(lint, 1, "Run make lint"), runner.Annotated)
	a.Annotation = &pipeline.Annotation{Level: "warning", Message: "unused variable", File: "main.go", Line: 12, Col: 3}
	emit(a)
	pass(time.Second)
	emit(ended(step(lint, 1, "Run make lint"), runner.StepFinished, pipeline.Success, 1.25, ""))
	emit(ended(step(lint, 2, "Upload"), runner.StepFinished, pipeline.Skipped, 0, "its condition is false: github.ref == 'refs/heads/main'"))
	emit(ended(lint, runner.JobFinished, pipeline.Success, 1.3, ""))

	needs := func(e runner.Event, names ...string) runner.Event { e.Needs = names; return e }
	emit(needs(typed(race, runner.JobStarted), "lint"))
	docs := job("docs", "")
	emit(typed(docs, runner.JobStarted))
	emit(typed(step(race, 1, "Run go test ./..."), runner.StepStarted))
	emit(typed(step(docs, 1, "Build the pages"), runner.StepStarted))
	var many strings.Builder
	for i := range 15 {
		fmt.Fprintf(&many, "page %d of 15\n", i+1)
	}
	lines(step(docs, 1, "Build the pages"), many.String())
	lines(step(race, 1, "Run go test ./..."), "--- FAIL: TestOrder (0.00s)\n    order_test.go:31: got 2, want 3\nFAIL\n")
	pass(12 * time.Second)
	bad := typed(step(race, 1, "Run go test ./..."), runner.Annotated)
	bad.Annotation = &pipeline.Annotation{Level: "error", Title: "TestOrder", Message: "got 2, want 3", File: "order_test.go", Line: 31}
	emit(bad)
	exit := 1
	f := ended(step(race, 1, "Run go test ./..."), runner.StepFinished, pipeline.Failure, 12, "exit code 1")
	f.Exit = &exit
	emit(f)
	emit(needs(ended(race, runner.JobFinished, pipeline.Failure, 12.1, `step "Run go test ./..." failed: exit code 1`), "lint"))
	soft := ended(step(docs, 1, "Build the pages"), runner.StepFinished, pipeline.Failure, 12.2, "exit code 2")
	soft.Tolerated = true
	emit(soft)
	done := ended(docs, runner.JobFinished, pipeline.Success, 12.3, "")
	done.Artifacts = []string{"pages"}
	done.Summary = "## Pages\n\n15 built\n"
	emit(done)
	emit(needs(ended(job("deploy", ""), runner.JobFinished, pipeline.Skipped, 0, "needs test (race), which failed"), "test (race)"))
	emit(ended(runner.Event{}, runner.RunFinished, pipeline.Failure, 13.5, ""))
}

func TestGolden(t *testing.T) {
	tests := []struct {
		name string
		make func(Options) Renderer
		o    Options
	}{
		{"json", func(o Options) Renderer { return NewJSON(o) }, Options{}},
		{"plain", func(o Options) Renderer { return NewPlain(o) }, Options{ArtifactsDir: "/state/runs/r1"}},
		{"plain-options", func(o Options) Renderer { return NewPlain(o) }, Options{Color: true, Timestamps: true, Workflows: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tt.o.Out = &out
			r := tt.make(tt.o)
			script(r, nil)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+".golden", out.Bytes())
		})
	}
}

// TestGoldenTerminal records all that is written, frames included, by a clock of its own.
func TestGoldenTerminal(t *testing.T) {
	tests := []struct {
		name string
		o    Options
	}{
		{"terminal", Options{Size: func() (int, int) { return 72, 12 }, ArtifactsDir: "/state/runs/r1"}},
		{"terminal-color", Options{Color: true, Size: func() (int, int) { return 100, 30 }}},
		{"terminal-verbose", Options{Verbose: true, Timestamps: true, Size: func() (int, int) { return 60, 4 }}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				tt.o.Out = &out
				// The bubble's clock begins elsewhere than the events' times.
				began := time.Now()
				tt.o.Now = func() time.Time { return epoch.Add(time.Since(began)) }
				r := NewTerminal(tt.o)
				script(r, func(d time.Duration) {
					// One frame for each pause is enough to look at.
					time.Sleep(redrawEvery + time.Millisecond)
					synctest.Wait()
					r.mu.Lock()
					began = began.Add(-d + redrawEvery + time.Millisecond)
					r.mu.Unlock()
				})
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				golden(t, tt.name+".golden", bytes.ReplaceAll(out.Bytes(), []byte("\x1b"), []byte("␛")))
			})
		})
	}
}

// TestJSONIsTheEvent: what the hand-written encoder writes is what encoding/json reads back.
func TestJSONIsTheEvent(t *testing.T) {
	head := runner.Event{Time: epoch, Type: runner.Log, Run: "r", Job: "a \"b\"", JobID: "a", Step: "s<t>", Number: 3}
	text := "plain\n\n\ttab \\ \"q\" \u2028 \x01\x1f\x7f é 世界\nbad \xff\xc3 end\nlast without end"
	var out bytes.Buffer
	j := NewJSON(Options{Out: &out})
	j.Lines(&head, []byte(text))
	one := head
	one.Line = "x"
	j.Emit(one)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		var e runner.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, e.Line)
		e.Line = ""
		if d := cmp.Diff(head, e); d != "" {
			t.Errorf("head of %s differs: %s", line, d)
		}
	}
	want := append(strings.Split(strings.ToValidUTF8(text, "\uFFFD"), "\n"), "x")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func FuzzAppendSafe(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b[0m \x1b]8;;x\x07 \xff\u202e"), true)
	f.Fuzz(func(t *testing.T, line []byte, color bool) {
		got := appendSafe(nil, line, color, true)
		for i := 0; i < len(got); {
			if got[i] == 0x1b {
				n := escapeLen(got[i:])
				if !color || got[i+n-1] != 'm' || got[i+1] != '[' {
					t.Fatalf("%q became %q", line, got)
				}
				i += n
				continue
			}
			if got[i] < 0x20 || got[i] == 0x7f {
				t.Fatalf("%q became %q", line, got)
			}
			i++
		}
		for _, w := range []int{0, 1, 2, 7, 40} {
			if n := columnsOf(fit(string(got), w)); n > w {
				t.Fatalf("%q takes %d columns of %d", fit(string(got), w), n, w)
			}
		}
	})
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		in   string
		cols int
		want string
	}{
		{"short", 10, "short"},
		{"exactly10!", 10, "exactly10!"},
		{"longer than ten", 10, "longer th…"},
		{"世界世界世界", 7, "世界世…"},
		{"世界世", 6, "世界世"},
		{"\x1b[31mlonger than ten\x1b[0m", 10, "\x1b[31mlonger th…\x1b[0m"},
		{"x", 0, ""},
	} {
		if got := fit(tt.in, tt.cols); got != tt.want {
			t.Errorf("fit(%q, %d) = %q, want %q", tt.in, tt.cols, got, tt.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, tt := range []struct {
		s    float64
		want string
	}{
		{0, "0ms"}, {-1, "0ms"}, {0.0124, "12ms"}, {0.9996, "1.0s"}, {3.24, "3.2s"}, {59.96, "1m00s"}, {245, "4m05s"}, {3599.8, "1h00m"}, {7380, "2h03m"},
	} {
		if got := duration(tt.s); got != tt.want {
			t.Errorf("duration(%v) = %q, want %q", tt.s, got, tt.want)
		}
	}
}

func TestCriticalPath(t *testing.T) {
	var c chain
	c.add("", "lint", 1, nil)
	c.add("", "build", 5, nil)
	c.add("", "test", 3, []string{"build"})       // called like the next
	c.add("", "test", 4, []string{"build"})       //
	c.add("other", "deploy", 8, []string{"test"}) // of another workflow: its need is not there
	c.add("", "deploy", 1, []string{"lint", "test", "absent"})
	path, seconds := c.longest()
	if d := cmp.Diff([]int{1, 3, 5}, path); d != "" || seconds != 10 {
		t.Errorf("path %v, %v s: %s", path, seconds, d)
	}
	if path, _ := new(chain).longest(); path != nil {
		t.Errorf("nothing ran, and yet the path is %v", path)
	}
}

// TestWholeOutputOfAFailure: more than memory may hold is shown in full, in order.
func TestWholeOutputOfAFailure(t *testing.T) {
	var out bytes.Buffer
	// With three rows there is no room for the step's last line in the region.
	r := NewTerminal(Options{Out: &out, Size: func() (int, int) { return 80, 3 }})
	head := runner.Event{Time: epoch, Job: "j", JobID: "j", Number: 1, Step: "s"}
	at := func(t runner.EventType) runner.Event { e := head; e.Type = t; return e }
	r.Emit(at(runner.JobStarted))
	r.Emit(at(runner.StepStarted))
	const n = 50_000
	for i := range n {
		r.Lines(&head, fmt.Appendf(nil, "line %d\n", i))
	}
	e := at(runner.StepFinished)
	e.Status = pipeline.Failure
	r.Emit(e)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	next := 0
	for line := range strings.Lines(out.String()) {
		// Frames come between, and end with a sequence that erases or releases the screen.
		line = line[strings.LastIndex(line, "\x1b")+1:]
		line = line[max(0, strings.Index(line, indent)):]
		if strings.HasPrefix(line, indent+"line ") {
			if want := fmt.Sprintf("%sline %d\n", indent, next); line != want {
				t.Fatalf("got %q, want %q", line, want)
			}
			next++
		}
	}
	if next != n {
		t.Errorf("%d lines of %d shown", next, n)
	}
}

type brokenPipe struct{ writes atomic.Int32 }

func (b *brokenPipe) Write([]byte) (int, error) { b.writes.Add(1); return 0, io.ErrClosedPipe }

// TestWriteErrorIsToldOnce: the run must learn that nobody reads, and Close says so.
func TestWriteErrorIsToldOnce(t *testing.T) {
	for _, name := range []string{"json", "plain", "terminal"} {
		t.Run(name, func(t *testing.T) {
			told := make(chan error, 10)
			out := &brokenPipe{}
			o := Options{Out: out, OnError: func(err error) { told <- err }}
			var r Renderer
			switch name {
			case "json":
				r = NewJSON(o)
			case "plain":
				r = NewPlain(o)
			default:
				r = NewTerminal(o)
			}
			script(r, nil)
			err := r.Close()
			if !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("Close returned %v", err)
			}
			if err := <-told; !errors.Is(err, io.ErrClosedPipe) || len(told) != 0 {
				t.Errorf("told %v and %d more", err, len(told))
			}
			if n := out.writes.Load(); n != 1 {
				t.Errorf("%d writes after the pipe had broken", n-1)
			}
		})
	}
}

// TestIdleFlush: a line that nothing follows appears all the same.
func TestIdleFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		j := NewPlain(Options{Out: &out})
		j.Lines(&runner.Event{Job: "j"}, []byte("hello\n"))
		j.stream.mu.Lock()
		if out.Len() != 0 {
			t.Error("a line did not wait for others")
		}
		j.stream.mu.Unlock()
		time.Sleep(2 * flushAfter)
		synctest.Wait()
		j.stream.mu.Lock()
		if len(j.stream.buf) > 0 {
			t.Error("the line still waits")
		}
		j.stream.mu.Unlock()
		j.Close()
		if out.String() != "[j] hello\n" {
			t.Errorf("got %q", out.String())
		}
	})
}

func BenchmarkLines(b *testing.B) {
	head := runner.Event{Time: epoch, Type: runner.Log, Run: "0198c5a0", Workflow: "CI", Job: "build", JobID: "build", Step: "Run make", Number: 2}
	chunk := bytes.Repeat([]byte("2026-03-04 info order accepted id=8123 symbol=ABC side=buy quantity=100 price=1234\n"), 400)
	for _, r := range []struct {
		name string
		Renderer
	}{
		{"json", NewJSON(Options{Out: io.Discard})}, {"plain", NewPlain(Options{Out: io.Discard})}, {"terminal", NewTerminal(Options{Out: io.Discard})},
	} {
		b.Run(r.name, func(b *testing.B) {
			e := head
			e.Type = runner.JobStarted
			r.Emit(e)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				r.Lines(&head, chunk)
			}
		})
		r.Close()
	}
}

// TestPause: a person who looks into a step sees its output first, once, and nothing is drawn meanwhile.
func TestPause(t *testing.T) {
	var out bytes.Buffer
	r := NewTerminal(Options{Out: &out, Workflows: true})
	head := runner.Event{Time: epoch, Workflow: "CI", Job: "j", JobID: "j", Number: 1, Step: "s"}
	at := func(t runner.EventType) runner.Event { e := head; e.Type = t; return e }
	r.Emit(at(runner.JobStarted))
	r.Emit(at(runner.StepStarted))
	r.Lines(&head, []byte("what went wrong\n"))
	r.Pause("j", "s")
	r.mu.Lock()
	paused := out.String()
	r.mu.Unlock()
	if !strings.HasSuffix(paused, "CI › j › s\n"+indent+"what went wrong\n") {
		t.Errorf("paused: %q", paused)
	}
	e := at(runner.StepFinished)
	e.Status = pipeline.Failure
	r.Emit(e)
	r.mu.Lock()
	if out.String() != paused {
		t.Errorf("drawn meanwhile: %q", out.String()[len(paused):])
	}
	r.mu.Unlock()
	r.Resume()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if after := out.String()[len(paused):]; !strings.Contains(after, "✗ CI › j › s: failure") || strings.Contains(after, "wrong") {
		t.Errorf("then: %q", after)
	}
}
