package githubactions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// Select reports whether the event of a run starts a pipeline, and if not, why, in words. It applies the filters as the
// vendor's "Workflow syntax" has them under `on`:
//
//   - Branch and tag filters of a push apply to refs of their kind; with filters for only one kind, the other starts nothing.
//   - Path filters do not apply to pushes of tags. A change whose files are not known passes them.
//   - Branch filters of pull requests and merge groups apply to the base branch.
//   - Activity types apply where the event has one.
func Select(p *pipeline.Pipeline, run *pipeline.Run) (ok bool, reason string) {
	var reasons []string
	for i := range p.Triggers {
		t := &p.Triggers[i]
		if t.Event != run.Event.Name {
			continue
		}
		reason := refuses(t, run)
		if reason == "" {
			return true, ""
		}
		reasons = append(reasons, reason)
	}
	if len(reasons) > 0 {
		return false, strings.Join(reasons, "; ")
	}
	var names []string
	for _, t := range p.Triggers {
		if !slices.Contains(names, t.Event) {
			names = append(names, t.Event)
		}
	}
	if len(names) == 0 {
		return false, fmt.Sprintf("event is '%s', the workflow starts on no event", run.Event.Name)
	}
	return false, fmt.Sprintf("event is '%s', the workflow starts on: %s", run.Event.Name, strings.Join(names, ", "))
}

// refuses says why a trigger of the right event does not start the pipeline; empty: it does.
func refuses(t *pipeline.Trigger, run *pipeline.Run) string {
	if action := run.Event.Action; action != "" && len(t.Types) > 0 && !slices.Contains(t.Types, action) {
		return fmt.Sprintf("activity type '%s' is none of: %s", action, strings.Join(t.Types, ", "))
	}
	switch t.Event {
	case "push":
		return refusesPush(t, run)
	case "pull_request", "pull_request_target":
		if reason := refusesRef(t.Branches, "base branch", run.Change.Base); reason != "" {
			return reason
		}
		return refusesPaths(t.Paths, run)
	case "merge_group":
		return refusesRef(t.Branches, "base branch", run.Change.Base)
	case "workflow_run":
		return refusesRun(t, run)
	case "schedule":
		due := run.Event.Schedule
		if due != "" && !slices.ContainsFunc(t.Schedules, func(s pipeline.Schedule) bool { return s.Cron == due }) {
			return fmt.Sprintf("the schedule '%s' is none of the workflow's", due)
		}
	}
	return ""
}

func refusesPush(t *pipeline.Trigger, run *pipeline.Run) string {
	if tag, ok := strings.CutPrefix(run.Change.Ref, "refs/tags/"); ok {
		if t.Tags == nil && t.Branches != nil {
			return fmt.Sprintf("tag '%s' is no branch, and the workflow has filters for branches only%s", tag, atLine(t.Branches))
		}
		return refusesRef(t.Tags, "tag", tag)
	}
	branch := strings.TrimPrefix(run.Change.Ref, "refs/heads/")
	if t.Branches == nil && t.Tags != nil {
		return fmt.Sprintf("branch '%s' is no tag, and the workflow has filters for tags only%s", branch, atLine(t.Tags))
	}
	if reason := refusesRef(t.Branches, "branch", branch); reason != "" {
		return reason
	}
	return refusesPaths(t.Paths, run)
}

func refusesRef(f *pipeline.Filter, what, name string) string {
	switch {
	case f.Allows(name):
		return ""
	case f.Ignore:
		return fmt.Sprintf("%s '%s' is ignored by the filters%s", what, name, atLine(f))
	}
	return fmt.Sprintf("%s '%s' matches none of the filters%s", what, name, atLine(f))
}

func refusesPaths(f *pipeline.Filter, run *pipeline.Run) string {
	switch {
	case f == nil, !run.Change.FilesKnown, f.AllowsAny(run.Change.Files):
		return ""
	case len(run.Change.Files) == 0:
		return fmt.Sprintf("the change touches no files, and the workflow has filters for paths%s", atLine(f))
	case f.Ignore:
		return fmt.Sprintf("all of the %s are ignored by the filters for paths%s", changedFiles(run), atLine(f))
	}
	return fmt.Sprintf("none of the %s matches the filters for paths%s", changedFiles(run), atLine(f))
}

func changedFiles(run *pipeline.Run) string {
	if n := len(run.Change.Files); n != 1 {
		return fmt.Sprintf("%d changed files", n)
	}
	return "1 changed file"
}

// refusesRun holds the workflow that a workflow_run event tells of against the trigger.
func refusesRun(t *pipeline.Trigger, run *pipeline.Run) string {
	about, _ := run.Event.Payload.Get("workflow_run")
	o, ok := about.(pipeline.Object)
	if !ok {
		return ""
	}
	name, _ := o.Get("name")
	if text := pipeline.Text(name); text != "" && len(t.Pipelines) > 0 && !slices.Contains(t.Pipelines, text) {
		return fmt.Sprintf("the workflow '%s' is none of: %s", text, strings.Join(t.Pipelines, ", "))
	}
	branch, _ := o.Get("head_branch")
	if text := pipeline.Text(branch); text != "" {
		return refusesRef(t.Branches, "branch", text)
	}
	return ""
}

// atLine says where a filter stands.
func atLine(f *pipeline.Filter) string {
	if f == nil || len(f.Patterns) == 0 {
		return ""
	}
	return fmt.Sprintf(" at line %d", f.Patterns[0].Pos.Line)
}
