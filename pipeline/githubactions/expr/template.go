package expr

import (
	"fmt"
	"strings"
)

// Template is text that may hold expressions in ${{ }}.
type Template struct {
	// Insert: the text is nothing but ${{ insert }}, which as a key of a mapping merges its value into it.
	Insert bool
	// Expr is the expression, or nil for text without any. Formatted: it stands for text with expressions in it, and was made
	// of a call of format; without, the text is one expression and keeps the kind of its value.
	Expr      *Expr
	Formatted bool
	// Literal is the text, where Expr is nil.
	Literal string
}

const (
	opening = "${{"
	closing = "}}"
)

// segment is one ${{ }} of a text.
type segment struct{ start, end, inner, innerEnd int }

// split finds the expressions of a text; quotes within them may hold closing braces.
func split(s string) ([]segment, *SyntaxError) {
	var out []segment
	for at := 0; ; {
		i := strings.Index(s[at:], opening)
		if i < 0 {
			return out, nil
		}
		start := at + i
		inner := start + len(opening)
		end, quoted := -1, false
		for j := inner; j < len(s); j++ {
			if s[j] == '\'' {
				quoted = !quoted
			} else if !quoted && strings.HasPrefix(s[j:], closing) {
				end = j
				break
			}
		}
		if end < 0 {
			e := &SyntaxError{Offset: start, Width: len(opening), Msg: "the expression is not closed", Hint: "every ${{ needs its }}"}
			if quoted {
				e.Hint = "a text in it has no closing quote, or }} is missing"
			}
			return nil, e
		}
		out = append(out, segment{start, end + len(closing), inner, end})
		at = end + len(closing)
	}
}

// ParseTemplate compiles text with expressions. Its errors are *SyntaxError with offsets in s.
func ParseTemplate(s string, a *Availability) (*Template, error) {
	segments, err := split(s)
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 {
		return &Template{Literal: s}, nil
	}
	whole := len(segments) == 1 && segments[0].start == 0 && segments[0].end == len(s)
	var (
		nodes   = make([]node, len(segments))
		sources = make([]string, len(segments))
		pattern strings.Builder
		last    int
	)
	for i, g := range segments {
		src := s[g.inner:g.innerEnd]
		trimmed := strings.TrimSpace(src)
		if word, _, _ := strings.Cut(trimmed, " "); strings.EqualFold(word, "insert") && (word == trimmed || !whole) {
			if whole {
				return &Template{Insert: true}, nil
			}
			return nil, &SyntaxError{Offset: g.start, Width: g.end - g.start,
				Msg:  "the directive 'insert' is not allowed in this context: directives are not supported for expressions that are embedded within a string",
				Hint: "make ${{ insert }} the whole key"}
		}
		if trimmed == "" {
			return nil, &SyntaxError{Offset: g.start, Width: g.end - g.start, Msg: "an expression was expected between ${{ and }}"}
		}
		n, err := compileAt(src, g.inner, a)
		if err != nil {
			return nil, err
		}
		nodes[i], sources[i] = n, trimmed
		pattern.WriteString(escapeFormat(s[last:g.start]))
		fmt.Fprintf(&pattern, "{%d}", i)
		last = g.end
	}
	if whole {
		return &Template{Expr: &Expr{source: sources[0], root: nodes[0]}}, nil
	}
	if len(segments) > maxArgs-1 {
		return nil, &SyntaxError{Offset: segments[maxArgs-1].start, Width: len(opening), Msg: fmt.Sprintf("a text cannot hold more than %d expressions", maxArgs-1)}
	}
	pattern.WriteString(escapeFormat(s[last:]))
	quoted := "'" + strings.ReplaceAll(pattern.String(), "'", "''") + "'"
	root := &call{name: "format", args: append([]node{&literal{pattern.String(), quoted}}, nodes...)}
	source := "format(" + quoted + ", " + strings.Join(sources, ", ") + ")"
	return &Template{Formatted: true, Expr: &Expr{source: source, root: root}}, nil
}

var formatEscapes = strings.NewReplacer("{", "{{", "}", "}}")

func escapeFormat(s string) string { return formatEscapes.Replace(s) }

// Condition compiles an `if`: an expression, bare or in ${{ }}. Unless it calls a status function itself, it also asks for
// success(). It evaluates to true, false or unknown.
func Condition(src string, a *Availability) (*Expr, error) {
	var inner *Expr
	trimmed := strings.TrimSpace(src)
	if strings.Contains(src, opening) {
		// Blanks around ${{ }} count as text, as at the vendor: such a condition is a text, and so always true.
		t, err := ParseTemplate(src, a)
		if err != nil {
			return nil, err
		}
		if t.Insert {
			return nil, &SyntaxError{Width: len(src), Msg: "the directive 'insert' is no condition"}
		}
		inner = t.Expr
	} else {
		root, err := compileAt(src, 0, a)
		if err != nil {
			return nil, err
		}
		inner = &Expr{source: trimmed, root: root}
	}
	success := &call{name: "success"}
	switch {
	case trimmed == "":
		return &Expr{source: "success()", root: success, condition: true}, nil
	case callsStatus(inner.root):
		return &Expr{source: inner.source, root: inner.root, condition: true}, nil
	}
	return &Expr{source: "success() && (" + inner.source + ")", root: &binary{"&&", success, &group{inner.root}}, condition: true}, nil
}

func callsStatus(n node) bool {
	if c, ok := n.(*call); ok && isStatus(c.name) {
		return true
	}
	for _, c := range n.children() {
		if callsStatus(c) {
			return true
		}
	}
	return false
}
