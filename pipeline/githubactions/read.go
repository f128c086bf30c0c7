package githubactions

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions/expr"
)

// reader holds a file's tokens against their shapes: it reports what does not fit, brings scalars to the types of their
// places and compiles expressions. It goes on after each error.
type reader struct {
	src   *source
	diags *pipeline.Diagnostics
}

func (r *reader) errorf(t *token, code, hint, format string, args ...any) {
	t.bad = true
	r.diags.Add(pipeline.Diagnostic{Pos: t.pos, Width: t.width(), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// read holds one token against its shape. where is what expressions around it may use.
func (r *reader) read(t *token, s *shape, where *expr.Availability) {
	if t.bad {
		return
	}
	if s.where != nil {
		where = s.where
	}
	switch t.kind {
	case kindMapping:
		switch {
		case s.anything:
			for _, p := range t.pairs {
				r.readKey(p.key, where)
				r.read(p.value, s, where)
			}
		case s.fields != nil:
			r.readMapping(t, s, where)
		default:
			r.errorf(t, codeType, expectation(s), "a mapping was not expected: %s is %s", s.name, s.wanted())
		}
	case kindSequence:
		switch {
		case s.anything:
			for _, item := range t.items {
				r.read(item, s, where)
			}
		case s.items != nil:
			for _, item := range t.items {
				r.read(item, s.items, where)
			}
		default:
			r.errorf(t, codeType, expectation(s), "a sequence was not expected: %s is %s", s.name, s.wanted())
		}
	default:
		r.readScalar(t, s, where)
	}
}

func (r *reader) readScalar(t *token, s *shape, where *expr.Availability) {
	if s.condition {
		r.readCondition(t, s.bare, where)
		return
	}
	if t.kind == kindString && strings.Contains(t.text, "${{") {
		if r.compile(t, where); t.bad || t.kind == kindExpression {
			if t.bad {
				return
			}
			switch {
			case t.composed && !s.text && !s.boolean && !s.number && !s.anything:
				r.errorf(t, codeType, expectation(s), "%s is %s, and text with ${{ }} in it always yields text", s.name, s.wanted())
			case s.noExpr:
				r.errorf(t, codeType, "write its members out; each may be an expression", "%s cannot be an expression as a whole", s.name)
			}
			return
		}
	}
	switch {
	case t.kind == kindInsert:
		r.errorf(t, codeInsert, "${{ insert }} is a key: its value is the mapping to insert", "${{ insert }} is not allowed here")
	case s.anything, s.null && t.kind == kindNull, s.boolean && t.kind == kindBool, s.number && t.kind == kindNumber:
	case s.text:
		r.asText(t)
		if t.text == "" && s.nonEmpty {
			r.unexpected(t, s)
		} else if s.oneOf != nil && !slices.Contains(s.oneOf, t.text) {
			r.unexpected(t, s)
		}
	default:
		r.unexpected(t, s)
	}
}

// asText turns a scalar into the text that the vendor makes of it: 1.10 becomes "1.1", True becomes "true".
func (r *reader) asText(t *token) {
	switch t.kind {
	case kindNull:
		t.text = ""
	case kindBool, kindNumber:
		t.text = pipeline.Text(t.data())
	}
	t.kind = kindString
}

// unexpected reports a scalar that does not fit.
func (r *reader) unexpected(t *token, s *shape) {
	text := t.text
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	if s.oneOf != nil {
		hint := "it can be " + s.wanted()
		if near := nearest(t.text, s.oneOf); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		r.errorf(t, codeValue, hint, "unexpected value '%s' for %s", text, s.name)
		return
	}
	if t.kind == kindNull || text == "" {
		r.errorf(t, codeValue, expectation(s), "unexpected value '': %s is empty, it has to be %s", s.name, s.wanted())
		return
	}
	r.errorf(t, codeValue, expectation(s), "unexpected value '%s': %s is %s", text, s.name, s.wanted())
}

func (r *reader) readMapping(t *token, s *shape, where *expr.Availability) {
	f := s.fields
	if f.choose != nil {
		chosen, reason, hint := f.choose(t)
		if chosen == nil {
			r.errorf(t, codeMissingKey, hint, "%s", reason)
			return
		}
		f = chosen
	}
	kept := t.pairs[:0]
	for _, p := range t.pairs {
		known, ok := f.known[p.key.text]
		switch {
		case ok:
			r.read(p.value, known, where)
		case f.other != nil:
			inner := where
			if s.where != nil {
				inner = s.where
			}
			if r.readKey(p.key, inner); p.key.bad {
				continue
			}
			r.read(p.value, f.other, inner)
		default:
			if strings.Contains(p.key.text, "${{") {
				r.errorf(p.key, codeNoExpr, "", "an expression is not allowed here, as a key of %s", s.name)
				continue
			}
			hint := "the keys of " + s.name + " are: " + strings.Join(f.keys(), ", ")
			if near := nearest(p.key.text, f.keys()); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			if f.tolerant {
				r.diags.Add(pipeline.Diagnostic{Severity: pipeline.Warning, Pos: p.key.pos, Width: p.key.width(), Code: codeUnknownKey,
					Message: fmt.Sprintf("the key %q in %s has no meaning", p.key.text, s.name), Hint: hint})
				continue
			}
			r.errorf(p.key, codeUnknownKey, hint, "unexpected key %q in %s", p.key.text, s.name)
			continue
		}
		kept = append(kept, p)
	}
	t.pairs = kept
	for _, key := range f.required {
		if !t.has(key) {
			r.errorf(t, codeMissingKey, "", "required key %q is missing in %s", key, s.name)
		}
	}
}

// readKey reads a key that the author chooses.
func (r *reader) readKey(key *token, where *expr.Availability) {
	if strings.Contains(key.text, "${{") {
		r.compile(key, where)
		return
	}
	if key.text == "" {
		r.errorf(key, codeValue, "give it a name", "unexpected value '': a key must not be empty")
	}
}

// compile turns text with ${{ }} into an expression, in place.
func (r *reader) compile(t *token, where *expr.Availability) {
	if where == nil {
		r.errorf(t, codeNoExpr, "write the value itself", "an expression is not allowed here")
		return
	}
	template, err := expr.ParseTemplate(t.text, where)
	if err != nil {
		r.exprError(t, err)
		return
	}
	switch {
	case template.Insert:
		t.kind = kindInsert
	case template.Expr != nil:
		t.kind, t.expr, t.composed = kindExpression, template.Expr, template.Formatted
	default:
		t.text = template.Literal
	}
}

// readCondition compiles an `if`.
func (r *reader) readCondition(t *token, bare bool, where *expr.Availability) {
	r.asText(t)
	text, before := t.text, 0
	if bare && strings.TrimSpace(text) != "" {
		// The `pre-if` and `post-if` of an action do not ask for success() unless they name it.
		const prefix = "always() && ("
		inner := strings.TrimSpace(text)
		if strings.HasPrefix(inner, "${{") && strings.HasSuffix(inner, "}}") && strings.Count(inner, "${{") == 1 {
			inner = inner[len("${{") : len(inner)-len("}}")]
		}
		if !strings.Contains(inner, "${{") {
			before = len(prefix) - strings.Index(text, inner)
			text = prefix + inner + ")"
		}
	}
	e, err := expr.Condition(text, where)
	if err != nil {
		var syntax *expr.SyntaxError
		if errors.As(err, &syntax) {
			moved := *syntax
			moved.Offset -= before
			err = &moved
		}
		r.exprError(t, err)
		return
	}
	t.kind, t.expr, t.condition = kindExpression, e, true
}

// exprError reports an error of an expression at its place within the token.
func (r *reader) exprError(t *token, err error) {
	t.bad = true
	var syntax *expr.SyntaxError
	if !errors.As(err, &syntax) {
		r.errorf(t, codeExpr, "", "%v", err)
		return
	}
	r.diags.Add(pipeline.Diagnostic{Pos: r.src.within(t, syntax.Offset), Width: max(1, syntax.Width), Code: codeExpr, Message: syntax.Msg, Hint: syntax.Hint})
}
