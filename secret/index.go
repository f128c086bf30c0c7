package secret

import (
	"bytes"
	"cmp"
	"slices"
)

// An index finds the occurrences of many patterns in one go, by the method of Wu and Manber ("A fast algorithm for
// multi-pattern searching", 1994): a window as long as the shortest pattern slides over the text, and the last bytes in it say
// how far it may jump. The patterns are in groups of similar length, each with a pass of its own, so that one short secret
// does not make the jumps short for all.
//
// Where a group of short patterns has few members, looking for each on its own is faster: the processor's vector instructions
// go through a text at several bytes a nanosecond, and short windows jump little.
type index struct {
	groups  []finder
	longest int
}

// finder finds the first place at or after from where one of its patterns begins, and the end of the longest one there. The
// start is len(text) where there is none.
type finder interface {
	find(text []byte, from int) (start, end int)
}

// few patterns of a group that has a window shorter than shortWindow are looked for one by one.
const (
	few         = 6
	shortWindow = 7
)

// single finds one pattern.
type single []byte

func (p single) find(text []byte, from int) (start, end int) {
	if from >= len(text) {
		return len(text), len(text)
	}
	if i := bytes.Index(text[from:], p); i >= 0 {
		return from + i, from + i + len(p)
	}
	return len(text), len(text)
}

// Lengths in bytes at which groups begin. A jump is at most the shortest length of a group.
var groupStarts = [...]int{1, 2, 4, 7, 14}

const (
	tableBits = 15
	tableSize = 1 << tableBits
)

// group is the index of patterns of similar length.
type group struct {
	// window is the length of the shortest pattern; block the number of bytes, at the window's end, that decide on the jump.
	window, block int
	// jump tells by a hash of the block how far the window may go on; 0: a pattern may begin where the window does.
	jump [tableSize]uint8
	// first and next chain the patterns whose window ends in blocks of the same hash, the longest first; 0 ends a chain.
	first    [tableSize]int32
	next     []int32
	patterns [][]byte // from 1
}

func newIndex(patterns map[string]struct{}) *index {
	x := &index{}
	sorted := make([][]byte, 0, len(patterns))
	for p := range patterns {
		sorted = append(sorted, []byte(p))
		x.longest = max(x.longest, len(p))
	}
	slices.SortFunc(sorted, func(a, b []byte) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
	})
	for i, from := range groupStarts {
		n := len(sorted)
		if i+1 < len(groupStarts) {
			n, _ = slices.BinarySearchFunc(sorted, groupStarts[i+1], func(p []byte, l int) int { return cmp.Compare(len(p), l) })
		}
		if n > 0 && len(sorted[0]) >= from {
			if len(sorted[0]) < shortWindow && n <= few {
				for _, p := range sorted[:n] {
					x.groups = append(x.groups, single(p))
				}
			} else {
				x.groups = append(x.groups, newGroup(sorted[:n]))
			}
		}
		sorted = sorted[n:]
	}
	return x
}

// newGroup makes a group of patterns in ascending order of length.
func newGroup(patterns [][]byte) *group {
	g := &group{window: len(patterns[0]), next: make([]int32, len(patterns)+1), patterns: append([][]byte{nil}, patterns...)}
	g.block = min(g.window, 3)
	far := uint8(min(g.window-g.block+1, 255))
	for i := range g.jump {
		g.jump[i] = far
	}
	for i, p := range g.patterns[1:] {
		for end := g.block - 1; end < g.window; end++ {
			h := g.hash(p, end)
			g.jump[h] = min(g.jump[h], uint8(min(g.window-1-end, 255)))
		}
		h := g.hash(p, g.window-1)
		g.next[i+1], g.first[h] = g.first[h], int32(i+1)
	}
	return g
}

// hash returns the hash of the block that ends at index end.
func (g *group) hash(b []byte, end int) uint32 {
	switch g.block {
	case 1:
		return uint32(b[end])
	case 2:
		return hash3(0, b[end-1], b[end])
	}
	return hash3(b[end-2], b[end-1], b[end])
}

// hash3 spreads three bytes over the table (multiplicative hashing, Knuth volume 3, 6.4).
func hash3(a, b, c byte) uint32 {
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * 2654435761 >> (32 - tableBits)
}

// find implements finder.
func (g *group) find(text []byte, from int) (start, end int) {
	switch g.block {
	case 3:
		return g.find3(text, from)
	}
	for i := from + g.window - 1; i < len(text); {
		h := g.hash(text, i)
		if j := g.jump[h]; j > 0 {
			i += int(j)
			continue
		}
		start = i - g.window + 1
		if n := g.match(h, text[start:]); n > 0 {
			return start, start + n
		}
		i++
	}
	return len(text), len(text)
}

// find3 is find for blocks of three bytes, the loop in which the time goes.
func (g *group) find3(text []byte, from int) (start, end int) {
	for i := from + g.window - 1; i < len(text); {
		h := hash3(text[i-2], text[i-1], text[i])
		if j := g.jump[h&(tableSize-1)]; j > 0 {
			i += int(j)
			continue
		}
		start = i - g.window + 1
		if n := g.match(h, text[start:]); n > 0 {
			return start, start + n
		}
		i++
	}
	return len(text), len(text)
}

// match returns the length of the longest pattern with this hash that text begins with, or 0.
func (g *group) match(hash uint32, text []byte) int {
	for i := g.first[hash]; i > 0; i = g.next[i] {
		if bytes.HasPrefix(text, g.patterns[i]) {
			return len(g.patterns[i])
		}
	}
	return 0
}

// scanner walks over the places of a text that have to be masked.
type scanner struct {
	x    *index
	text []byte
	// at holds the next occurrence that each group has found.
	at [len(groupStarts) * few]struct{ start, end int }
}

func (x *index) scan(text []byte) scanner {
	s := scanner{x: x, text: text}
	for i, g := range x.groups {
		s.at[i].start, s.at[i].end = g.find(text, 0)
	}
	return s
}

// next returns the next stretch that is covered by patterns which overlap or touch.
func (s *scanner) next() (start, end int, ok bool) {
	groups := s.x.groups
	start = len(s.text)
	for i := range groups {
		start = min(start, s.at[i].start)
	}
	if start == len(s.text) {
		return 0, 0, false
	}
	end = start
	for grown := true; grown; {
		grown = false
		for i, g := range groups {
			for s.at[i].start <= end && s.at[i].start < len(s.text) {
				if s.at[i].end > end {
					end, grown = s.at[i].end, true
				}
				s.at[i].start, s.at[i].end = g.find(s.text, s.at[i].start+1)
			}
		}
	}
	return start, end, true
}
