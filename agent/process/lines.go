package process

import "bytes"

// lookahead is how many bytes of a line are masked beyond those that are kept: a secret that begins before the cut is masked as a whole
// if it is no longer than that.
const lookahead = 16 << 10

// lines cuts a stream into lines, which it gives to add with the number of bytes that are missing at their end. It holds at most keep +
// lookahead bytes.
type lines struct {
	keep    int
	add     func(text []byte, beyond int64)
	pending []byte
	beyond  int64
	begun   bool
}

// write takes some bytes of the stream.
func (l *lines) write(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.hold(p)
			return
		}
		if l.begun {
			l.hold(p[:i])
			l.flush()
		} else if i <= l.keep {
			l.add(p[:i], 0)
		} else {
			l.hold(p[:i])
			l.flush()
		}
		p = p[i+1:]
	}
}

func (l *lines) hold(p []byte) {
	l.begun = true
	n := min(len(p), l.keep+lookahead-len(l.pending))
	l.pending = append(l.pending, p[:n]...)
	l.beyond += int64(len(p) - n)
}

// flush ends a line that has begun.
func (l *lines) flush() {
	if !l.begun {
		return
	}
	l.add(l.pending, l.beyond)
	l.pending, l.beyond, l.begun = l.pending[:0], 0, false
}
