package githubactions

import (
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

func (w *workflow) lowerJob(key, t *token) *pipeline.Job {
	j := &pipeline.Job{
		Pos:             key.pos,
		Key:             key.text,
		Name:            t.get("name").value(),
		If:              condition(t.get("if"), key.pos),
		RunsOn:          w.runsOn(t.get("runs-on")),
		Container:       w.container(t.get("container")),
		Env:             t.get("env").envValue(),
		ContinueOnError: t.get("continue-on-error").value(),
		Timeout:         t.get("timeout-minutes").value(),
		CancelTimeout:   t.get("cancel-timeout-minutes").value(),
		Concurrency:     concurrency(t.get("concurrency")),
		Environment:     environment(t.get("environment")),
		Permissions:     permissions(t.get("permissions")),
		Strategy:        w.strategy(t.get("strategy")),
	}
	if j.Permissions == nil {
		j.Permissions = w.out.Permissions
	}
	if j.Permissions == nil && w.from != nil {
		j.Permissions = w.from.allowed
	}
	for _, n := range t.get("needs").list() {
		if key, ok := n.literal(); ok {
			j.Needs = append(j.Needs, pipeline.Need{Pos: n.pos, Key: key})
		}
	}
	for _, p := range t.get("services").members() {
		if p.value.is(kindMapping) && !p.value.bad && !p.value.has("image") {
			w.errorf(p.value, codeImage, "", "container image cannot be empty: the service %q has none", p.key.text)
		}
		j.Services = append(j.Services, pipeline.Service{Pos: p.key.pos, Name: p.key.text, Container: p.value.value()})
	}
	for _, p := range t.get("outputs").members() {
		j.Outputs = append(j.Outputs, pipeline.Output{Pos: p.key.pos, Name: p.key.text, Value: p.value.value()})
	}
	if snapshot := t.get("snapshot"); snapshot != nil {
		w.warnf(snapshot, codeSnapshot, "the job runs without it", "snapshots of the runner cannot be made here")
	}
	if t.has("uses") {
		j.Call = w.lowerCall(j, t)
		return j
	}
	steps := &stepLowering{workflow: w, ids: stepIDs{}, defaults: []*token{t.get("defaults").get("run"), w.root.get("defaults").get("run")}}
	j.Steps = steps.all(t.get("steps"))
	return j
}

// condition returns an `if`, with the default where the file has none.
func condition(t *token, pos pipeline.Pos) pipeline.Value {
	if t == nil || t.expr == nil {
		return successValue(pos)
	}
	return t.expression()
}

// runsOn reads the labels: a text, a list, or the labels of a mapping; an expression may yield any of them. A group of
// runners means nothing here.
func (w *workflow) runsOn(t *token) pipeline.Value {
	switch {
	case t == nil || t.bad:
		return pipeline.Value{}
	case t.kind == kindMapping:
		if group := t.get("group"); group != nil {
			w.checkGroup(group)
		}
		if labels := t.get("labels"); labels != nil {
			return labels.value()
		}
		return pipeline.Literal(t.pos, []any{})
	case t.kind == kindExpression && !t.composed:
		return memberOr(t.value(), "labels", "labels")
	}
	return t.value()
}

// checkGroup checks the prefix of a runner group's name.
func (w *workflow) checkGroup(t *token) {
	name, ok := t.literal()
	if !ok || !strings.Contains(name, "/") {
		return
	}
	prefix, group, _ := strings.Cut(name, "/")
	switch prefix {
	case "organization", "org", "enterprise", "ent":
		if group == "" || strings.Contains(group, "/") {
			w.errorf(t, codeGroup, "", "invalid runs-on group name %q", name)
		}
	default:
		w.errorf(t, codeGroup, "use the prefix organization/ or enterprise/ to name one group", "invalid runs-on group name %q", name)
	}
}

func (w *workflow) container(t *token) pipeline.Value {
	if t.is(kindMapping) && !t.bad && !t.has("image") {
		w.errorf(t, codeImage, "", "container image cannot be empty")
	}
	return t.value()
}

// environment reads `environment`, a text or a mapping; an expression may yield either.
func environment(t *token) *pipeline.Environment {
	switch {
	case t == nil || t.bad || t.kind == kindNull:
		return nil
	case t.kind == kindMapping:
		return &pipeline.Environment{Pos: t.pos, Name: t.get("name").value(), URL: t.get("url").value()}
	case t.kind == kindExpression && !t.composed:
		return &pipeline.Environment{Pos: t.pos, Name: memberOr(t.value(), "name", "name"), URL: memberOr(t.value(), "url", "name")}
	}
	return &pipeline.Environment{Pos: t.pos, Name: t.value()}
}

// strategy reads `strategy`; fail-fast is on unless the file says otherwise.
func (w *workflow) strategy(t *token) *pipeline.Strategy {
	switch {
	case t == nil || t.bad || t.kind == kindNull:
		return nil
	case t.kind == kindExpression:
		v := t.value()
		return &pipeline.Strategy{Pos: t.pos, Matrix: &matrix{token: t, whole: true}, FailFast: orTrue(memberOr(v, "fail-fast", "")), MaxParallel: memberOr(v, "max-parallel", "")}
	}
	s := &pipeline.Strategy{Pos: t.pos, FailFast: pipeline.Literal(t.pos, true), MaxParallel: t.get("max-parallel").value()}
	if f := t.get("fail-fast"); f != nil && !f.bad {
		s.FailFast = f.value()
	}
	m := t.get("matrix")
	switch {
	case m == nil || m.bad:
		// A strategy without a matrix has one leg, with nothing in the context matrix.
		return nil
	case m.constant():
		w.checkMatrix(m)
	}
	for _, p := range m.members() {
		if p.value.is(kindSequence) && len(p.value.items) == 0 && p.key.kind == kindString && !matrixKeyword(p.key.text) {
			w.errorf(p.value, codeMatrix, "", "the vector %q of the matrix does not contain any values", p.key.text)
		}
	}
	s.Matrix = &matrix{token: m}
	return s
}

func matrixKeyword(key string) bool {
	return strings.EqualFold(key, "include") || strings.EqualFold(key, "exclude")
}

// checkMatrix reports what is wrong with a matrix without expressions, which is all known before a run. An entry of exclude
// with a key that the matrix does not have fails the job at the vendor, not the file, so it is a warning here.
func (w *workflow) checkMatrix(m *token) {
	for _, p := range m.pairs {
		if p.value.bad || p.key.bad || !matrixKeyword(p.key.text) && len(p.value.items) == 0 {
			return // reported already
		}
	}
	if w.lintExcludeKeys(m) {
		return
	}
	if _, err := (&matrix{token: m}).Expand(nil); err != nil {
		w.errorf(m, codeMatrix, "", "%v", unplaced(err))
	}
}
