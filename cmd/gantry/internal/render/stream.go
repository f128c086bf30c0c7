package render

import (
	"io"
	"sync"
	"time"
)

const (
	// flushSize is when a stream writes without waiting: large enough that a fast job costs few system calls.
	flushSize = 64 << 10
	// flushAfter is how long a line may wait for company.
	flushAfter = 20 * time.Millisecond
)

// stream is a buffered writer that flushes itself when it has been idle for a moment. It is safe for concurrent use.
type stream struct {
	w       io.Writer
	onError func(error)

	mu    sync.Mutex
	buf   []byte
	timer *time.Timer
	armed bool
	err   error
}

func newStream(o *Options) *stream { return &stream{w: o.Out, onError: o.OnError} }

// Write takes a whole number of lines; those of one call stay together.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf)+len(p) > flushSize {
		s.flushLocked()
	}
	if len(p) >= flushSize {
		s.writeLocked(p)
		return len(p), nil
	}
	s.buf = append(s.buf, p...)
	if !s.armed && len(s.buf) > 0 {
		s.armed = true
		if s.timer == nil {
			s.timer = time.AfterFunc(flushAfter, s.idle)
		} else {
			s.timer.Reset(flushAfter)
		}
	}
	return len(p), nil
}

func (s *stream) idle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	s.flushLocked()
}

// Flush writes what waits.
func (s *stream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushLocked()
	return s.err
}

// Close flushes and stops the timer.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushLocked()
	if s.timer != nil {
		s.timer.Stop()
	}
	return s.err
}

func (s *stream) flushLocked() {
	if len(s.buf) > 0 {
		s.writeLocked(s.buf)
		s.buf = s.buf[:0]
	}
}

// writeLocked drops everything after the first error: the reader has gone, and OnError ends the run.
func (s *stream) writeLocked(p []byte) {
	if s.err != nil {
		return
	}
	if _, err := s.w.Write(p); err != nil {
		s.err = err
		if s.onError != nil {
			go s.onError(err)
		}
	}
}

// buffers are where lines are put together outside of the stream's lock, so that jobs encode side by side.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, flushSize); return &b }}

func withBuffer(f func(b []byte) []byte) {
	p := buffers.Get().(*[]byte)
	*p = f((*p)[:0])
	if cap(*p) <= 4<<20 {
		buffers.Put(p)
	}
}
