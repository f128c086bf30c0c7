package githubactions

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// maxLegs is how many legs a matrix may have at the vendor.
const maxLegs = 256

// matrix computes the legs of `strategy.matrix`. Source: "Running variations of jobs in a workflow" of the vendor's documentation:
// the vectors are crossed, the first varying slowest; exclude takes combinations out; then each entry of include is added to
// the combinations whose values it does not change, or becomes a combination of its own.
type matrix struct {
	token *token
	// whole: the token is the strategy, not the matrix.
	whole bool
}

var _ pipeline.Matrix = (*matrix)(nil)

// Expand implements [pipeline.Matrix].
func (m *matrix) Expand(s *pipeline.Scope) ([]pipeline.Leg, error) {
	d, err := evalToken(s, m.token, false)
	if err != nil {
		return nil, m.wrap(err)
	}
	if m.whole {
		o, ok := d.(pipeline.Object)
		if !ok {
			return nil, m.notMapping("strategy", d)
		}
		if d, _ = o.Get("matrix"); d == nil {
			return []pipeline.Leg{{Values: pipeline.NewMap()}}, nil
		}
	}
	if hasUnknown(d) {
		return nil, pipeline.ErrUnknown
	}
	o, ok := d.(pipeline.Object)
	if !ok {
		return nil, m.notMapping("matrix", d)
	}
	legs, err := expandMatrix(o)
	if err != nil {
		return nil, m.wrap(err)
	}
	return legs, nil
}

func (m *matrix) wrap(err error) error {
	if _, ok := err.(*pipeline.EvalError); ok {
		return err
	}
	return &pipeline.EvalError{Pos: m.token.pos, Err: err}
}

func (m *matrix) notMapping(what string, d pipeline.Data) error {
	if pipeline.IsUnknown(d) {
		return pipeline.ErrUnknown
	}
	return m.wrap(fmt.Errorf("%s has to be a mapping, got %q", what, pipeline.Text(d)))
}

// hasUnknown reports whether some part of the data is only known in a run.
func hasUnknown(d pipeline.Data) bool {
	switch d := d.(type) {
	case []any:
		return slices.ContainsFunc(d, hasUnknown)
	case pipeline.Object:
		return slices.ContainsFunc(d.Keys(), func(k string) bool { v, _ := d.Get(k); return hasUnknown(v) })
	}
	return pipeline.IsUnknown(d)
}

// vector is one dimension of a matrix.
type vector struct {
	name   string
	values []any
}

// leg is a combination being built.
type leg struct{ values *pipeline.Map }

func expandMatrix(o pipeline.Object) ([]pipeline.Leg, error) {
	var vectors []vector
	var include, exclude []pipeline.Object
	for _, key := range o.Keys() {
		d, _ := o.Get(key)
		list, isList := d.([]any)
		switch strings.ToLower(key) {
		case "include", "exclude":
			if d == nil {
				continue
			}
			if !isList {
				return nil, fmt.Errorf("%s of the matrix has to be a sequence of mappings, got %q", key, pipeline.Text(d))
			}
			for _, e := range list {
				entry, ok := e.(pipeline.Object)
				if !ok {
					return nil, fmt.Errorf("an entry of %s of the matrix has to be a mapping, got %q", key, pipeline.Text(e))
				}
				if strings.EqualFold(key, "include") {
					include = append(include, entry)
				} else {
					exclude = append(exclude, entry)
				}
			}
		default:
			if !isList {
				return nil, fmt.Errorf("the vector %q of the matrix has to be a sequence, got %q", key, pipeline.Text(d))
			}
			if len(list) == 0 {
				return nil, fmt.Errorf("the vector %q of the matrix does not contain any values", key)
			}
			vectors = append(vectors, vector{key, list})
		}
	}
	if len(vectors) > maxLegs {
		return nil, fmt.Errorf("the matrix has %d vectors, at most %d are allowed", len(vectors), maxLegs)
	}
	if len(vectors) == 0 && len(include) == 0 {
		return nil, fmt.Errorf("the matrix needs at least one vector or an entry of include")
	}
	for _, e := range exclude {
		for _, key := range e.Keys() {
			if !slices.ContainsFunc(vectors, func(v vector) bool { return strings.EqualFold(v.name, key) }) {
				return nil, fmt.Errorf("exclude names the key %q, which is none of the matrix (%s)", key, vectorNames(vectors))
			}
		}
	}
	legs, err := cross(vectors, exclude)
	if err != nil {
		return nil, err
	}
	legs = addIncludes(legs, vectors, include)
	if len(legs) > maxLegs {
		return nil, fmt.Errorf("the matrix has %d legs, at most %d are allowed", len(legs), maxLegs)
	}
	if len(legs) == 0 {
		return nil, fmt.Errorf("exclude leaves no combination of the matrix")
	}
	return nameLegs(legs), nil
}

func vectorNames(vectors []vector) string {
	if len(vectors) == 0 {
		return "it has no vectors"
	}
	names := make([]string, len(vectors))
	for i, v := range vectors {
		names[i] = v.name
	}
	return "it has " + strings.Join(names, ", ")
}

// cross returns the combinations of the vectors that no entry of exclude matches.
func cross(vectors []vector, exclude []pipeline.Object) ([]leg, error) {
	if len(vectors) == 0 {
		return nil, nil
	}
	// Combinations are counted before they are made: what exclude takes out may be far more than is left, but not without bound.
	const maxCombinations, maxComparisons = 100_000, 10_000_000
	total := 1
	for _, v := range vectors {
		if total *= len(v.values); total > maxCombinations || total*len(exclude) > maxComparisons {
			return nil, fmt.Errorf("the matrix has too many combinations before exclude; at most %d legs are allowed", maxLegs)
		}
	}
	var legs []leg
	for n := range total {
		values, rest := make([]any, len(vectors)), n
		for i := len(vectors) - 1; i >= 0; i-- {
			size := len(vectors[i].values)
			values[i], rest = vectors[i].values[rest%size], rest/size
		}
		if excluded(vectors, values, exclude) {
			continue
		}
		if len(legs) >= maxLegs {
			return nil, fmt.Errorf("the matrix has more than %d legs", maxLegs)
		}
		m := pipeline.NewMap()
		for i, v := range vectors {
			m.Set(v.name, values[i])
		}
		legs = append(legs, leg{m})
	}
	return legs, nil
}

func excluded(vectors []vector, values []any, exclude []pipeline.Object) bool {
	for _, e := range exclude {
		all := true
		for i, v := range vectors {
			if want, ok := e.Get(v.name); ok && !covers(want, values[i]) {
				all = false
				break
			}
		}
		if all && len(e.Keys()) > 0 {
			return true
		}
	}
	return false
}

// covers reports whether a value has all that want asks for: the same scalar, or the same members as far as want has them.
func covers(want, have pipeline.Data) bool {
	switch want := want.(type) {
	case pipeline.Object:
		o, ok := have.(pipeline.Object)
		if !ok {
			return false
		}
		for _, k := range want.Keys() {
			w, _ := want.Get(k)
			h, ok := o.Get(k)
			if !ok || !covers(w, h) {
				return false
			}
		}
		return true
	case []any:
		list, ok := have.([]any)
		return ok && slices.EqualFunc(want, list, covers)
	}
	switch have.(type) {
	case pipeline.Object, []any:
		return false
	}
	return want == have
}

// addIncludes adds the entries of include to the combinations that they fit, or as legs of their own.
func addIncludes(legs []leg, vectors []vector, include []pipeline.Object) []leg {
	crossed := len(legs)
	// The values that include adds must not decide what a later entry fits.
	original := make([]*pipeline.Map, crossed)
	for i := range legs {
		original[i] = legs[i].values.Clone()
	}
	for _, entry := range include {
		fits := false
		for i := range crossed {
			if !extends(entry, original[i]) {
				continue
			}
			fits = true
			for _, k := range entry.Keys() {
				if _, ok := original[i].Get(k); !ok {
					v, _ := entry.Get(k)
					legs[i].values.Set(k, v)
				}
			}
		}
		if !fits {
			m := pipeline.NewMap()
			m.Merge(entry)
			legs = append(legs, leg{m})
		}
		if len(legs) > maxLegs {
			break // reported by the caller
		}
	}
	return legs
}

// extends reports whether an entry changes no value of a combination.
func extends(entry pipeline.Object, combination *pipeline.Map) bool {
	for _, k := range entry.Keys() {
		v, _ := entry.Get(k)
		if have, ok := combination.Get(k); ok && !(covers(v, have) && covers(have, v)) {
			return false
		}
	}
	return true
}

// nameLegs gives each leg the suffix that people know it by: its values in their order.
func nameLegs(legs []leg) []pipeline.Leg {
	out := make([]pipeline.Leg, len(legs))
	seen := map[string]int{}
	for i, l := range legs {
		var words []string
		for _, k := range l.values.Keys() {
			v, _ := l.values.Get(k)
			words = leafTexts(words, v)
		}
		suffix := ""
		if len(words) > 0 {
			suffix = " (" + strings.Join(words, ", ") + ")"
		}
		// Legs with the same values are told apart by a number.
		if seen[suffix]++; seen[suffix] > 1 {
			suffix += " #" + strconv.Itoa(seen[suffix])
		}
		out[i] = pipeline.Leg{Suffix: suffix, Values: l.values}
	}
	return out
}

// leafTexts appends the texts of all scalars within a value that are not empty.
func leafTexts(words []string, d pipeline.Data) []string {
	switch d := d.(type) {
	case []any:
		for _, e := range d {
			words = leafTexts(words, e)
		}
	case pipeline.Object:
		for _, k := range d.Keys() {
			v, _ := d.Get(k)
			words = leafTexts(words, v)
		}
	default:
		if text := pipeline.Text(d); text != "" {
			words = append(words, text)
		}
	}
	return words
}
