package runner

import (
	"bytes"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
)

// maxLine is where a line without an end is cut in two, in bytes. Binary output must not fill the memory.
const maxLine = 256 << 10

// pump takes the output of one process, finds the commands in it, hides secrets, and hands on what is left as whole lines.
// It keeps no more than one line. Descendants of a process may go on writing after it has ended.
type pump struct {
	step  *step
	proto pipeline.Protocol
	// dir is the process's working directory: annotations by problem matchers are relative to it.
	dir string

	mu    sync.Mutex
	carry []byte // the start of a line
	out   []byte // masked lines
	watch *watcher
}

func newPump(st *step, p pipeline.Protocol, dir string) *pump {
	return &pump{step: st, proto: p, dir: dir}
}

// Write implements io.Writer; it never fails.
func (p *pump) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(b)
	if len(p.carry) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			p.carry = append(p.carry, b...)
			p.cutLong()
			return n, nil
		}
		p.carry = append(p.carry, b[:i+1]...)
		p.lines(p.carry)
		p.carry = p.carry[:0]
		b = b[i+1:]
	}
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		p.lines(b[:i+1])
		b = b[i+1:]
	}
	if len(b) > 0 {
		p.carry = append(p.carry, b...)
		p.cutLong()
	}
	return n, nil
}

// flush hands on a last line that has no end.
func (p *pump) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.carry) > 0 {
		p.lines(append(p.carry, '\n'))
		p.carry = p.carry[:0]
	}
}

// cutLong hands on the start of a line that is too long to be kept. The cut must not run through a secret: masking the parts
// has to give the same as masking the whole.
func (p *pump) cutLong() {
	for len(p.carry) > maxLine {
		m := p.step.frame.job.Masker
		keep := max(m.Longest(), 1)
		cut := len(p.carry) - keep
		for cut > 0 {
			whole := m.Mask(nil, p.carry)
			parts := m.Mask(m.Mask(nil, p.carry[:cut]), p.carry[cut:])
			if bytes.Equal(whole, parts) {
				break
			}
			cut -= keep
		}
		if cut <= 0 {
			cut = len(p.carry) // secrets all the way: nothing but masks comes out
		}
		line := append(bytes.Clone(p.carry[:cut]), '\n')
		p.carry = append(p.carry[:0], p.carry[cut:]...)
		p.emit(line)
	}
}

// lines handles whole lines: stretches without commands go on as they are, in one piece.
func (p *pump) lines(b []byte) {
	j := p.step.frame.job
	matching := j.hasMatchers()
	plain := 0 // start of the stretch
	for at := 0; at < len(b); {
		end := at + bytes.IndexByte(b[at:], '\n')
		line := b[at:end]
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if effects, isCommand := p.proto.Line(line); isCommand {
			p.emit(b[plain:at])
			for _, e := range effects {
				p.step.Apply(e)
			}
			matching = j.hasMatchers()
			plain = end + 1
		} else if matching {
			p.match(line)
		}
		at = end + 1
	}
	p.emit(b[plain:])
}

// emit masks whole lines and hands them to the sink.
func (p *pump) emit(lines []byte) {
	if len(lines) == 0 {
		return
	}
	if bytes.IndexByte(lines, '\r') >= 0 {
		lines = bytes.ReplaceAll(lines, []byte("\r\n"), []byte("\n"))
	}
	j := p.step.frame.job
	p.out = j.Masker.Mask(p.out[:0], lines)
	head := p.step.head
	head.Type, head.Time = Log, j.Now()
	j.Sink.Lines(&head, p.out)
}

func (p *pump) match(line []byte) {
	j := p.step.frame.job
	if p.watch == nil {
		p.watch = &watcher{}
	}
	text := strings.ToValidUTF8(stripANSI(string(line)), "?")
	for _, a := range p.watch.line(j.activeMatchers(), text) {
		a.File = j.locate(p.dir, a.File)
		p.step.Apply(pipeline.Annotate{Annotation: a})
	}
}
