package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// JobName returns the display name of a job's leg: its name, or its key. A name that is an expression is taken as
// evaluated; otherwise the leg's suffix goes behind it, so that legs can be told apart. scope may be nil.
func JobName(job *Job, leg Leg, scope *Scope) string {
	if job.Name.IsZero() {
		return job.Key + leg.Suffix
	}
	if job.Name.Expr() == nil {
		return job.Name.Source() + leg.Suffix
	}
	if scope != nil {
		s := *scope
		s.Matrix = leg.Values
		if name, err := job.Name.Text(&s); err == nil && strings.TrimSpace(name) != "" {
			return name
		}
	}
	return job.Key + leg.Suffix
}

// KeepLegs keeps the legs that have, for each name of want that they know at all, the value wanted.
func KeepLegs(legs []Leg, want map[string]string) []Leg {
	if len(want) == 0 {
		return legs
	}
	return slices.DeleteFunc(slices.Clone(legs), func(l Leg) bool {
		for k, v := range want {
			if have, ok := l.Values.Get(k); ok && Text(have) != v {
				return true
			}
		}
		return false
	})
}

// BindInputs checks the values given against the inputs declared, converts them to the declared types and fills in
// defaults, which are evaluated in scope. Names are compared without case. The errors name the input; all that is wrong is in the
// one error, separated by "; ".
func BindInputs(declared []Input, given Object, scope *Scope) (*Map, error) {
	out := NewMap()
	var wrong []string
	if given != nil {
		for _, k := range given.Keys() {
			if !slices.ContainsFunc(declared, func(i Input) bool { return strings.EqualFold(i.Name, k) }) {
				wrong = append(wrong, fmt.Sprintf("unknown input %q (%s)", k, knownInputs(declared)))
			}
		}
	}
	for _, in := range declared {
		var v Data
		ok := false
		if given != nil {
			v, ok = lookupFold(given, in.Name)
		}
		if !ok {
			if in.Required && in.Default.IsZero() {
				wrong = append(wrong, fmt.Sprintf("input %q is required", in.Name))
				continue
			}
			var err error
			if v, err = in.Default.Eval(scope); err != nil {
				return nil, err
			}
		}
		v, err := convertInput(in, v)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		out.Set(in.Name, v)
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return out, nil
}

func knownInputs(declared []Input) string {
	if len(declared) == 0 {
		return "there are none"
	}
	names := make([]string, len(declared))
	for i, in := range declared {
		names[i] = in.Name
	}
	return "there are " + strings.Join(names, ", ")
}

func lookupFold(o Object, name string) (Data, bool) {
	if v, ok := o.Get(name); ok {
		return v, true
	}
	for _, k := range o.Keys() {
		if strings.EqualFold(k, name) {
			return o.Get(k)
		}
	}
	return nil, false
}

// convertInput brings a value to the input's type; absent becomes the type's zero value.
func convertInput(in Input, v Data) (Data, error) {
	if IsUnknown(v) {
		return v, nil
	}
	switch in.Type {
	case "boolean":
		switch b := v.(type) {
		case nil:
			return false, nil
		case bool:
			return b, nil
		}
		b, err := strconv.ParseBool(strings.ToLower(Text(v)))
		if err != nil {
			return nil, fmt.Errorf("input %q must be true or false, got %q", in.Name, Text(v))
		}
		return b, nil
	case "number":
		switch n := v.(type) {
		case nil:
			return 0.0, nil
		case float64:
			return n, nil
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(Text(v)), 64)
		if err != nil {
			return nil, fmt.Errorf("input %q must be a number, got %q", in.Name, Text(v))
		}
		return n, nil
	case "choice":
		s := Text(v)
		if v == nil && len(in.Options) > 0 {
			s = in.Options[0]
		}
		if len(in.Options) > 0 && !slices.Contains(in.Options, s) {
			return nil, fmt.Errorf("input %q must be one of %s, got %q", in.Name, strings.Join(in.Options, ", "), s)
		}
		return s, nil
	}
	return Text(v), nil
}
