package githubactions

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
)

// compareGolden holds a pipeline against the vendor's model of it. Both are JSON; the vendor's has typed tokens: 1 a sequence,
// 2 a mapping, 3 an expression, 4 a directive.
func compareGolden(c *conformanceCase, p *pipeline.Pipeline, want any) error {
	root, err := c.read(p.File)
	if err != nil {
		return err
	}
	object, ok := want.(map[string]any)
	if !ok {
		return errors.New("the expectation is no object")
	}
	got := map[string]any{"jobs": []any{}}
	if got["jobs"], err = goldenJobs(c, p, root); err != nil {
		return err
	}
	for _, key := range []string{"env", "defaults", "concurrency"} {
		if t := root.get(key); t != nil {
			got[key] = goldenToken(t)
		}
	}
	if _, ok := object["events"]; ok {
		got["events"] = goldenEvents(p, root.get("on"))
	}
	if p.Permissions != nil {
		got["permissions"] = p.Permissions
	}
	// What the vendor's model has beside these, such as the file table, is not ours to make.
	for key := range object {
		switch key {
		case "jobs", "env", "defaults", "concurrency", "events", "permissions":
		default:
			return fmt.Errorf("the expectation has an unknown member %q", key)
		}
	}
	if diff := cmp.Diff(want, throughJSON(got)); diff != "" {
		return fmt.Errorf("-want +got:\n%s", diff)
	}
	return nil
}

func throughJSON(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		return err.Error()
	}
	return out
}

// goldenToken maps a token to the vendor's shape.
func goldenToken(t *token) any {
	switch t.kind {
	case kindSequence:
		seq := []any{}
		for _, item := range t.items {
			seq = append(seq, goldenToken(item))
		}
		return map[string]any{"type": 1, "seq": seq}
	case kindMapping:
		members := []any{}
		for _, p := range t.pairs {
			members = append(members, map[string]any{"Key": goldenToken(p.key), "Value": goldenToken(p.value)})
		}
		return map[string]any{"type": 2, "map": members}
	case kindExpression:
		return goldenExpr(t.expr.String())
	case kindInsert:
		return map[string]any{"type": 4, "directive": "insert"}
	case kindNumber:
		if math.IsInf(t.num, 0) || math.IsNaN(t.num) {
			return pipeline.Text(t.num)
		}
		return t.num
	case kindBool:
		return t.bool
	case kindString:
		return t.text
	}
	return nil
}

func goldenExpr(source string) any { return map[string]any{"type": 3, "expr": source} }

func goldenValue(v pipeline.Value) any {
	if v.Expr() != nil {
		return goldenExpr(v.Source())
	}
	d, _ := v.Eval(nil)
	return d
}

func goldenJobs(c *conformanceCase, p *pipeline.Pipeline, root *token) ([]any, error) {
	out := []any{}
	for i, j := range p.Jobs {
		t := root.get("jobs").pairs[i].value
		o := map[string]any{"type": "job", "id": j.Key, "name": j.Key, "if": goldenValue(j.If)}
		if !j.Name.IsZero() {
			o["name"] = goldenValue(j.Name)
		}
		needs := []any{}
		for _, n := range j.Needs {
			needs = append(needs, n.Key)
		}
		if len(needs) > 0 || j.Call != nil {
			o["needs"] = needs
		}
		for _, key := range []string{"strategy", "continue-on-error", "timeout-minutes", "cancel-timeout-minutes", "concurrency", "env", "environment",
			"defaults", "runs-on", "container", "services", "outputs"} {
			if v := t.get(key); v != nil {
				o[key] = goldenToken(v)
			}
		}
		allowed := j.Permissions
		if j.Call != nil && j.Call.Pipeline.Permissions != nil {
			// The vendor's model gives a caller what the called workflow asks for.
			allowed = j.Call.Pipeline.Permissions
		}
		if allowed != nil && (j.Call != nil || t.has("permissions") || strings.Contains(p.File, "@")) {
			o["permissions"] = allowed
		}
		if len(j.Steps) > 0 {
			o["steps"] = goldenSteps(j.Steps, t.get("steps"))
		}
		if j.Call != nil {
			if err := goldenCall(c, o, j, t); err != nil {
				return nil, err
			}
		}
		out = append(out, o)
	}
	return out, nil
}

func goldenCall(c *conformanceCase, o map[string]any, j *pipeline.Job, t *token) error {
	o["type"], o["ref"] = "reusableWorkflowJob", j.Call.Ref
	if with := t.get("with"); with != nil {
		o["input-values"] = goldenToken(with)
	}
	if j.Call.InheritSecrets {
		o["inherit-secrets"] = true
	} else if secrets := t.get("secrets"); secrets != nil {
		o["secret-values"] = goldenToken(secrets)
	}
	called, err := c.read(j.Call.Pipeline.File)
	if err != nil {
		return err
	}
	declared := called.get("on").get("workflow_call")
	for member, key := range map[string]string{"inputs": "input-definitions", "secrets": "secret-definitions", "outputs": "outputs"} {
		if d := declared.get(member); d != nil {
			o[key] = goldenToken(d)
		}
	}
	o["jobs"], err = goldenJobs(c, j.Call.Pipeline, called)
	return err
}

func goldenSteps(steps []*pipeline.Step, t *token) []any {
	out := []any{}
	for i, s := range steps {
		item := t.items[i]
		o := map[string]any{"id": s.ID}
		if !s.If.IsZero() {
			o["if"] = goldenValue(s.If)
		}
		if item.has("name") {
			o["name"] = goldenValue(s.Name)
		}
		for _, key := range []string{"env", "continue-on-error", "timeout-minutes", "uses", "with", "run", "shell", "working-directory", "cancel"} {
			if v := item.get(key); v != nil {
				o[key] = goldenToken(v)
			}
		}
		if s.Background {
			o["background"] = true
		}
		switch do := s.Do.(type) {
		case *pipeline.Wait:
			o["name"] = goldenValue(s.Name)
			if o["wait"] = do.IDs; len(do.IDs) == 0 {
				delete(o, "wait")
				o["wait-all"] = true
			}
		case *pipeline.CancelStep:
			o["name"], o["cancel"] = goldenValue(s.Name), do.ID
		}
		out = append(out, o)
	}
	return out
}

// goldenEvents maps the triggers to the vendor's list of events.
func goldenEvents(p *pipeline.Pipeline, on *token) any {
	out := map[string]any{}
	for _, trigger := range p.Triggers {
		o := map[string]any{}
		for _, m := range on.get(trigger.Event).members() {
			list := []any{}
			for _, item := range m.value.list() {
				list = append(list, goldenToken(item))
			}
			o[m.key.text] = list
		}
		out[trigger.Event] = o
	}
	return out
}
