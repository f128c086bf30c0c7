package render

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/runner"
)

// Plain writes lines with the job's name in front, as they come, for logs and pipes. Output of processes is passed on byte
// for byte.
type Plain struct {
	o      Options
	style  style
	stream *stream

	mu      sync.Mutex
	summary summary
}

// NewPlain returns a renderer for places that are no terminal.
func NewPlain(o Options) *Plain {
	return &Plain{o: o, style: style(o.Color), stream: newStream(&o)}
}

// Emit implements [runner.Sink].
func (p *Plain) Emit(e runner.Event) {
	switch e.Type {
	case runner.RunStarted, runner.JobStarted:
	case runner.StepStarted:
		p.say(&e, p.style.paint(bold, "▶ "+e.Step))
	case runner.Log:
		switch {
		case e.Group == "begin":
			p.say(&e, p.style.paint(bold, "▾ "+e.Line))
		case e.Group == "end":
		case e.Notice:
			p.say(&e, p.style.paint(dim, e.Line))
		default:
			p.say(&e, e.Line)
		}
	case runner.Annotated:
		if e.Annotation != nil {
			p.say(&e, annotationText(p.style, e.Annotation))
		}
	case runner.StepFinished:
		p.say(&e, endText(p.style, e.Step, &e))
	case runner.JobFinished:
		p.say(&e, endText(p.style, "job", &e))
		p.mu.Lock()
		p.summary.finished(p.o.jobName(&e), &e)
		p.mu.Unlock()
		p.stream.Flush()
	case runner.RunFinished:
		p.mu.Lock()
		p.summary.final = e
		p.mu.Unlock()
	}
}

// endText says how a step or a job ended.
func endText(st style, what string, e *runner.Event) string {
	mark, word, color := look(e.Status, e.Tolerated)
	text := st.paint(color, mark) + " " + what
	if word != "success" {
		text += ": " + st.paint(color, word)
	}
	if e.Reason != "" && word != "success" {
		text += ": " + e.Reason
	}
	if e.Duration > 0 || word == "success" {
		text += st.paint(dim, " ("+duration(e.Duration)+")")
	}
	return text
}

// Lines implements [runner.Sink].
func (p *Plain) Lines(head *runner.Event, lines []byte) {
	withBuffer(func(b []byte) []byte {
		start := len(b)
		b = p.prefix(b, head)
		end := len(b)
		for first := true; len(lines) > 0; first = false {
			if !first {
				b = append(b, b[start:end]...)
			}
			if i := bytes.IndexByte(lines, '\n'); i >= 0 {
				b, lines = append(b, lines[:i+1]...), lines[i+1:]
			} else {
				b, lines = append(append(b, lines...), '\n'), nil
			}
		}
		p.stream.Write(b)
		return b
	})
}

// say writes a text, each of its lines with the prefix.
func (p *Plain) say(e *runner.Event, text string) { p.Lines(e, []byte(text+"\n")) }

func (p *Plain) prefix(b []byte, e *runner.Event) []byte {
	if p.o.Timestamps {
		b = appendTimestamp(b, e.Time)
	}
	name := p.o.jobName(e)
	if name == "" {
		return b
	}
	return append(b, p.style.paint(cyan, "["+name+"]")+" "...)
}

// appendTimestamp appends the time of day, in UTC like the logs of the forges.
func appendTimestamp(b []byte, t time.Time) []byte {
	if t.IsZero() {
		t = time.Now()
	}
	return append(t.UTC().AppendFormat(b, "15:04:05.000"), ' ')
}

// Close writes the table and implements [Renderer].
func (p *Plain) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream.Write(p.summary.render(nil, p.style, 0, p.o.ArtifactsDir))
	if err := p.stream.Close(); err != nil {
		return fmt.Errorf("write the run's output: %w", err)
	}
	return nil
}
