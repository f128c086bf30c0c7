package githubactions

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// lowerCall reads a job that calls a workflow, and the workflow.
func (w *workflow) lowerCall(j *pipeline.Job, t *token) *pipeline.Call {
	uses := t.get("uses")
	ref, _ := uses.literal()
	c := &pipeline.Call{Pos: uses.pos, Ref: ref, Inputs: t.get("with").value()}
	secrets := t.get("secrets")
	if text, ok := secrets.literal(); ok && text == "inherit" {
		c.InheritSecrets = true
	} else {
		c.Secrets = secrets.value()
	}
	if uses.bad {
		return c
	}
	local, problem := callSyntax(ref)
	if problem != "" {
		w.errorf(uses, codeUses, "use ./.github/workflows/file.yml, or owner/repo/.github/workflows/file.yml@ref", "%s", problem)
		return c
	}
	file, content, err := w.fetch(ref, local)
	if err != nil {
		d := pipeline.Diagnostic{Pos: uses.pos, Width: uses.width(), Code: codeCall, Message: fmt.Sprintf("the workflow %q cannot be read: %v", ref, err)}
		switch {
		case w.options.Alone:
			d.Severity, d.Message = pipeline.Warning, fmt.Sprintf("the workflow %q is not followed: the file is checked on its own", ref)
		case errors.Is(err, ErrNotFollowed):
			d.Severity, d.Message = pipeline.Warning, fmt.Sprintf("the workflow %q is not followed: %v", ref, err)
		}
		w.diags.Add(d)
		return c
	}
	depth := 1
	for up := w.from; up != nil; up = up.above {
		depth++
		if up.file == file {
			w.errorf(uses, codeCallDepth, "", "the workflow %q calls itself", ref)
			return c
		}
	}
	if file == w.out.File {
		w.errorf(uses, codeCallDepth, "", "the workflow %q calls itself", ref)
		return c
	}
	if depth > w.options.MaxCallDepth {
		w.errorf(uses, codeCallDepth, "call it from a workflow higher up", "nested reusable workflow depth exceeded %d", w.options.MaxCallDepth)
		return c
	}
	if w.tooMany {
		return c
	}
	before := len(*w.diags)
	called := w.session.workflow(file, content, &caller{above: w.from, file: w.out.File, depth: depth, allowed: j.Permissions})
	if !local {
		// Warnings about files of others are for those to read.
		*w.diags = append((*w.diags)[:before], slices.DeleteFunc((*w.diags)[before:], func(d pipeline.Diagnostic) bool { return d.Severity != pipeline.Error })...)
	}
	if called == nil {
		return c
	}
	c.Pipeline = called
	if !callable(called) && !hasErrors((*w.diags)[before:]) {
		w.errorf(uses, codeCall, "add `workflow_call:` under its `on`", "the workflow %q cannot be called: it does not start on workflow_call", ref)
	}
	w.checkInputs(uses, t.get("with"), called)
	w.checkSecrets(uses, secrets, called)
	w.checkPermissions(j, ref, called)
	return c
}

// callSyntax checks the reference to a workflow, and says whether it is a path in the repository.
func callSyntax(ref string) (local bool, problem string) {
	isFile := func(p string) bool { ext := path.Ext(p); return ext == ".yml" || ext == ".yaml" }
	if isLocal(ref) {
		switch p := strings.ReplaceAll(ref, `\`, "/"); {
		case strings.Contains(p, "@"):
			return true, fmt.Sprintf("invalid workflow reference %q: a path in the repository has no version", ref)
		case path.Dir(path.Clean(p)) != ".github/workflows" || !isFile(p):
			return true, fmt.Sprintf("invalid workflow reference %q: workflows are files in .github/workflows", ref)
		}
		return true, ""
	}
	p, version, ok := strings.Cut(ref, "@")
	parts := strings.Split(p, "/")
	switch {
	case !ok || version == "":
		return false, fmt.Sprintf("invalid workflow reference %q: it names no version", ref)
	case len(parts) < 3 || slices.Contains(parts, "") || slices.Contains(parts, "..") || !isFile(p):
		return false, fmt.Sprintf("invalid workflow reference %q", ref)
	}
	return false, ""
}

// fetch returns the content of a called workflow. A path is one of the repository that the calling file comes from.
func (w *workflow) fetch(ref string, local bool) (file string, content []byte, err error) {
	if w.options.Alone {
		return "", nil, errors.ErrUnsupported
	}
	if local {
		p := path.Clean(strings.ReplaceAll(ref, `\`, "/"))
		if repository, version, remote := remoteOf(w.out.File); remote {
			ref = repository + "/" + p + "@" + version
		} else {
			if w.options.FS == nil {
				return "", nil, errors.New("there is no repository to read it from; run in the repository's folder")
			}
			content, err := fs.ReadFile(w.options.FS, p)
			if errors.Is(err, fs.ErrNotExist) {
				return "", nil, fmt.Errorf("there is no file %s in the repository", p)
			}
			return p, content, err
		}
	}
	if w.options.Resolver == nil {
		return "", nil, errors.New("it lies in another repository, and nothing is set up to fetch it; copy it to .github/workflows and call it by ./.github/workflows/…")
	}
	return w.options.Resolver.Workflow(ref)
}

// remoteOf takes the name of a workflow of another repository apart.
func remoteOf(file string) (repository, version string, ok bool) {
	p, version, ok := strings.Cut(file, "@")
	parts := strings.SplitN(p, "/", 3)
	if !ok || len(parts) != 3 {
		return "", "", false
	}
	return parts[0] + "/" + parts[1], version, true
}

func callable(p *pipeline.Pipeline) bool {
	for _, t := range p.Triggers {
		if t.Event == "workflow_call" {
			return true
		}
	}
	return false
}

func hasErrors(ds []pipeline.Diagnostic) bool { return pipeline.Diagnostics(ds).HasErrors() }

// checkInputs holds what a job passes against the inputs that the workflow declares.
func (w *workflow) checkInputs(uses, with *token, called *pipeline.Pipeline) {
	names := make([]string, len(called.Inputs))
	for i, in := range called.Inputs {
		names[i] = in.Name
		given := with.get(in.Name)
		if given == nil {
			if in.Required && in.Default.IsZero() && !with.is(kindExpression) {
				w.errorf(uses, codeCallInput, fmt.Sprintf("add `%s` under `with`", in.Name), "input %s is required, but not provided while calling", in.Name)
			}
			continue
		}
		text, literal := given.literal()
		if !literal || given.bad {
			continue
		}
		switch in.Type {
		case "boolean":
			if given.kind != kindBool {
				w.errorf(given, codeCallInput, "write true or false, without quotes", "the input %s is a boolean, got %q", in.Name, text)
			}
		case "number":
			if _, err := strconv.ParseFloat(text, 64); given.kind != kindNumber && err != nil {
				w.errorf(given, codeCallInput, "", "the input %s is a number, got %q", in.Name, text)
			}
		}
	}
	w.checkNames(with, names, codeCallInput, "input")
}

func (w *workflow) checkSecrets(uses, secrets *token, called *pipeline.Pipeline) {
	if secrets.is(kindString) {
		return
	}
	names := make([]string, len(called.Secrets))
	for i, secret := range called.Secrets {
		names[i] = secret.Name
		if secret.Required && !secrets.has(secret.Name) {
			w.errorf(uses, codeCallSecret, fmt.Sprintf("add `%s` under `secrets`, or write `secrets: inherit`", secret.Name), "secret %s is required, but not provided while calling", secret.Name)
		}
	}
	w.checkNames(secrets, names, codeCallSecret, "secret")
}

// checkNames reports the names given that are not declared.
func (w *workflow) checkNames(given *token, declared []string, code, what string) {
	for _, p := range given.members() {
		known := false
		for _, name := range declared {
			known = known || strings.EqualFold(name, p.key.text)
		}
		if known || p.key.kind != kindString || p.key.bad {
			continue
		}
		hint := fmt.Sprintf("it declares no %ss", what)
		if len(declared) > 0 {
			hint = "it declares: " + strings.Join(declared, ", ")
		}
		if near := nearest(p.key.text, declared); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		w.errorf(p.key, code, hint, "invalid %s: %s is not defined in the called workflow", what, p.key.text)
	}
}
