package host

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// output takes what a process and its descendants print to one pipe, and hands it to a writer in order.
type output struct {
	r  *os.File
	to io.Writer
	// paused is closed when a read has ended; eof says that it did because nobody can write any longer.
	paused chan struct{}
	eof    bool
}

// buffers hold what is read from a pipe: as much as a pipe holds.
var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// past interrupts a read.
var past = time.Unix(1, 0)

func newOutput(r *os.File, to io.Writer) *output {
	return &output{r: r, to: to, paused: make(chan struct{})}
}

// read moves data until the end or until it is interrupted. Errors of the writer are not the process's: it must not block, so
// that its output is taken all the same.
func (o *output) read() {
	defer close(o.paused)
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := o.r.Read(*buf)
		if n > 0 {
			o.to.Write((*buf)[:n])
		}
		if err != nil {
			o.eof = !errors.Is(err, os.ErrDeadlineExceeded)
			return
		}
	}
}

// pause interrupts read and hands on what is in the pipe at this moment, which is all that an ended process has written: a
// write to a pipe is in it when it returns. It reports whether nobody can write any longer.
func (o *output) pause() (eof bool) {
	if err := o.r.SetReadDeadline(past); err != nil {
		// The system cannot interrupt reads: wait for all who hold the pipe.
		<-o.paused
		return true
	}
	<-o.paused
	if o.eof {
		return true
	}
	if err := o.r.SetReadDeadline(time.Time{}); err != nil {
		return true
	}
	return o.readAvailable()
}

// deliver hands on all that was written until now. Where descendants hold the pipe, what they print later is handed on until
// close, and deliver returns false.
func (o *output) deliver() (done bool) {
	if o.pause() {
		o.r.Close()
		return true
	}
	o.paused = make(chan struct{})
	go o.read()
	return false
}

// close hands on what is left and ends. Nothing is written any more when it has returned.
func (o *output) close() {
	o.pause()
	o.r.Close()
}
