package logs

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// needle is what text must contain for a pattern to be found in it, so that most lines need not be given to the pattern: one of texts,
// and nothing where that is not known. fold: in upper or lower case; texts are in lower case then.
type needle struct {
	texts [][]byte
	fold  bool
}

// maxNeedles bounds how many texts are looked for; a pattern with more alternatives is not worth it.
const maxNeedles = 8

// needleOf reads a needle off a pattern.
func needleOf(pattern *regexp.Regexp) needle {
	tree, err := syntax.Parse(pattern.String(), syntax.Perl)
	if err != nil {
		return needle{} // a POSIX pattern
	}
	texts, fold := required(tree.Simplify())
	n := needle{fold: fold}
	for _, t := range texts {
		if fold {
			t = strings.ToLower(t)
		}
		n.texts = append(n.texts, []byte(t))
	}
	return n
}

// required returns texts of which every match has one; nil where nothing is known.
func required(re *syntax.Regexp) (texts []string, fold bool) {
	switch re.Op {
	case syntax.OpLiteral:
		fold = re.Flags&syntax.FoldCase != 0
		for _, r := range re.Rune {
			if r == '\n' || fold && r >= utf8.RuneSelf {
				return nil, false
			}
		}
		return []string{string(re.Rune)}, fold
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if t, f := required(sub); better(t, texts) {
				texts, fold = t, f
			}
		}
		return texts, fold
	case syntax.OpAlternate:
		for i, sub := range re.Sub {
			t, f := required(sub)
			if t == nil || i > 0 && f != fold || len(texts)+len(t) > maxNeedles {
				return nil, false
			}
			texts, fold = append(texts, t...), f
		}
		return texts, fold
	}
	return nil, false
}

// better reports whether texts narrow down more: the shortest of them is longer.
func better(a, b []string) bool {
	shortest := func(texts []string) int {
		n := 0
		for i, t := range texts {
			if i == 0 || len(t) < n {
				n = len(t)
			}
		}
		return n
	}
	return shortest(a) > shortest(b)
}

// foldable reports whether upper and lower case of a text are told from each other by ASCII alone, as needles are: it has neither of the
// two characters elsewhere whose lower case is an ASCII letter, the Kelvin sign and the long s.
func foldable(text []byte) bool {
	return !bytes.Contains(text, []byte("\u212a")) && !bytes.Contains(text, []byte("\u017f"))
}

// lower appends a text with ASCII letters in lower case.
func lower(dst, text []byte) []byte {
	dst = append(dst, text...)
	for i, c := range dst {
		if c-'A' < 26 {
			dst[i] = c + 'a' - 'A'
		}
	}
	return dst
}

// places finds the next of several texts, each looked for no more often than it must be.
type places struct {
	text  []byte
	texts [][]byte
	// at is where each text is next; -1: nowhere.
	at []int
}

func newPlaces(text []byte, texts [][]byte) *places {
	p := &places{text: text, texts: texts, at: make([]int, len(texts))}
	for i, t := range texts {
		p.at[i] = bytes.Index(text, t)
	}
	return p
}

// next returns the first place from an offset on; -1: there is none.
func (p *places) next(from int) int {
	best := -1
	for i, t := range p.texts {
		if p.at[i] >= 0 && p.at[i] < from {
			if p.at[i] = bytes.Index(p.text[from:], t); p.at[i] >= 0 {
				p.at[i] += from
			}
		}
		if p.at[i] >= 0 && (best < 0 || p.at[i] < best) {
			best = p.at[i]
		}
	}
	return best
}
