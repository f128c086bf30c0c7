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
	// ascii: every character is one byte.
	ascii bool
	// chars holds, for lines that were asked for, the offset of each character in the line.
	chars map[int][]int32
}

func newSource(file string, text []byte) *Source {
	s := &Source{file: file, text: text, lines: make([]int, 1, 1+bytes.Count(text, []byte{'\n'})), ascii: true, chars: map[int][]int32{}}
	for i, b := range text {
		if b == '\n' {
			s.lines = append(s.lines, i+1)
		}
		s.ascii = s.ascii && b < utf8.RuneSelf
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
	if s.ascii {
		return pipeline.Pos{File: s.file, Line: line, Col: col}
	}
	chars, ok := s.chars[line]
	if !ok {
		for at := range string(s.line(line)) {
			chars = append(chars, int32(at))
		}
		s.chars[line] = chars
	}
	if n := len(chars); col > n { // behind the end, where what is missing would stand
		return pipeline.Pos{File: s.file, Line: line, Col: len(s.line(line)) + col - n}
	}
	return pipeline.Pos{File: s.file, Line: line, Col: int(chars[max(col, 1)-1]) + 1}
}

// at returns the place of a byte of the file.
func (s *Source) at(offset int) pipeline.Pos {
	line := 1 + bytes.Count(s.text[:offset], []byte{'\n'})
	return pipeline.Pos{File: s.file, Line: line, Col: offset - s.lines[line-1] + 1}
}
