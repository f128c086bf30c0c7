package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/gantry-ops/gantry/store"
)

// A chunk, before compression, is a sequence of sections, so that chunks are joined by joining their bytes. A section is
//
//	version (1 byte, 1)
//	number of lines, length of meta, length of text (uvarints)
//	meta: for each line a byte of flags, the difference of its time to the line before in microseconds (varint; of the first, to 0)
//	      unless it is flagged as none, and the step (uvarint) where it is flagged as another than before (of the first, than 0)
//	text: the lines, each ended by a line feed
//
// so that text is found and given out without looking at the rest.
type section struct {
	count      int
	meta, text []byte
}

const sectionVersion = 1

const (
	flagBegin = 1 << iota
	flagEnd
	flagNotice
	flagStep
	flagSameTime
	flagsKnown = 1<<iota - 1
)

// appendSection appends the lines as one section.
func appendSection(dst []byte, lines []Line) ([]byte, error) {
	meta := make([]byte, 0, 5*len(lines))
	size, last, step := 0, int64(0), 0
	for i := range lines {
		l := &lines[i]
		var flags byte
		switch l.Group {
		case "":
		case GroupBegin:
			flags |= flagBegin
		case GroupEnd:
			flags |= flagEnd
		default:
			return nil, fmt.Errorf("a group is begun or ended, not %q", l.Group)
		}
		if l.Step < 0 {
			return nil, fmt.Errorf("there is no step %d", l.Step)
		}
		if l.Notice {
			flags |= flagNotice
		}
		if l.Step != step {
			flags |= flagStep
		}
		now := int64(0)
		if !l.Time.IsZero() {
			now = l.Time.UnixMicro()
		}
		if now == last {
			flags |= flagSameTime
		}
		meta = append(meta, flags)
		if now != last {
			meta = binary.AppendVarint(meta, now-last)
			last = now
		}
		if l.Step != step {
			meta = binary.AppendUvarint(meta, uint64(l.Step))
			step = l.Step
		}
		size += len(l.Text) + 1
	}
	dst = append(dst, sectionVersion)
	dst = binary.AppendUvarint(dst, uint64(len(lines)))
	dst = binary.AppendUvarint(dst, uint64(len(meta)))
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = append(dst, meta...)
	for i := range lines {
		dst = append(dst, lines[i].Text...)
		dst = append(dst, '\n')
	}
	return dst, nil
}

// errDamaged is a chunk that is not what was written.
var errDamaged = errors.New("it is damaged")

// nextSection takes the first section off a chunk.
func nextSection(chunk []byte) (s section, rest []byte, err error) {
	if len(chunk) == 0 || chunk[0] != sectionVersion {
		return s, nil, fmt.Errorf("%w: it has no section that this version knows", errDamaged)
	}
	rest = chunk[1:]
	var sizes [3]int
	for i := range sizes {
		v, n := binary.Uvarint(rest)
		if n <= 0 || v > math.MaxInt32 {
			return s, nil, fmt.Errorf("%w: a section's head is cut", errDamaged)
		}
		sizes[i], rest = int(v), rest[n:]
	}
	s.count = sizes[0]
	if sizes[1] > len(rest) || sizes[2] > len(rest)-sizes[1] {
		return s, nil, fmt.Errorf("%w: a section is cut", errDamaged)
	}
	s.meta, rest = rest[:sizes[1]:sizes[1]], rest[sizes[1]:]
	s.text, rest = rest[:sizes[2]:sizes[2]], rest[sizes[2]:]
	if len(s.meta) < s.count || bytes.Count(s.text, []byte{'\n'}) != s.count || s.count > 0 && s.text[len(s.text)-1] != '\n' {
		return s, nil, fmt.Errorf("%w: a section has not the lines that it says", errDamaged)
	}
	return s, rest, nil
}

// tail returns the section's text without its first lines.
func (s section) tail(skip int) []byte {
	text := s.text
	for ; skip > 0; skip-- {
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	return text
}

// each calls fn for the lines of a section after the first skip ones, until it returns false. The text belongs to the section.
func (s section) each(skip int, fn func(l *Line, text []byte) bool) error {
	var l Line
	now, meta, text := int64(0), s.meta, s.text
	for i := range s.count {
		if len(meta) == 0 {
			return fmt.Errorf("%w: a line's head is missing", errDamaged)
		}
		flags := meta[0]
		meta = meta[1:]
		if flags&^flagsKnown != 0 {
			return fmt.Errorf("%w: a line has flags that this version does not know", errDamaged)
		}
		if flags&flagSameTime == 0 {
			d, n := binary.Varint(meta)
			if n <= 0 {
				return fmt.Errorf("%w: a line's time is cut", errDamaged)
			}
			now, meta = now+d, meta[n:]
		}
		if flags&flagStep != 0 {
			v, n := binary.Uvarint(meta)
			if n <= 0 || v > math.MaxInt32 {
				return fmt.Errorf("%w: a line's step is cut", errDamaged)
			}
			l.Step, meta = int(v), meta[n:]
		}
		end := bytes.IndexByte(text, '\n')
		if i >= skip {
			l.Time = store.Time{}
			if now != 0 {
				l.Time = microseconds(now)
			}
			l.Notice = flags&flagNotice != 0
			switch {
			case flags&flagBegin != 0:
				l.Group = GroupBegin
			case flags&flagEnd != 0:
				l.Group = GroupEnd
			default:
				l.Group = ""
			}
			if !fn(&l, text[:end]) {
				return nil
			}
		}
		text = text[end+1:]
	}
	return nil
}

// countLines returns how many lines a chunk has.
func countLines(chunk []byte) (int64, error) {
	var n int64
	for len(chunk) > 0 {
		s, rest, err := nextSection(chunk)
		if err != nil {
			return 0, err
		}
		n += int64(s.count)
		chunk = rest
	}
	return n, nil
}
