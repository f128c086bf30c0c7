package logs

import (
	"bytes"
	"context"
	"errors"
	"regexp"
)

// maxSearch bounds how much text one call of Search looks at, in bytes.
const maxSearch = 512 << 20

// Matches are lines that a pattern was found in.
type Matches struct {
	// Lines are their numbers, in order.
	Lines []int64
	// More: the search ended before the log did, because there were enough matches or it had looked at enough; Next is where to go on.
	More bool
	Next int64
}

// errEnough ends a search.
var errEnough = errors.New("enough")

// Search returns the numbers of up to limit lines (0: DefaultLines, at most MaxLines) from a number on that a pattern is found in, in
// their text without colours and other control sequences. It holds no more than a few chunks at a time, and ends with ctx.
func (s *Store) Search(ctx context.Context, job string, pattern *regexp.Regexp, from int64, limit int) (*Matches, error) {
	st, err := s.state(ctx, job)
	if err != nil {
		return nil, err
	}
	switch {
	case limit <= 0:
		limit = DefaultLines
	case limit > MaxLines:
		limit = MaxLines
	}
	f := finder{pattern: pattern, left: limit, from: max(from, 1), to: st.Lines}
	literal, _ := pattern.LiteralPrefix()
	f.literal = []byte(literal)
	looked := 0
	m := &Matches{Lines: []int64{}}
	err = s.sections(ctx, job, f.from, f.to, false, func(first int64, sec section) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if looked >= maxSearch {
			return errEnough
		}
		looked += len(sec.text)
		m.Lines = f.section(m.Lines, first, sec)
		m.Next = first + int64(sec.count)
		if f.left == 0 {
			m.Next = m.Lines[len(m.Lines)-1] + 1
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if m.More = m.Next != 0 && m.Next <= st.Lines; !m.More {
		m.Next = 0
	}
	return m, nil
}

// finder looks for a pattern.
type finder struct {
	pattern *regexp.Regexp
	// literal is what every match begins with; empty where nothing is known.
	literal []byte
	// left is how many are still wanted, of the lines from one number to another.
	left     int
	from, to int64
	buf      []byte
}

// section appends the numbers of the lines in which the pattern is found.
func (f *finder) section(found []int64, first int64, sec section) []int64 {
	skip := int(max(f.from-first, 0))
	n, text := first+int64(skip), sec.tail(skip)
	coloured := bytes.IndexByte(text, escape) >= 0
	for len(text) > 0 && n <= f.to && f.left > 0 {
		if !coloured && len(f.literal) > 0 {
			// No line before the next literal can match.
			at := bytes.Index(text, f.literal)
			if at < 0 {
				return found
			}
			begin := bytes.LastIndexByte(text[:at], '\n') + 1
			n += int64(bytes.Count(text[:begin], []byte{'\n'}))
			if n > f.to {
				return found
			}
			text = text[begin:]
		}
		end := bytes.IndexByte(text, '\n')
		line := text[:end]
		if coloured {
			line = stripANSI(f.buf, line)
			if len(line) > 0 && end > 0 && &line[0] != &text[0] {
				f.buf = line
			}
		}
		if f.pattern.Match(line) {
			found = append(found, n)
			f.left--
		}
		text = text[end+1:]
		n++
	}
	return found
}
