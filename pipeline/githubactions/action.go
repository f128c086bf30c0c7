package githubactions

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
)

// nodeRuntimes are the JavaScript runtimes that actions ask for, also those that the vendor has retired: their actions run on
// the node at hand.
var nodeRuntimes = []string{"node12", "node16", "node20", "node24"}

// actionShape is the shape of action.yml, after "Metadata syntax for GitHub Actions". Keys that the syntax does not have are
// ignored at the top and in inputs, as the vendor's runner does.
var actionShape = sync.OnceValue(func() *shape {
	anything := &shape{name: "a value", anything: true}
	input := objectShape("an input", map[string]*shape{
		"description":        anything,
		"required":           anything,
		"deprecationMessage": textShape("deprecationMessage"),
		"default":            textShape("default").with(whereActionInput()),
	}).orNull()
	input.fields.other = anything
	root := objectShape("the action", map[string]*shape{
		"name":        textShape("name"),
		"description": textShape("description"),
		"author":      textShape("author"),
		"inputs":      mapShape("inputs", input).orNull(),
		"outputs": mapShape("outputs", objectShape("an output", map[string]*shape{
			"description": textShape("description"),
			"value":       textShape("value").with(whereActionOutput()),
		}).orNull()).orNull(),
		"runs": runsShape(),
	}, "runs")
	root.fields.other = anything
	return root
})

func runsShape() *shape {
	condition := (&shape{name: "if", condition: true, bare: true}).with(whereActionIf())
	using := nonEmptyShape("using")
	container := whereContainerAction()
	node := &fields{required: []string{"main"}, known: map[string]*shape{
		"using": using, "main": nonEmptyShape("main"), "pre": nonEmptyShape("pre"), "post": nonEmptyShape("post"), "pre-if": condition, "post-if": condition,
	}}
	composite := &fields{required: []string{"steps"}, known: map[string]*shape{"using": using, "steps": compositeStepsShape()}}
	docker := &fields{required: []string{"image"}, known: map[string]*shape{
		"using": using, "image": nonEmptyShape("image"), "entrypoint": nonEmptyShape("entrypoint"), "pre-entrypoint": nonEmptyShape("pre-entrypoint"),
		"post-entrypoint": nonEmptyShape("post-entrypoint"), "pre-if": condition, "post-if": condition,
		"args": {name: "args", items: textShape("an argument"), where: container},
		"env":  mapShape("env", textShape("a variable")).with(container),
	}}
	return &shape{name: "runs", fields: &fields{choose: func(t *token) (f *fields, reason, hint string) {
		text, ok := t.get("using").literal()
		using := strings.ToLower(text)
		switch {
		case !ok || using == "":
			return nil, "required key \"using\" is missing in runs", misspelt(t, []string{"using"})
		case using == "composite":
			return composite, "", ""
		case using == "docker":
			return docker, "", ""
		case slices.Contains(nodeRuntimes, using):
			return node, "", ""
		}
		all := append([]string{"composite", "docker"}, nodeRuntimes...)
		if near := nearest(text, all); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return nil, fmt.Sprintf("runs.using %q is none of: %s", text, strings.Join(all, ", ")), hint
	}}}
}

func compositeStepsShape() *shape {
	where := whereActionStep()
	common := func(more map[string]*shape, required ...string) *fields {
		more["name"] = textShape("name").with(where)
		more["id"] = nonEmptyShape("id")
		more["if"] = (&shape{name: "if", condition: true}).with(whereActionStepIf())
		more["continue-on-error"] = boolShape("continue-on-error").with(where)
		more["env"] = mapShape("env", textShape("a variable")).with(where)
		return &fields{known: more, required: required}
	}
	run := common(map[string]*shape{
		"run": textShape("run").with(where), "shell": nonEmptyShape("shell").with(where), "working-directory": textShape("working-directory").with(where),
	}, "shell")
	uses := common(map[string]*shape{"uses": nonEmptyShape("uses"), "with": mapShape("with", textShape("an input")).with(where)})
	return &shape{name: "steps", items: &shape{name: "a step of an action", fields: &fields{choose: func(t *token) (f *fields, reason, hint string) {
		switch {
		case t.has("run"):
			return run, "", ""
		case t.has("uses"):
			return uses, "", ""
		}
		return nil, "a step of an action needs one of the keys run and uses", misspelt(t, []string{"run", "uses"})
	}}}}
}

// ParseAction reads an action's action.yml. file is its path, for places and messages. The definition is nil when one of the
// diagnostics is an error.
func ParseAction(file string, content []byte) (*pipeline.ActionDefinition, pipeline.Diagnostics) {
	var diags pipeline.Diagnostics
	root, src := load(file, content, DefaultMaxFileSize, &diags)
	if root == nil {
		return nil, diags
	}
	r := &reader{src: src, diags: &diags}
	r.read(root, actionShape(), nil)
	var a *pipeline.ActionDefinition
	if root.kind == kindMapping {
		session := &session{diags: &diags}
		w := &workflow{session: session, src: src, diags: &diags, root: root, out: &pipeline.Pipeline{File: file}}
		a = w.lowerAction()
	}
	diags.Sort()
	if diags.HasErrors() {
		return nil, diags
	}
	return a, diags
}

func (w *workflow) lowerAction() *pipeline.ActionDefinition {
	a := &pipeline.ActionDefinition{Pos: w.root.pos}
	a.Name, _ = w.root.get("name").literal()
	a.Description, _ = w.root.get("description").literal()
	for _, p := range w.root.get("inputs").members() {
		in := pipeline.Input{Pos: p.key.pos, Name: p.key.text, Default: p.value.get("default").value()}
		in.Description, _ = p.value.get("description").literal()
		in.Deprecated, _ = p.value.get("deprecationMessage").literal()
		if required, ok := p.value.get("required").literal(); ok {
			in.Required = strings.EqualFold(required, "true")
		}
		a.Inputs = append(a.Inputs, in)
	}
	runs := w.root.get("runs")
	using, _ := runs.get("using").literal()
	text := func(key string) string { s, _ := runs.get(key).literal(); return s }
	optional := func(key string) pipeline.Value {
		if t := runs.get(key); t != nil && t.expr != nil {
			return t.expression()
		}
		return alwaysValue(runs.pos)
	}
	composite := strings.EqualFold(using, "composite")
	for _, p := range w.root.get("outputs").members() {
		o := pipeline.Output{Pos: p.key.pos, Name: p.key.text, Value: p.value.get("value").value()}
		o.Description, _ = p.value.get("description").literal()
		if composite && o.Value.IsZero() {
			w.warnf(p.key, codeAction, "add `value`", "the output %q of a composite action has no value", o.Name)
		}
		a.Outputs = append(a.Outputs, o)
	}
	switch {
	case runs == nil || runs.bad:
	case composite:
		steps := &stepLowering{workflow: w, ids: stepIDs{}}
		a.Runs = &pipeline.CompositeAction{Steps: steps.all(runs.get("steps"))}
	case strings.EqualFold(using, "docker"):
		c := &pipeline.ContainerAction{
			Image: text("image"), Entrypoint: text("entrypoint"), PreEntrypoint: text("pre-entrypoint"), PostEntrypoint: text("post-entrypoint"),
			PreIf: optional("pre-if"), PostIf: optional("post-if"), Env: runs.get("env").envValue(),
		}
		for _, arg := range runs.get("args").list() {
			c.Args = append(c.Args, arg.value())
		}
		if image := runs.get("image"); image != nil && !image.bad && !strings.HasPrefix(c.Image, "docker://") && outside(c.Image) {
			w.errorf(image, codeAction, "", "the Dockerfile %q lies outside of the action's folder", c.Image)
		}
		a.Runs = c
	default:
		a.Runs = &pipeline.NodeAction{Using: strings.ToLower(using), Pre: text("pre"), Main: text("main"), Post: text("post"), PreIf: optional("pre-if"), PostIf: optional("post-if")}
	}
	return a
}

// outside reports whether a relative path leads out of its folder.
func outside(p string) bool {
	p = path.Clean(strings.ReplaceAll(p, `\`, "/"))
	return path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../")
}
