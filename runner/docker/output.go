package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/google/uuid"
)

// output takes what a process writes, takes the line with its process ID off the start, and hands on the rest.
type output struct {
	to io.Writer
	// head: the process ID comes first.
	head bool

	// started closes when the process ID is known.
	started chan struct{}
	pid     int
	first   []byte // the start of the first line

	pipe *pipe
}

// pipe is the named pipe that a process writes to.
type pipe struct {
	read, write *os.File
	path        string
	// mark is written behind the last byte of the process: when it arrives, everything has.
	mark    []byte
	arrived chan struct{}
	once    sync.Once
	detach  func() bool
}

func newOutput(to io.Writer, head bool) *output {
	return &output{to: to, head: head, started: make(chan struct{})}
}

// maxHead bounds what is looked at for the process ID.
const maxHead = 4 << 10

// Write implements io.Writer; it never fails, so that a process never stops because of its reader.
func (o *output) Write(b []byte) (int, error) {
	n := len(b)
	if o.head && !o.hasStarted() {
		o.first = append(o.first, b...)
		line, rest, ok := bytes.Cut(o.first, []byte("\n"))
		if !ok && len(o.first) < maxHead {
			return n, nil
		}
		pid, err := strconv.Atoi(string(bytes.TrimSpace(line)))
		if err != nil || pid <= 0 {
			return n, nil // a message of the shell that it could not start: see unstarted
		}
		o.pid, b = pid, rest
		o.first = nil
		close(o.started)
	}
	if len(b) > 0 {
		_, _ = o.to.Write(b)
	}
	return n, nil
}

func (o *output) hasStarted() bool {
	select {
	case <-o.started:
		return true
	default:
		return false
	}
}

// unstarted is what came instead of a process ID.
func (o *output) unstarted() string { return string(o.first[:min(len(o.first), maxHead)]) }

// openPipe makes a named pipe, reads it until the workspace closes or nobody has it open any more, and returns its path in the
// container.
func (o *output) openPipe(w *workspace) (string, error) {
	name := uuid.NewString()
	p := &pipe{path: filepath.Join(w.layout.pipes, name), mark: []byte("\x00end of " + name + "\x00"), arrived: make(chan struct{})}
	if err := makePipe(p); err != nil {
		return "", err
	}
	p.detach = context.AfterFunc(w.lives, func() { p.read.Close() })
	o.pipe = p
	w.late.Go(func() { o.readPipe(p) })
	return path.Join(inPipes, name), nil
}

// readBuffer is the size of a read: that of a pipe.
const readBuffer = 64 << 10

func (o *output) readPipe(p *pipe) {
	defer p.once.Do(func() { close(p.arrived) })
	defer p.detach()
	defer p.read.Close()
	buf := make([]byte, readBuffer)
	kept := 0 // bytes at the start of buf that may be the start of the mark
	found := false
	for {
		n, err := p.read.Read(buf[kept:])
		b := buf[:kept+n]
		kept = 0
		if !found {
			if i := bytes.Index(b, p.mark); i >= 0 {
				_, _ = o.Write(b[:i])
				found = true
				p.once.Do(func() { close(p.arrived) })
				b = b[i+len(p.mark):]
			} else if err == nil {
				kept = partial(b, p.mark)
			}
		}
		if out := b[:len(b)-kept]; len(out) > 0 {
			_, _ = o.Write(out)
		}
		copy(buf, b[len(b)-kept:])
		if err != nil {
			return
		}
	}
}

// partial returns the length of the longest end of b that mark starts with.
func partial(b, mark []byte) int {
	for n := min(len(b), len(mark)-1); n > 0; n-- {
		if b[len(b)-n] == mark[0] && bytes.HasPrefix(mark, b[len(b)-n:]) {
			return n
		}
	}
	return 0
}

// finish waits until everything that the process wrote before it ended has been handed on.
func (o *output) finish() {
	p := o.pipe
	if p == nil {
		return
	}
	if _, err := p.write.Write(p.mark); err != nil && !errors.Is(err, os.ErrClosed) {
		p.read.Close() // nobody reads it any more: the workspace has closed
	}
	p.write.Close()
	os.Remove(p.path)
	<-p.arrived
}

// abandon gives the pipe up.
func (o *output) abandon() {
	if o.pipe != nil {
		o.pipe.write.Close()
		o.pipe.read.Close()
		os.Remove(o.pipe.path)
	}
}
