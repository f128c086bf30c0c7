package action

import (
	"fmt"
	"sort"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// inputs are what a step gives to its action, defaults included.
type inputs struct {
	object *pipeline.Map
	// given names those that the step itself has, in lower case.
	given map[string]bool
}

// evalInputs evaluates a step's inputs, and the defaults of the others, in the step's scope. Faults are of the file's
// author; warnings are shown.
func evalInputs(step runner.StepContext, u *pipeline.Use, a *action) (inputs, error) {
	in := inputs{object: pipeline.NewMap(), given: map[string]bool{}}
	scope := step.Scope()
	with, err := u.With.Object(scope)
	if err != nil {
		return in, err
	}
	declared, free := a.inputs()
	known := map[string]bool{}
	for _, d := range declared {
		known[strings.ToLower(d.Name)] = true
	}
	var unknown []string
	for _, k := range with.Keys() {
		v, _ := with.Get(k)
		in.given[strings.ToLower(k)] = true
		in.object.Set(k, pipeline.Text(v))
		if !known[strings.ToLower(k)] && !free[strings.ToLower(k)] {
			unknown = append(unknown, k)
		}
	}
	for _, d := range declared {
		given := in.given[strings.ToLower(d.Name)]
		switch {
		case given && d.Deprecated != "":
			warn(step, "input %q is deprecated: %s", d.Name, d.Deprecated)
		case !given && d.Required && d.Default.IsZero():
			warn(step, "input %q of %s is required and not given", d.Name, u.Ref)
		}
		if given {
			continue
		}
		v, err := d.Default.Text(scope)
		if err != nil {
			return in, fmt.Errorf("default of input %q: %w", d.Name, err)
		}
		in.object.Set(d.Name, v)
	}
	// A docker:// image declares nothing: all inputs are its own affair.
	if len(unknown) > 0 && a.ref.image == "" {
		var names []string
		for _, d := range declared {
			names = append(names, d.Name)
		}
		sort.Strings(names)
		list := "it has none"
		if len(names) > 0 {
			list = "it has " + strings.Join(names, ", ")
		}
		warn(step, "%s has no input %s; %s", u.Ref, quoted(unknown), list)
	}
	return in, nil
}

// inputs returns the inputs that an action declares, and those that every action of its kind understands.
func (a *action) inputs() (declared []pipeline.Input, free map[string]bool) {
	if a.builtin != nil {
		return a.builtin.inputs, nil
	}
	if _, ok := a.def.Runs.(*pipeline.ContainerAction); ok {
		free = map[string]bool{"entrypoint": true, "args": true}
	}
	return a.def.Inputs, free
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(q, ", ")
}

// text returns an input's text without the blanks around it, which is how the vendor's toolkit reads inputs.
func (in inputs) text(name string) string {
	v, _ := in.object.Get(name)
	return strings.TrimSpace(pipeline.Text(v))
}

// environ returns the variables by which a process finds its inputs.
func (in inputs) environ() []pipeline.EnvVar {
	out := make([]pipeline.EnvVar, 0, in.object.Len())
	for _, k := range in.object.Keys() {
		v, _ := in.object.Get(k)
		out = append(out, pipeline.EnvVar{Name: "INPUT_" + strings.ToUpper(strings.ReplaceAll(k, " ", "_")), Value: pipeline.Text(v)})
	}
	return out
}

// warn shows a warning at the step's place.
func warn(step runner.StepContext, format string, args ...any) {
	p := step.Step().Pos
	step.Apply(pipeline.Annotate{Annotation: pipeline.Annotation{Level: "warning", Message: fmt.Sprintf(format, args...), File: p.File, Line: p.Line, Col: p.Col}})
}
