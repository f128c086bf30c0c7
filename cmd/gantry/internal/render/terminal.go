package render

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/runner"
)

const (
	// redrawEvery is the pace of the live region.
	redrawEvery = 100 * time.Millisecond
	// indent stands in front of a step's output.
	indent = "  │ "
)

// Terminal shows a run to a person: what has ended stays above, in order; what runs is in a region at the bottom that is
// redrawn. A step that succeeded shows its last lines with groups folded, a step that failed everything it printed.
type Terminal struct {
	o     Options
	style style

	mu      sync.Mutex
	jobs    map[jobKey]*liveJob
	order   []*liveJob
	ended   int
	started time.Time
	summary summary

	above  []byte // lines to put above the region at the next redraw
	region region
	dirty  bool
	paused bool
	err    error

	stop chan struct{}
	idle sync.WaitGroup
}

// NewTerminal returns a renderer for a terminal that understands ANSI sequences. It redraws until Close.
func NewTerminal(o Options) *Terminal {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Size == nil {
		o.Size = func() (int, int) { return 80, 24 }
	}
	t := &Terminal{o: o, style: style(o.Color), jobs: map[jobKey]*liveJob{}, stop: make(chan struct{})}
	t.started = o.Now()
	t.idle.Go(t.redraw)
	return t
}

func (t *Terminal) redraw() {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			t.mu.Lock()
			if t.dirty || len(t.order) > 0 {
				t.draw()
			}
			t.mu.Unlock()
		}
	}
}

// Emit implements [runner.Sink].
func (t *Terminal) Emit(e runner.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirty = true
	switch e.Type {
	case runner.JobStarted:
		j := &liveJob{name: t.clean(t.o.jobName(&e)), started: e.Time}
		t.jobs[keyOf(&e)] = j
		t.order = append(t.order, j)
	case runner.StepStarted:
		if j := t.jobs[keyOf(&e)]; j != nil {
			j.activity = ""
			j.step(&e)
		}
	case runner.Log:
		t.log(&e)
	case runner.Annotated:
		if e.Annotation != nil {
			lines := strings.Split(annotationText(t.style, e.Annotation), "\n")
			for i := range lines {
				lines[i] = t.clean(lines[i])
			}
			t.annotate(&e, strings.Join(lines, "\n    "))
		}
	case runner.StepFinished:
		t.stepFinished(&e)
	case runner.JobFinished:
		t.jobFinished(&e)
	case runner.RunFinished:
		t.summary.final = e
	}
	t.flushLarge()
}

// Lines implements [runner.Sink].
func (t *Terminal) Lines(head *runner.Event, lines []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines(head, lines)
	t.flushLarge()
}

func (t *Terminal) lines(head *runner.Event, lines []byte) {
	t.dirty = true
	j := t.jobs[keyOf(head)]
	if j == nil || head.Number == 0 {
		for line := range eachLine(lines) {
			t.say(head, t.style.paint(dim, t.o.jobName(head))+" ", line)
		}
		return
	}
	if t.o.Verbose {
		j.step(head).last = t.clean(string(lastLines(lines, 1)))
		for line := range eachLine(lines) {
			t.say(head, t.style.paint(cyan, j.name)+t.style.paint(dim, " │ "), line)
		}
		return
	}
	j.step(head).lines(lines, t.o.Color)
}

func (t *Terminal) log(e *runner.Event) {
	j := t.jobs[keyOf(e)]
	inStep := j != nil && e.Number != 0
	switch {
	case e.Group == "begin" && inStep && !t.o.Verbose:
		j.step(e).begin(e.Line, t.style)
	case e.Group == "end" && inStep && !t.o.Verbose:
		j.step(e).end(t.style)
	case e.Group == "begin":
		t.lines(e, []byte(t.style.paint(bold, "▾ "+e.Line)+"\n"))
	case e.Group == "end":
	case e.Notice && !inStep:
		if j != nil {
			j.activity = t.clean(e.Line)
		}
		t.say(e, t.style.paint(dim, t.clean(t.o.jobName(e)))+" ", []byte(e.Line))
	default:
		t.lines(e, []byte(e.Line+"\n"))
	}
}

func (t *Terminal) annotate(e *runner.Event, text string) {
	if j := t.jobs[keyOf(e)]; j != nil && e.Number != 0 && !t.o.Verbose {
		j.step(e).annotate(text)
		return
	}
	prefix := ""
	if name := t.clean(t.o.jobName(e)); name != "" {
		prefix = t.style.paint(bold, name) + " "
	}
	t.print(prefix + text)
}

func (t *Terminal) stepFinished(e *runner.Event) {
	j := t.jobs[keyOf(e)]
	if j == nil {
		t.print(endText(t.style, t.clean(t.o.jobName(e)+" › "+e.Step), e))
		return
	}
	s := j.step(e)
	j.steps = slices.DeleteFunc(j.steps, func(x *liveStep) bool { return x == s })
	defer s.all.close()
	t.print(t.clean(endText(t.style, t.style.paint(dim, j.name+" ›")+" "+e.Step, e)))
	mark, _, _ := look(e.Status, false)
	switch {
	case s.shown:
	case mark == "✗" || mark == "⊘":
		t.whole(s)
	default:
		t.folded(s)
	}
	for _, a := range s.annotations {
		t.print("  " + a)
	}
	if s.unshown > 0 {
		t.print("  " + t.style.paint(dim, fmt.Sprintf("… and %s more", countOf(s.unshown, "annotation"))))
	}
}

// whole shows everything that a step has printed, however much it is.
func (t *Terminal) whole(s *liveStep) {
	bar := t.style.paint(red, indent)
	err := s.all.lines(func(line []byte) {
		t.above = append(t.above, bar...)
		t.above = append(appendSafe(t.above, line, t.o.Color, false), '\n')
		t.flushLarge()
	})
	if err != nil {
		t.print(bar + err.Error())
	}
}

// folded shows the last lines of a step.
func (t *Terminal) folded(s *liveStep) {
	if s.depth > 0 {
		s.depth = 1
		s.end(t.style)
	}
	bar := t.style.paint(dim, indent)
	if s.before > 0 {
		t.print(bar + t.style.paint(dim, "⋮ "+countOf(s.before, "line")+" before, --verbose shows all"))
	}
	for _, line := range s.tail {
		t.print(bar + line)
	}
}

func (t *Terminal) jobFinished(e *runner.Event) {
	name := t.clean(t.o.jobName(e))
	key := keyOf(e)
	if j := t.jobs[key]; j != nil {
		for _, s := range j.steps { // none is left, unless the job broke off
			t.whole(s)
			s.all.close()
		}
		delete(t.jobs, key)
		t.order = slices.DeleteFunc(t.order, func(x *liveJob) bool { return x == j })
	}
	t.ended++
	t.summary.finished(name, e)
	t.print(t.clean(endText(t.style, t.style.paint(bold, name), e)))
}

// clean makes the text of an event safe for the screen: names may come from anywhere.
func (t *Terminal) clean(text string) string {
	return string(appendSafe(nil, []byte(text), t.o.Color, true))
}

// print puts a line above the region. The text is safe.
func (t *Terminal) print(text string) {
	if t.o.Timestamps {
		t.above = appendTimestamp(t.above, t.o.Now())
	}
	t.above = append(append(t.above, text...), '\n')
}

// say puts a line of a process above the region.
func (t *Terminal) say(e *runner.Event, prefix string, line []byte) {
	if t.o.Timestamps {
		t.above = appendTimestamp(t.above, e.Time)
	}
	t.above = append(t.above, prefix...)
	t.above = append(appendSafe(t.above, line, t.o.Color, false), '\n')
}

// flushLarge keeps memory flat when much is to be shown.
func (t *Terminal) flushLarge() {
	if len(t.above) >= flushSize && !t.paused {
		t.draw()
	}
}

// draw writes what is new above the region, and the region.
func (t *Terminal) draw() {
	if t.paused {
		return
	}
	columns, rows := t.o.Size()
	b := make([]byte, 0, len(t.above)+1024)
	b = append(b, "\x1b[?2026h"...) // show it all at once, where the terminal can
	b = t.region.erase(b, columns)
	b = append(b, t.above...)
	b = t.region.draw(b, t.regionLines(columns, rows), columns)
	b = append(b, "\x1b[?2026l"...)
	t.above, t.dirty = t.above[:0], false
	t.write(b)
}

func (t *Terminal) write(b []byte) {
	if t.err != nil || len(b) == 0 {
		return
	}
	if _, t.err = t.o.Out.Write(b); t.err != nil && t.o.OnError != nil {
		go t.o.OnError(t.err)
	}
}

// Pause shows what a step has printed so far, takes the region off the screen and holds everything back until Resume, so
// that a person can use the terminal to look into the step.
func (t *Terminal) Pause(job, step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, j := range t.order {
		for _, s := range j.steps {
			if strings.HasSuffix(j.name, t.clean(job)) && s.name == step && !s.shown {
				t.print(t.style.paint(dim, j.name+" ›") + " " + t.clean(step))
				t.whole(s)
				s.shown = true
			}
		}
	}
	columns, _ := t.o.Size()
	t.write(append(t.region.erase(nil, columns), t.above...))
	t.above, t.paused = t.above[:0], true
}

// Resume ends a Pause.
func (t *Terminal) Resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = false
	t.draw()
}

// Close replaces the region by the table and implements [Renderer].
func (t *Terminal) Close() error {
	close(t.stop)
	t.idle.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	columns, _ := t.o.Size()
	b := append(t.region.erase(nil, columns), t.above...)
	for _, j := range t.order {
		for _, s := range j.steps {
			s.all.close()
		}
	}
	t.write(t.summary.render(b, t.style, columns, t.o.ArtifactsDir))
	if t.err != nil {
		return fmt.Errorf("write the run's output: %w", t.err)
	}
	return nil
}
