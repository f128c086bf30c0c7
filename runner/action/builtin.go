package action

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// builtin stands for an action of any version.
type builtin struct {
	// inputs are all that the current version documents; defaults may not use expressions.
	inputs []pipeline.Input
	run    func(ctx context.Context, c *call) (pipeline.Status, error)
}

// builtins returns the actions that are replaced, by their names in lower case.
var builtins = sync.OnceValue(func() map[string]*builtin {
	return map[string]*builtin{
		"actions/checkout":              checkoutAction,
		"actions/cache":                 cacheAction,
		"actions/cache/restore":         cacheRestoreAction,
		"actions/cache/save":            cacheSaveAction,
		"actions/upload-artifact":       uploadAction,
		"actions/upload-artifact/merge": mergeAction,
		"actions/download-artifact":     downloadAction,
		"actions/setup-go":              setupGoAction,
		"actions/setup-node":            setupNodeAction,
		"actions/setup-python":          setupPythonAction,
	}
})

// input declares one input of a built-in action.
func input(name, def string) pipeline.Input {
	i := pipeline.Input{Name: name}
	if def != "" {
		i.Default = pipeline.Literal(pipeline.Pos{}, def)
	}
	return i
}

func required(name string) pipeline.Input { return pipeline.Input{Name: name, Required: true} }

// call is one step that runs a built-in action. The error of a built-in's run is shown as the step's failure.
type call struct {
	*jobActions
	step    runner.StepContext
	in      inputs
	ref     reference
	builtin *builtin
}

func (c *call) ws() runner.Workspace { return c.job.Workspace() }

// text returns an input, without the blanks around it.
func (c *call) text(name string) string { return c.in.text(name) }

// boolean returns an input as a truth value. The words allowed are those of YAML's core schema, as in the vendor's toolkit.
func (c *call) boolean(name string) (bool, error) {
	switch v := c.text(name); v {
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE", "":
		return false, nil
	default:
		return false, fmt.Errorf("input %q is %q; it must be true or false", name, v)
	}
}

// booleans reads several inputs at once.
func (c *call) booleans(to map[string]*bool) error {
	for name, b := range to {
		v, err := c.boolean(name)
		if err != nil {
			return err
		}
		*b = v
	}
	return nil
}

// number returns an input as a whole number of at least zero; empty is def.
func (c *call) number(name string, def int) (int, error) {
	v := c.text(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("input %q is %q; it must be a whole number, 0 or more", name, v)
	}
	return n, nil
}

// lines returns an input's lines that are not empty.
func (c *call) lines(name string) []string {
	var out []string
	for _, l := range strings.Split(c.text(name), "\n") {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

func (c *call) output(name, value string) {
	c.step.Apply(pipeline.SetOutput{Name: name, Value: value})
}

func (c *call) logf(format string, args ...any) { c.step.Log(fmt.Sprintf(format, args...)) }

func (c *call) warnf(format string, args ...any) { warn(c.step, format, args...) }

// path returns a path of the job: relative ones belong to the work folder, "~" is the home folder.
func (c *call) path(p string) string {
	m := c.ws().Machine()
	if p == "~" || strings.HasPrefix(p, "~/") {
		p = c.home() + p[1:]
	}
	if !path.IsAbs(p) {
		p = path.Join(m.Workspace, p)
	}
	return path.Clean(p)
}

func (c *call) home() string {
	if h := c.ws().Machine().Home; h != "" {
		return h
	}
	return valueOf(c.step.Environ(nil), "HOME")
}

// exec runs a program, out of sight, and returns what it prints; empty where it fails.
func (c *call) exec(ctx context.Context, argv ...string) string {
	return c.jobActions.output(ctx, c.step.Environ(nil), argv...)
}

// execIn is exec with further variables.
func (c *call) execIn(ctx context.Context, extra []pipeline.EnvVar, argv ...string) string {
	return c.jobActions.output(ctx, c.step.Environ(extra), argv...)
}

// look finds a program on the step's PATH.
func (c *call) look(ctx context.Context, program string) (string, bool) {
	return c.ws().LookPath(ctx, program, valueOf(c.step.Environ(nil), "PATH"))
}

// succeeded is the condition success(): of a post step that runs only where all went well.
type succeeded struct{}

func (succeeded) Eval(s *pipeline.Scope) (pipeline.Data, error) {
	return (s.Current == "" || s.Current == pipeline.Success) && !s.Cancelled, nil
}

func (succeeded) String() string { return "success()" }

// after registers a post step of a built-in action.
func (c *call) after(cond pipeline.Value, run func(ctx context.Context, c *call) (pipeline.Status, error)) {
	c.step.After(runner.Hook{
		Step: c.step.Step(), Name: "Post " + nameOf(c.step.Step()), If: cond,
		Run: func(ctx context.Context, post runner.StepContext) (pipeline.Status, error) {
			later := *c
			later.step = post
			status, err := run(ctx, &later)
			if err != nil {
				return post.Fail("%v", err)
			}
			return status, nil
		},
	})
}

var onSuccess = pipeline.Expression(pipeline.Pos{}, succeeded{})
