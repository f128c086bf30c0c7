package githubactions

import (
	"fmt"

	"github.com/gantry-ops/gantry/pipeline"
)

// workflow turns the tokens of one file into the model.
type workflow struct {
	*session
	src   *source
	diags *pipeline.Diagnostics
	root  *token
	// from is the job that calls this file; nil for the first one.
	from *caller
	out  *pipeline.Pipeline
}

func (w *workflow) errorf(t *token, code, hint, format string, args ...any) {
	w.diags.Add(pipeline.Diagnostic{Pos: t.pos, Width: t.width(), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (w *workflow) warnf(t *token, code, hint, format string, args ...any) {
	w.diags.Add(pipeline.Diagnostic{Severity: pipeline.Warning, Pos: t.pos, Width: t.width(), Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (w *workflow) lower(file string) *pipeline.Pipeline {
	w.out = &pipeline.Pipeline{
		Pos:     w.root.pos,
		File:    file,
		Name:    file,
		Dialect: Dialect,
		RunName: w.root.get("run-name").value(),
		Env:     w.root.get("env").envValue(),
	}
	if name, ok := w.root.get("name").literal(); ok && name != "" {
		w.out.Name = name
	}
	w.lowerTriggers(w.root.get("on"))
	w.out.Concurrency = concurrency(w.root.get("concurrency"))
	w.out.Permissions = permissions(w.root.get("permissions"))

	jobs := w.root.get("jobs")
	if jobs.is(kindMapping) && len(jobs.pairs) == 0 && !jobs.bad {
		w.errorf(jobs, codeMissingKey, "", "jobs is empty: a workflow needs at least one job")
	}
	for _, p := range jobs.members() {
		if w.session.jobs++; w.session.jobs > w.options.MaxJobs {
			if !w.tooMany {
				w.tooMany = true
				w.errorf(p.key, codeJobLimit, "", "the workflow has more than %d jobs, those of called workflows included", w.options.MaxJobs)
			}
			return w.out
		}
		if problem := checkID(p.key.text); problem != "" && !p.key.bad {
			w.errorf(p.key, codeID, "", "%s", problem)
		}
		if p.value.kind != kindMapping {
			continue
		}
		w.out.Jobs = append(w.out.Jobs, w.lowerJob(p.key, p.value))
	}
	if jobs.is(kindMapping) {
		w.checkNeeds(jobs)
	}
	w.lint()
	return w.out
}

// concurrency reads `concurrency`, a text or a mapping; an expression may yield either.
func concurrency(t *token) *pipeline.Concurrency {
	if t == nil || t.bad || t.kind == kindNull {
		return nil
	}
	if t.kind == kindMapping {
		return &pipeline.Concurrency{Pos: t.pos, Group: t.get("group").value(), CancelInProgress: t.get("cancel-in-progress").value(), Queue: t.get("queue").value()}
	}
	v := t.value()
	if t.kind == kindExpression && !t.composed {
		return &pipeline.Concurrency{Pos: t.pos, Group: memberOr(v, "group", "group"),
			CancelInProgress: memberOr(v, "cancel-in-progress", "group"), Queue: memberOr(v, "queue", "group")}
	}
	return &pipeline.Concurrency{Pos: t.pos, Group: v}
}

// permissions reads `permissions`; nil where the file has none.
func permissions(t *token) map[string]string {
	if t == nil {
		return nil
	}
	if all, ok := t.literal(); ok {
		level := "read"
		if all == "write-all" {
			level = "write"
		}
		return allPermissions(level)
	}
	out := map[string]string{}
	for _, p := range t.members() {
		if level, ok := p.value.literal(); ok {
			out[p.key.text] = level
		}
	}
	return out
}
