package render

import (
	"bytes"
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/runner"
)

const (
	// maxTail is how many lines, folded groups counting as one, are shown of a step that succeeded.
	maxTail = 10
	// maxAnnotations bounds the annotations shown of one step.
	maxAnnotations = 50
	// maxTailLine bounds a line in the tail, in bytes: it is cut to the window anyway.
	maxTailLine = 4 << 10
)

// liveStep is a step that runs, and what it has printed.
type liveStep struct {
	number  int
	name    string
	started time.Time

	all spool
	// tail are the last lines, groups folded; before counts the lines that it has lost.
	tail   []string
	before int
	// group is the title of the outermost open group, depth how many are open, inGroup how many lines it holds so far.
	group   string
	depth   int
	inGroup int
	last    string

	annotations []string
	unshown     int
	// shown: a person has seen the output already.
	shown bool
}

// lines takes whole lines of output. Of many lines only the last ones are looked at.
func (s *liveStep) lines(p []byte, color bool) {
	s.all.write(p)
	n := bytes.Count(p, []byte{'\n'})
	if len(p) > 0 && p[len(p)-1] != '\n' {
		n++
	}
	if s.depth > 0 {
		s.inGroup += n
		p = lastLines(p, 1)
	} else if n > maxTail {
		s.before += n - maxTail
		p = lastLines(p, maxTail)
	}
	for line := range bytes.Lines(p) {
		line = bytes.TrimSuffix(line, []byte{'\n'})
		if len(line) > maxTailLine {
			line = line[:maxTailLine]
		}
		s.last = string(appendSafe(nil, line, false, true))
		if s.depth == 0 {
			s.push(string(appendSafe(nil, line, color, false)))
		}
	}
}

// lastLines returns the last n lines of p.
func lastLines(p []byte, n int) []byte {
	end := len(bytes.TrimSuffix(p, []byte{'\n'}))
	for ; n > 0; n-- {
		i := bytes.LastIndexByte(p[:end], '\n')
		if i < 0 {
			return p
		}
		end = i
	}
	return p[end+1:]
}

func (s *liveStep) push(line string) {
	if len(s.tail) == maxTail {
		copy(s.tail, s.tail[1:])
		s.tail = s.tail[:maxTail-1]
		s.before++
	}
	s.tail = append(s.tail, line)
}

// begin opens a group; inner groups fold into the outermost one.
func (s *liveStep) begin(title string, st style) {
	if s.depth == 0 {
		s.group, s.inGroup = string(appendSafe(nil, []byte(title), false, true)), 0
	} else {
		s.inGroup++
	}
	s.depth++
	s.last = s.group
	s.all.write([]byte(st.paint(bold, "▾ "+title) + "\n"))
}

// end closes a group.
func (s *liveStep) end(st style) {
	if s.depth == 0 {
		return
	}
	if s.depth--; s.depth == 0 {
		s.push(st.paint(bold, "▸ "+s.group) + st.paint(dim, " ("+countOf(s.inGroup, "line")+")"))
	}
}

// annotate keeps an annotation to be shown when the step has ended.
func (s *liveStep) annotate(text string) {
	if len(s.annotations) < maxAnnotations {
		s.annotations = append(s.annotations, text)
	} else {
		s.unshown++
	}
}

// liveJob is a job that runs.
type liveJob struct {
	name     string
	started  time.Time
	steps    []*liveStep // those that run, in the order in which they started
	activity string      // what Gantry does for the job between its steps
}

// step returns the step of an event, which is new where its start was not told.
func (j *liveJob) step(e *runner.Event) *liveStep {
	for _, s := range j.steps {
		if s.number == e.Number {
			return s
		}
	}
	s := &liveStep{number: e.Number, name: e.Step, started: e.Time}
	j.steps = append(j.steps, s)
	return s
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
