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
	f := finder{pattern: pattern, needle: needleOf(pattern), left: limit, from: max(from, 1), to: st.Lines}
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
	needle  needle
	// left is how many are still wanted, of the lines from one number to another.
	left     int
	from, to int64
	// plain and folded are used again for each section.
	plain, folded []byte
}

// section appends the numbers of the lines in which the pattern is found.
func (f *finder) section(found []int64, first int64, sec section) []int64 {
	skip := int(max(f.from-first, 0))
	n, text := first+int64(skip), sec.tail(skip)
	if bytes.IndexByte(text, escape) >= 0 {
		f.plain = stripANSI(f.plain, text)
		text = f.plain
	}
	var candidates *places
	switch {
	case len(f.needle.texts) == 0:
	case !f.needle.fold:
		candidates = newPlaces(text, f.needle.texts)
	case foldable(text):
		f.folded = lower(f.folded[:0], text)
		candidates = newPlaces(f.folded, f.needle.texts)
	}
	for at := 0; at < len(text) && n <= f.to && f.left > 0; n++ {
		if candidates != nil {
			next := candidates.next(at)
			if next < 0 {
				return found
			}
			begin := at + bytes.LastIndexByte(text[at:next], '\n') + 1
			n += int64(bytes.Count(text[at:begin], []byte{'\n'}))
			if at = begin; n > f.to {
				return found
			}
		}
		end := at + bytes.IndexByte(text[at:], '\n')
		if f.pattern.Match(text[at:end]) {
			found = append(found, n)
			f.left--
		}
		at = end + 1
	}
	return found
}
