package githubactions

import (
	"encoding/json"
	"fmt"
	"strings"
)

// lintExcludeKeys warns of entries of exclude whose keys the matrix does not have, and reports whether there are any.
func (w *workflow) lintExcludeKeys(m *token) bool {
	if len(m.pairs) > maxLegs {
		return false // refused when it expands
	}
	var names []string
	for _, p := range m.pairs {
		if p.key.kind != kindString {
			return false
		}
		if !matrixKeyword(p.key.text) {
			names = append(names, p.key.text)
		}
	}
	found := false
	for _, e := range m.get("exclude").list() {
		for _, p := range e.members() {
			if p.key.kind != kindString || m.has(p.key.text) {
				continue
			}
			found = true
			hint := "the job will fail; the matrix has " + strings.Join(names, ", ")
			if near := nearest(p.key.text, names); near != "" {
				hint = fmt.Sprintf("the job will fail; did you mean %q?", near)
			}
			w.warnf(p.key, codeMatrixExclude, hint, "%q in exclude section does not exist in matrix", p.key.text)
		}
	}
	return found
}

// lintMatrix warns of values that stand twice in a vector and of entries of exclude that match no value.
func (w *workflow) lintMatrix(m *token) {
	if len(m.members()) > maxLegs {
		return
	}
	for _, p := range m.members() {
		if p.key.kind != kindString || matrixKeyword(p.key.text) || !p.value.is(kindSequence) || !p.value.constant() {
			continue
		}
		if len(p.value.items) > maxLegs {
			continue
		}
		for i, item := range p.value.items {
			for _, before := range p.value.items[:i] {
				if same(item, before) {
					w.warnf(item, codeMatrixDuplicate, fmt.Sprintf("the same value is at %d:%d", before.pos.Line, before.pos.Col),
						"duplicate value %s is found in matrix %q", shown(item), p.key.text)
					break
				}
			}
		}
	}
	for _, e := range m.get("exclude").list() {
		for _, p := range e.members() {
			vector := m.get(p.key.text)
			if p.key.kind != kindString || matrixKeyword(p.key.text) || !vector.is(kindSequence) || len(vector.items) > maxLegs || !vector.constant() || !p.value.constant() {
				continue
			}
			found := false
			for _, item := range vector.items {
				found = found || covers(p.value.data(), item.data())
			}
			if !found {
				w.warnf(p.value, codeMatrixExclude, "the values are "+shown(vector), "value %s in exclude does not match in matrix %q combinations", shown(p.value), p.key.text)
			}
		}
	}
}

func same(a, b *token) bool {
	x, y := a.data(), b.data()
	return covers(x, y) && covers(y, x)
}

// shown returns a value for messages, as JSON, shortened.
func shown(t *token) string {
	b, err := json.Marshal(t.data())
	if err != nil || len(b) > 80 {
		return t.kind.String()
	}
	return string(b)
}
