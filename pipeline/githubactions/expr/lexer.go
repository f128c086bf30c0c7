package expr

import (
	"fmt"
	"strings"
)

type tokenKind int

const (
	tokEnd tokenKind = iota
	tokName
	tokNumber
	tokString
	tokPunct // ( ) [ ] , . * and the operators
)

type token struct {
	kind tokenKind
	// text is the token as written; for strings value holds what it stands for.
	text  string
	value string
	num   float64
	at    int // offset in the whole text
}

type lexer struct {
	src  string
	base int // offset of src in the whole text
	at   int
	// operand: the last token could end an operand, so that a dot dereferences and does not begin a number.
	operand bool
}

// boundary reports whether c ends a name or a number.
func boundary(c byte) bool {
	switch c {
	case '(', ')', '[', ']', ',', '.', '!', '>', '<', '=', '&', '|':
		return true
	}
	return space(c)
}

func space(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func (l *lexer) next() (token, *SyntaxError) {
	for l.at < len(l.src) && space(l.src[l.at]) {
		l.at++
	}
	start := l.at
	tok := token{at: l.base + start}
	if start == len(l.src) {
		return tok, nil
	}
	c := l.src[start]
	switch c {
	case '(', '[', ',', ')', ']', '*':
		l.at++
		tok.kind, tok.text = tokPunct, l.src[start:l.at]
		l.operand = c == ')' || c == ']' || c == '*'
		return tok, nil
	case '!', '>', '<', '=', '&', '|':
		return l.operator(tok)
	case '\'':
		return l.quoted(tok)
	case '.':
		if l.operand {
			l.at++
			l.operand = false
			tok.kind, tok.text = tokPunct, "."
			return tok, nil
		}
		return l.number(tok)
	case '-', '+':
		return l.number(tok)
	}
	if c >= '0' && c <= '9' {
		return l.number(tok)
	}
	for l.at < len(l.src) && !boundary(l.src[l.at]) && (l.src[l.at] != '*' || l.at == start) {
		l.at++
	}
	tok.text = l.src[start:l.at]
	if !isName(tok.text) {
		return tok, l.unexpected(tok)
	}
	tok.kind = tokName
	l.operand = true
	return tok, nil
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '_', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c == '-' || c >= '0' && c <= '9'):
		default:
			return false
		}
	}
	return s != ""
}

func (l *lexer) operator(tok token) (token, *SyntaxError) {
	rest := l.src[l.at:]
	l.operand = false
	for _, op := range []string{"==", "!=", ">=", "<=", "&&", "||", "!", ">", "<"} {
		if strings.HasPrefix(rest, op) {
			l.at += len(op)
			tok.kind, tok.text = tokPunct, op
			return tok, nil
		}
	}
	tok.text = rest[:1]
	e := l.unexpected(tok)
	switch rest[0] {
	case '=':
		e.Hint = "compare with =="
	case '&', '|':
		e.Hint = fmt.Sprintf("the operator is %c%c", rest[0], rest[0])
	}
	return tok, e
}

// number reads until a boundary; dots belong to it.
func (l *lexer) number(tok token) (token, *SyntaxError) {
	start := l.at
	l.at++
	for l.at < len(l.src) && (!boundary(l.src[l.at]) || l.src[l.at] == '.') {
		l.at++
	}
	tok.kind, tok.text = tokNumber, l.src[start:l.at]
	n, ok := parseNumber(tok.text)
	if !ok {
		e := l.unexpected(tok)
		if tok.text == "+" || tok.text == "-" {
			e.Hint = "expressions have no arithmetic"
		}
		return tok, e
	}
	tok.num = n
	l.operand = true
	return tok, nil
}

// quoted reads a string; two quotes stand for one.
func (l *lexer) quoted(tok token) (token, *SyntaxError) {
	start := l.at
	l.at++
	var b strings.Builder
	for {
		i := strings.IndexByte(l.src[l.at:], '\'')
		if i < 0 {
			tok.text = l.src[start:]
			e := l.unexpected(tok)
			e.Hint = "the text has no closing quote"
			return tok, e
		}
		b.WriteString(l.src[l.at : l.at+i])
		l.at += i + 1
		if l.at == len(l.src) || l.src[l.at] != '\'' {
			break
		}
		b.WriteByte('\'')
		l.at++
	}
	tok.kind, tok.text, tok.value = tokString, l.src[start:l.at], b.String()
	l.operand = true
	return tok, nil
}

func (l *lexer) unexpected(tok token) *SyntaxError {
	e := &SyntaxError{Offset: tok.at, Width: max(1, len(tok.text)), Msg: fmt.Sprintf("unexpected symbol: '%s'", tok.text)}
	if tok.kind == tokEnd && tok.text == "" {
		e.Msg = "unexpected end of the expression"
	}
	if strings.HasPrefix(tok.text, `"`) {
		e.Hint = "texts stand in single quotes: '" + strings.Trim(tok.text, `"`) + "'"
	}
	return e
}
