package githubactions

import (
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// stepLowering turns the steps of one job or composite action into the model. They share a scope of IDs.
type stepLowering struct {
	*workflow
	ids stepIDs
	// defaults are the `run` mappings of defaults, the nearest first.
	defaults []*token
	// background are the IDs of the background steps so far, folded.
	background map[string]bool
}

func (l *stepLowering) all(t *token) []*pipeline.Step {
	if !t.is(kindSequence) {
		return nil
	}
	l.background = map[string]bool{}
	l.claimIDs(t)
	return l.sequence(t)
}

// claimIDs checks the IDs that the file gives, before any are made up.
func (l *stepLowering) claimIDs(t *token) {
	for _, item := range t.items {
		if parallel := item.get("parallel"); parallel.is(kindSequence) {
			l.claimIDs(parallel)
		}
		id := item.get("id")
		text, ok := id.literal()
		if !ok || id.bad {
			continue
		}
		if problem := checkID(text); problem != "" {
			l.errorf(id, codeID, "", "%s", problem)
			continue
		}
		folded := strings.ToLower(text)
		if l.ids[folded] {
			l.errorf(id, codeDuplicateID, "IDs are compared without case", "the ID %q may not be used more than once within the same job", text)
			continue
		}
		l.ids[folded] = true
	}
}

func (l *stepLowering) sequence(t *token) []*pipeline.Step {
	steps := make([]*pipeline.Step, 0, len(t.items))
	for _, item := range t.items {
		if item.kind == kindMapping {
			steps = append(steps, l.step(item))
		}
	}
	return steps
}

func (l *stepLowering) step(t *token) *pipeline.Step {
	s := &pipeline.Step{
		Pos:             t.pos,
		Name:            t.get("name").value(),
		Env:             t.get("env").envValue(),
		ContinueOnError: t.get("continue-on-error").value(),
		Timeout:         t.get("timeout-minutes").value(),
	}
	if id, ok := t.get("id").literal(); ok {
		s.ID = id
	}
	if b := t.get("background"); b.is(kindBool) {
		s.Background = b.bool
	}
	word, name := "", pipeline.Value{}
	named := func(text string) pipeline.Value { return pipeline.Literal(t.pos, text) }
	switch {
	case t.has("run"):
		word, name = "run", l.script(s, t)
	case t.has("uses"):
		uses := t.get("uses")
		l.checkUses(uses)
		ref, _ := uses.literal()
		word, name = usesWord(ref), named("Run "+ref)
		s.Do = &pipeline.Use{Pos: uses.pos, Ref: ref, With: t.get("with").value()}
	case t.has("wait"):
		word, name = "wait", named("Wait")
		wait := &pipeline.Wait{}
		for _, id := range t.get("wait").list() {
			if text, ok := id.literal(); ok {
				l.checkTarget(id, text)
				wait.IDs = append(wait.IDs, text)
			}
		}
		s.Do = wait
	case t.has("wait-all"):
		word, name = "wait-all", named("Wait for all")
		s.Do = &pipeline.Wait{}
	case t.has("cancel"):
		word, name = "cancel", named("Cancel")
		id := t.get("cancel")
		text, _ := id.literal()
		l.checkTarget(id, text)
		s.Do = &pipeline.CancelStep{ID: text}
	case t.has("parallel"):
		word, name = "parallel", named("Parallel")
		parallel := &pipeline.Parallel{}
		if list := t.get("parallel"); list.is(kindSequence) {
			parallel.Steps = l.sequence(list)
		}
		s.Do = parallel
	}
	switch s.Do.(type) {
	case *pipeline.Wait, *pipeline.CancelStep:
	default:
		s.If = condition(t.get("if"), t.pos)
	}
	if s.Name.IsZero() {
		s.Name = name
	}
	if s.ID == "" {
		s.ID = l.ids.next(word)
	}
	if s.Background {
		l.background[strings.ToLower(s.ID)] = true
	}
	return s
}

// script fills in a step that runs a script and returns the name it has by default.
func (l *stepLowering) script(s *pipeline.Step, t *token) pipeline.Value {
	text := t.get("run").value()
	s.Do = &pipeline.Script{Text: text, Shell: l.setting(t, "shell"), Dir: l.setting(t, "working-directory")}
	if text.Expr() != nil {
		return pipeline.Expression(t.pos, runName{text})
	}
	return pipeline.Literal(t.pos, "Run "+firstLine(text.Source()))
}

// setting returns a setting of a script: the step's own, or that of the nearest defaults.
func (l *stepLowering) setting(t *token, key string) pipeline.Value {
	if own := t.get(key); own != nil {
		return own.value()
	}
	for _, d := range l.defaults {
		if v := d.get(key); v != nil {
			return v.value()
		}
	}
	return pipeline.Value{}
}

// checkTarget checks that an ID names a background step above.
func (l *stepLowering) checkTarget(t *token, id string) {
	folded := strings.ToLower(id)
	switch {
	case t.bad || l.background[folded]:
	case l.ids[folded]:
		l.errorf(t, codeWaitTarget, "only steps with `background: true` that stand above can be waited for or cancelled", "the step %q is not a background step above this one", id)
	default:
		l.errorf(t, codeWaitTarget, "give the step that is meant an id", "there is no step with the ID %q", id)
	}
}

// checkUses checks the syntax of a reference to an action.
func (l *stepLowering) checkUses(t *token) {
	ref, ok := t.literal()
	if !ok || t.bad || isLocal(ref) {
		return
	}
	const formats = "use owner/repo@ref, owner/repo/path@ref, ./path or docker://image"
	if image, ok := strings.CutPrefix(ref, "docker://"); ok {
		if strings.TrimSpace(image) == "" {
			l.errorf(t, codeUses, formats, "docker:// names no image")
		}
		return
	}
	path, version, hasVersion := strings.Cut(ref, "@")
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' })
	switch {
	case !hasVersion && len(parts) >= 2:
		l.errorf(t, codeUses, "write the version behind it, as in "+ref+"@v1", "%q names no version", ref)
	case version == "" || len(parts) < 2:
		l.errorf(t, codeUses, formats, "expected the format owner/repo[/path]@ref, got %q", ref)
	}
}
