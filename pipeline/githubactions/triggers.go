package githubactions

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

func (w *workflow) lowerTriggers(on *token) {
	switch {
	case on == nil || on.bad:
	case on.kind == kindMapping:
		for _, p := range on.pairs {
			if !p.key.bad {
				w.addTrigger(p.key, p.key.text, p.value)
			}
		}
	default:
		for _, item := range on.list() {
			if name, ok := item.literal(); ok && !item.bad {
				w.addTrigger(item, name, nil)
			}
		}
	}
}

// addTrigger reads one event; at is where its name stands, t what the file says about it.
func (w *workflow) addTrigger(at *token, name string, t *token) {
	spec, known := events[name]
	if !known {
		return
	}
	trigger := pipeline.Trigger{Pos: at.pos, Event: name}
	for _, item := range t.get("types").list() {
		if text, ok := item.literal(); ok {
			trigger.Types = append(trigger.Types, text)
		}
	}
	if len(trigger.Types) == 0 {
		trigger.Types = slices.Clone(spec.usual)
	}
	trigger.Branches = w.filter(t, "branches", name)
	trigger.Tags = w.filter(t, "tags", name)
	trigger.Paths = w.filter(t, "paths", name)
	for _, item := range t.get("workflows").list() {
		if text, ok := item.literal(); ok {
			trigger.Pipelines = append(trigger.Pipelines, text)
		}
	}
	switch name {
	case "schedule":
		trigger.Schedules = w.schedules(t)
		if t == nil {
			w.warnf(at, codeScheduleEmpty, "write `schedule:` with a list of `- cron:` lines", "schedule event must be configured with mapping: without a cron line it never starts the workflow")
		}
	case "workflow_dispatch":
		trigger.Inputs = w.inputs(t.get("inputs"), true)
	case "workflow_call":
		w.signature(t)
	}
	w.out.Triggers = append(w.out.Triggers, trigger)
}

// filter reads a filter and its -ignore form. The vendor's documentation allows only one of the two for an event; where a
// file has both, names have to pass both, and a warning says so.
func (w *workflow) filter(t *token, key, event string) *pipeline.Filter {
	only, ignore := t.get(key), t.get(key+"-ignore")
	if only == nil && ignore == nil {
		return nil
	}
	f := &pipeline.Filter{Ignore: only == nil}
	f.Patterns = w.patterns(only)
	if only != nil && ignore != nil {
		second := t.key(key)
		if other := t.key(key + "-ignore"); other.pos.Line > second.pos.Line || other.pos.Line == second.pos.Line && other.pos.Col > second.pos.Col {
			second = other
		}
		w.warnf(second, codeExclusiveFilters, "put a '!' in front of the patterns to leave out, in "+key,
			"both %q and %q filters cannot be used for the same event %q", key, key+"-ignore", event)
		for _, p := range w.patterns(ignore) {
			p.Negate = !p.Negate
			f.Patterns = append(f.Patterns, p)
		}
		return f
	}
	f.Patterns = append(f.Patterns, w.patterns(ignore)...)
	return f
}

func (w *workflow) patterns(t *token) []pipeline.Pattern {
	var out []pipeline.Pattern
	for _, item := range t.list() {
		text, ok := item.literal()
		if !ok || item.bad {
			continue
		}
		match, negate, err := compileFilter(text)
		if err != nil {
			w.errorf(item, codePattern, "patterns know *, **, ?, +, [] and ! at the start; take them as they are by \\", "%v: %q", err, text)
			continue
		}
		out = append(out, pipeline.Pattern{Pos: item.pos, Source: text, Match: match, Negate: negate})
	}
	return out
}

func (w *workflow) schedules(t *token) []pipeline.Schedule {
	var out []pipeline.Schedule
	for _, item := range t.list() {
		line, zone := item.get("cron"), item.get("timezone")
		text, ok := line.literal()
		if !ok || line.bad {
			continue
		}
		s := pipeline.Schedule{Pos: item.pos, Cron: text}
		if name, ok := zone.literal(); ok && !zone.bad {
			s.TimeZone = name
			if !knownTimeZone(name) {
				w.warnf(zone, codeTimeZone, "write an IANA name, such as Europe/London", "invalid timezone %q", name)
			}
		}
		schedule, err := parseCron(text)
		if err != nil {
			w.errorf(line, codeCron, "the fields are: minute hour day month weekday", "invalid cron line %q: %v", text, err)
			continue
		}
		switch interval, ok := shortestInterval(schedule); {
		case !ok:
			w.warnf(line, codeCron, "", "the cron line %q never comes due", text)
		case interval < minInterval:
			w.warnf(line, codeCronOften, "the shortest interval of the vendor is once every 5 minutes", "scheduled job runs too frequently: it runs once per %.0f seconds", interval.Seconds())
		}
		out = append(out, s)
	}
	return out
}

// inputs reads the inputs of workflow_dispatch and workflow_call.
func (w *workflow) inputs(t *token, dispatch bool) []pipeline.Input {
	var out []pipeline.Input
	for _, p := range t.members() {
		if p.key.bad || p.key.kind != kindString {
			continue
		}
		in := pipeline.Input{Pos: p.key.pos, Name: p.key.text, Type: "string", Default: p.value.get("default").value()}
		in.Description, _ = p.value.get("description").literal()
		in.Deprecated, _ = p.value.get("deprecationMessage").literal()
		if r := p.value.get("required"); r.is(kindBool) {
			in.Required = r.bool
		}
		if kind := p.value.get("type"); kind != nil && !kind.bad {
			in.Type, _ = kind.literal()
		}
		options := p.value.get("options")
		for _, o := range options.list() {
			if text, ok := o.literal(); ok {
				in.Options = append(in.Options, text)
			}
		}
		if dispatch {
			w.checkOptions(p, in, options)
		}
		w.checkDefault(in, p.value.get("default"), p.value.has("type"))
		out = append(out, in)
	}
	return out
}

func (w *workflow) checkOptions(p pair, in pipeline.Input, options *token) {
	switch {
	case in.Type == "choice" && len(in.Options) == 0:
		at := p.value
		if !at.is(kindMapping) {
			at = p.key
		}
		w.errorf(at, codeInput, "list the choices under `options`", "the choice input %q has no options", in.Name)
	case in.Type != "choice" && options != nil:
		w.errorf(p.value, codeInput, "add `type: choice`, or remove `options`", "the type of input %q is not 'choice', but 'options' is defined", in.Name)
	}
	seen := map[string]bool{}
	for _, o := range options.list() {
		if text, ok := o.literal(); ok {
			if seen[text] {
				w.warnf(o, codeInput, "", "option %q is duplicated in the input %q", text, in.Name)
			}
			seen[text] = true
		}
	}
}

// checkDefault reports a default that does not fit the input's type.
func (w *workflow) checkDefault(in pipeline.Input, d *token, typed bool) {
	if d == nil || d.bad || d.kind == kindExpression {
		return
	}
	text, _ := d.literal()
	switch in.Type {
	case "boolean":
		if d.kind != kindBool {
			w.errorf(d, codeInput, "write true or false, without quotes", "the default of the boolean input %q is %s", in.Name, d.kind)
		}
	case "number":
		if _, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil && d.kind != kindNumber {
			w.errorf(d, codeInput, "", "the default of the number input %q is not a number: %q", in.Name, text)
		}
	case "string":
		if typed && d.kind == kindBool {
			w.errorf(d, codeInput, "put it in quotes, or make the input a boolean", "the default of the string input %q is %s", in.Name, d.kind)
		}
	case "choice":
		if len(in.Options) > 0 && !slices.Contains(in.Options, text) {
			w.warnf(d, codeInput, "the options are: "+strings.Join(in.Options, ", "), "default value %q of the input %q is not included in its options", text, in.Name)
		}
	}
}

// signature reads what workflow_call declares.
func (w *workflow) signature(t *token) {
	w.out.Inputs = w.inputs(t.get("inputs"), false)
	for _, p := range t.get("secrets").members() {
		secret := pipeline.SecretInput{Pos: p.key.pos, Name: p.key.text}
		secret.Description, _ = p.value.get("description").literal()
		if r := p.value.get("required"); r.is(kindBool) {
			secret.Required = r.bool
		}
		w.out.Secrets = append(w.out.Secrets, secret)
	}
	for _, p := range t.get("outputs").members() {
		o := pipeline.Output{Pos: p.key.pos, Name: p.key.text, Value: p.value.get("value").value()}
		o.Description, _ = p.value.get("description").literal()
		w.out.Outputs = append(w.out.Outputs, o)
	}
}
