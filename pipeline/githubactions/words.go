package githubactions

import (
	"fmt"
	"strings"
)

// wanted says in words what a shape allows.
func (s *shape) wanted() string {
	var words []string
	switch {
	case s.oneOf != nil:
		words = append(words, "one of "+strings.Join(s.oneOf, ", "))
	case s.condition:
		words = append(words, "a condition")
	case s.text:
		words = append(words, "text")
	}
	if s.boolean {
		words = append(words, "true or false")
	}
	if s.number {
		words = append(words, "a number")
	}
	if s.items != nil {
		words = append(words, "a sequence")
	}
	if s.fields != nil {
		words = append(words, "a mapping")
	}
	if s.null {
		words = append(words, "nothing")
	}
	return strings.Join(words, ", or ")
}

// expectation is the hint about a shape that was not met.
func expectation(s *shape) string {
	switch {
	case s.fields != nil && len(s.fields.known) > 0:
		return "the keys of " + s.name + " are: " + strings.Join(s.fields.keys(), ", ")
	case s.boolean && !s.text:
		return "write true or false, without quotes"
	case s.number && !s.text:
		return "write a number, without quotes"
	}
	return ""
}

// nearest returns the candidate that is likely meant by a misspelt word, or "".
func nearest(word string, candidates []string) string {
	best, least := "", min(1+max(1, len(word)/3), len(word)) // every letter another one is another word
	folded := strings.ToLower(strings.ReplaceAll(word, "_", "-"))
	for _, c := range candidates {
		if n := len(c) - len(word); n >= least || -n >= least {
			continue
		}
		if d := distance(folded, strings.ToLower(strings.ReplaceAll(c, "_", "-"))); d < least {
			best, least = c, d
		}
	}
	return best
}

// misspelt returns a hint where a key of a mapping is likely meant to be one of the words.
func misspelt(t *token, words []string) string {
	for _, p := range t.pairs {
		if near := nearest(p.key.text, words); near != "" {
			return fmt.Sprintf("is %q at line %d meant to be %q?", p.key.text, p.key.pos.Line, near)
		}
	}
	return ""
}

// distance counts the letters to insert, remove, replace or swap to turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
