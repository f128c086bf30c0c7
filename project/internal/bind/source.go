package bind

import (
	"bytes"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/pipeline"
)

// Source is the text of a file, with the places of its lines.
type Source struct {
	file  string
	text  []byte
	lines []int // offset of each line's first byte
}

func newSource(file string, text []byte) *Source {
	s := &Source{file: file, text: text, lines: make([]int, 1, 1+bytes.Count(text, []byte{'\n'}))}
	for i, b := range text {
		if b == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// line returns the text of a line, counted from 1, without its end; there is no line outside of the file.
func (s *Source) line(n int) []byte {
	if n < 1 || n > len(s.lines) {
		return nil
	}
	end := len(s.text)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	return bytes.TrimSuffix(s.text[s.lines[n-1]:end], []byte{'\r'})
}

// pos returns the place of a column that counts characters, as the YAML library does; places count bytes.
func (s *Source) pos(line, col int) pipeline.Pos {
	at, text := 0, s.line(line)
	for i := 1; i < col; i++ {
		if at >= len(text) {
			at += col - i
			break
		}
		_, size := utf8.DecodeRune(text[at:])
		at += size
	}
	return pipeline.Pos{File: s.file, Line: line, Col: at + 1}
}

// at returns the place of a byte of the file.
func (s *Source) at(offset int) pipeline.Pos {
	line := 1 + bytes.Count(s.text[:offset], []byte{'\n'})
	return pipeline.Pos{File: s.file, Line: line, Col: offset - s.lines[line-1] + 1}
}
