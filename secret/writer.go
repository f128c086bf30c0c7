package secret

import "io"

// Writer masks a stream. It gives the same bytes however the stream is cut into writes, and keeps back no more than the
// masker's longest text. It is not safe for concurrent use.
type Writer struct {
	m   *Masker
	out io.Writer
	// held is the end of the stream that has not been written: a secret may begin in it. Its first covered bytes belong to a
	// secret that began before it; open says that its mask has been written, and goes for what touches it as well.
	held    []byte
	covered int
	open    bool
	buf     []byte
}

// NewWriter returns a writer that masks what is written to it by m and writes it to out.
func NewWriter(out io.Writer, m *Masker) *Writer { return &Writer{m: m, out: out} }

// Write implements [io.Writer]. An error is out's.
func (w *Writer) Write(p []byte) (int, error) {
	w.held = append(w.held, p...)
	if err := w.emit(max(w.m.Longest()-1, 0)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what is held back: the stream ends here, or a secret cannot go on behind this place.
func (w *Writer) Flush() error {
	err := w.emit(0)
	w.covered, w.open = 0, false
	return err
}

// emit writes all but the last keep bytes.
func (w *Writer) emit(keep int) error {
	cut := len(w.held) - keep
	if cut <= 0 {
		return nil
	}
	w.buf = w.buf[:0]
	done := 0 // bytes of held that are dealt with
	cover := func(start, end int) {
		if start > done {
			w.buf = append(w.buf, w.held[done:start]...)
			w.open = false
		}
		if !w.open {
			w.buf = append(w.buf, Mask...)
			w.open = true
		}
		done = max(done, end)
	}
	if w.covered > 0 {
		cover(0, w.covered)
	}
	for s := w.m.current().scan(w.held); ; {
		start, end, ok := s.next()
		if !ok || start >= cut {
			break
		}
		cover(start, end)
	}
	if done < cut {
		w.buf = append(w.buf, w.held[done:cut]...)
		w.open = false
	}
	w.covered = max(done-cut, 0)
	w.held = append(w.held[:0], w.held[cut:]...)
	_, err := w.out.Write(w.buf)
	return err
}
