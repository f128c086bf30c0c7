package githubactions

import (
	"fmt"
	"regexp"
	"strings"
)

// maxPattern bounds a pattern, in bytes; no path or ref is longer.
const maxPattern = 4096

// compileFilter turns a pattern of a branch, tag or path filter into a regular expression for the whole name, and says
// whether it is negated. Source: "Filter pattern cheat sheet" of the vendor's workflow syntax:
//
//   - any characters but "/"         **   any characters
//     ?    none or one of the preceding   +    one or more of the preceding
//     []   one of the characters or ranges (a-z, A-Z, 0-9) in the brackets
//     !    at the start: negates          \    takes the next character as it is
//
// A "**" between slashes, or at the start before one, also stands for no folder at all: "**/a" matches "a".
func compileFilter(pattern string) (match *regexp.Regexp, negate bool, err error) {
	rest := pattern
	if strings.HasPrefix(rest, "!") {
		rest, negate = rest[1:], true
	}
	if rest == "" {
		return nil, false, fmt.Errorf("the pattern is empty")
	}
	if len(rest) > maxPattern {
		return nil, false, fmt.Errorf("the pattern has more than %d bytes", maxPattern)
	}
	var atoms []string
	runes := []rune(rest)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; c {
		case '*':
			if i+1 == len(runes) || runes[i+1] != '*' {
				atoms = append(atoms, "[^/]*")
				continue
			}
			folder := i == 0 || runes[i-1] == '/'
			for i++; i+1 < len(runes) && runes[i+1] == '*'; i++ {
			}
			if folder && i+1 < len(runes) && runes[i+1] == '/' {
				i++
				atoms = append(atoms, "(?:.*/)?")
			} else {
				atoms = append(atoms, ".*")
			}
		case '?', '+':
			if len(atoms) == 0 {
				return nil, false, fmt.Errorf("%q has nothing before it to repeat", c)
			}
			last := &atoms[len(atoms)-1]
			if strings.HasSuffix(*last, string(c)) && strings.HasPrefix(*last, "(?:") {
				continue // "a++" is "a+"
			}
			*last = "(?:" + *last + ")" + string(c)
		case '[':
			class, end, err := bracket(runes, i)
			if err != nil {
				return nil, false, err
			}
			atoms = append(atoms, class)
			i = end
		case ']':
			return nil, false, fmt.Errorf("%q has no %q before it", "]", "[")
		case '\\':
			if i++; i == len(runes) {
				return nil, false, fmt.Errorf("%q at the end has nothing to take as it is", "\\")
			}
			atoms = append(atoms, regexp.QuoteMeta(string(runes[i])))
		default:
			atoms = append(atoms, regexp.QuoteMeta(string(c)))
		}
	}
	match, err = regexp.Compile(`^(?s:` + strings.Join(atoms, "") + `)$`)
	if err != nil {
		return nil, false, fmt.Errorf("the pattern is too complex")
	}
	return match, negate, nil
}

// bracket reads a class that starts at runes[i] and returns the index of its closing bracket.
func bracket(runes []rune, i int) (class string, end int, err error) {
	var b strings.Builder
	b.WriteByte('[')
	for j := i + 1; j < len(runes); j++ {
		switch c := runes[j]; {
		case c == ']' && j == i+1:
			return "", 0, fmt.Errorf("%q names no character", "[]")
		case c == ']':
			b.WriteByte(']')
			return b.String(), j, nil
		case j+2 < len(runes) && runes[j+1] == '-' && runes[j+2] != ']':
			if runes[j+2] < c {
				return "", 0, fmt.Errorf("the range %c-%c is the wrong way round", c, runes[j+2])
			}
			b.WriteString(regexp.QuoteMeta(string(c)) + "-" + regexp.QuoteMeta(string(runes[j+2])))
			j += 2
		case c == '-':
			b.WriteString(`\-`)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return "", 0, fmt.Errorf("%q has no closing %q", "[", "]")
}
