package render

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a step's output is kept in memory, in bytes, before it goes to a file.
const spoolMemory = 256 << 10

// spool keeps the whole output of a step that may yet fail: in memory while it is small, then in a file that has no name.
// The zero spool is empty and ready.
type spool struct {
	mem  []byte
	file *os.File
	err  error
}

// write keeps p. After an error (a full disk) nothing more is kept, and the error is told when the spool is read.
func (s *spool) write(p []byte) {
	if s.err != nil {
		return
	}
	if s.file == nil && len(s.mem)+len(p) <= spoolMemory {
		s.mem = append(s.mem, p...)
		return
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "gantry-output-*")
		if err != nil {
			s.err = err
			return
		}
		os.Remove(f.Name()) // on Windows it stays until close
		s.file = f
	}
	// Small writes gather in memory, so that a line does not cost a system call.
	s.mem = append(s.mem, p...)
	if len(s.mem) >= spoolMemory/4 {
		_, s.err = s.file.Write(s.mem)
		s.mem = s.mem[:0]
	}
}

// lines calls f with each line, without its end. The line is only valid during the call.
func (s *spool) lines(f func(line []byte)) error {
	var r io.Reader = bytes.NewReader(s.mem)
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read the step's output: %w", err)
		}
		r = io.MultiReader(s.file, r)
	}
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if n := len(line); n > 0 {
			if line[n-1] == '\n' {
				line = line[:n-1]
			}
			f(line)
		}
		switch err {
		case nil, bufio.ErrBufferFull:
		case io.EOF:
			if s.err != nil {
				return fmt.Errorf("the rest of the step's output could not be kept: %w", s.err)
			}
			return nil
		default:
			return fmt.Errorf("read the step's output: %w", err)
		}
	}
}

// close drops what was kept.
func (s *spool) close() {
	s.mem = nil
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
		s.file = nil
	}
}
