package githubactions

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/pipeline"
)

// source is the text of a file, with the places of its lines.
type source struct {
	file  string
	text  []byte
	lines []int // offset of each line's first byte
	// ascii: every character is one byte.
	ascii bool
	// chars holds, for lines with more than ASCII, the offset of each character in the line; filled when first asked for.
	chars map[int][]int32
}

func newSource(file string, text []byte) *source {
	s := &source{file: file, text: text, lines: make([]int, 1, 1+bytes.Count(text, []byte{'\n'}))}
	s.ascii = true
	for i, b := range text {
		if b == '\n' {
			s.lines = append(s.lines, i+1)
		}
		s.ascii = s.ascii && b < utf8.RuneSelf
	}
	return s
}

// line returns the text of a line, counted from 1, without its end; there is no line outside of the file.
func (s *source) line(n int) []byte {
	if n < 1 || n > len(s.lines) {
		return nil
	}
	end := len(s.text)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	return bytes.TrimSuffix(s.text[s.lines[n-1]:end], []byte{'\r'})
}

// pos returns the place of a column that counts characters, as the YAML library does.
func (s *source) pos(line, col int) pipeline.Pos {
	return pipeline.Pos{File: s.file, Line: line, Col: s.byteColumn(line, col)}
}

func (s *source) byteColumn(line, col int) int {
	if s.ascii {
		return col
	}
	chars, ok := s.chars[line]
	if !ok {
		l := s.line(line)
		if len(l) > 0 && bytes.ContainsFunc(l, func(r rune) bool { return r >= utf8.RuneSelf }) {
			chars = make([]int32, 0, len(l))
			for at := range string(l) {
				chars = append(chars, int32(at))
			}
		}
		if s.chars == nil {
			s.chars = map[int][]int32{}
		}
		s.chars[line] = chars
	}
	if col-1 < len(chars) && col >= 1 {
		return int(chars[col-1]) + 1
	}
	return col
}

// at returns the place of a byte of the file.
func (s *source) at(offset int) pipeline.Pos {
	line := 1 + bytes.Count(s.text[:offset], []byte{'\n'})
	return pipeline.Pos{File: s.file, Line: line, Col: offset - s.lines[line-1] + 1}
}

// within returns the place of a byte of a scalar's text. It is exact where a scalar stands on one line without escapes and in
// literal blocks; where it cannot be told, it is the scalar's own place.
func (s *source) within(t *token, offset int) pipeline.Pos {
	offset = min(max(offset, 0), len(t.text))
	lineOf := func(text string) string {
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			return text[:i]
		}
		return text
	}
	if t.style&yaml.LiteralStyle != 0 {
		before := strings.Count(t.text[:offset], "\n")
		start := strings.LastIndexByte(t.text[:offset], '\n') + 1
		text := lineOf(t.text[start:])
		if l := s.line(t.pos.Line + 1 + before); bytes.HasSuffix(l, []byte(text)) {
			return pipeline.Pos{File: s.file, Line: t.pos.Line + 1 + before, Col: len(l) - len(text) + offset - start + 1}
		}
		return t.pos
	}
	if t.style&yaml.FoldedStyle != 0 || strings.Contains(t.text[:offset], "\n") {
		return t.pos
	}
	l := s.line(t.pos.Line)
	from := min(max(t.pos.Col-1, 0), len(l))
	text := lineOf(t.text)
	// A tag or an anchor may stand before the text.
	if i := bytes.Index(l[from:], []byte(text)); i >= 0 {
		return pipeline.Pos{File: s.file, Line: t.pos.Line, Col: from + i + offset + 1}
	}
	return t.pos
}
