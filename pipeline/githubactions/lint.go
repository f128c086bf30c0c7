package githubactions

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// The lint finds what the vendor accepts and what is still most likely not meant. All of its findings are warnings.

// githubMembers are the members of the context github.
var githubMembers = strings.Fields(`action action_path action_ref action_repository action_status actor actor_id api_url artifact_cache_size_limit
	base_ref env event event_name event_path graphql_url head_ref job output path ref ref_name ref_protected ref_type repository
	repository_id repository_owner repository_owner_id repository_visibility repositoryUrl retention_days run_attempt run_id run_number
	secret_source server_url sha state step_summary token triggering_actor workflow workflow_ref workflow_sha workspace`)

var runnerMembers = strings.Fields("arch debug environment name os temp tool_cache workspace")

// scopeTypes are the types of the contexts at a place, by name; contexts that are not in it are not checked.
type scopeTypes map[string]*typeOf

// with returns a copy with one more context.
func (s scopeTypes) with(name string, t *typeOf) scopeTypes {
	out := make(scopeTypes, len(s)+1)
	for k, v := range s {
		out[k] = v
	}
	out[name] = t
	return out
}

func (w *workflow) lint() {
	types := w.workflowTypes()
	for _, key := range []string{"run-name", "env", "defaults", "concurrency"} {
		w.lintToken(w.root.get(key), types)
	}
	w.lintEnvNames(w.root.get("env"))
	for _, p := range w.root.get("on").get("workflow_call").get("inputs").members() {
		w.lintToken(p.value.get("default"), types)
	}
	results, jobsType := make(map[string]*typeOf, len(w.out.Jobs)), objectType()
	for _, j := range w.out.Jobs {
		results[j.Key] = resultType(j)
		jobsType.add(j.Key, results[j.Key])
	}
	index := 0
	for _, p := range w.root.get("jobs").members() {
		if p.value.kind != kindMapping || index >= len(w.out.Jobs) {
			continue
		}
		j := w.out.Jobs[index]
		index++
		w.lintJob(j, p.value, types, results)
	}
	for _, p := range w.root.get("on").get("workflow_call").get("outputs").members() {
		w.lintToken(p.value.get("value"), types.with("jobs", jobsType))
	}
}

// workflowTypes returns the types of the contexts that are the same in the whole file.
func (w *workflow) workflowTypes() scopeTypes {
	types := scopeTypes{"github": githubType(), "runner": objectType(runnerMembers...),
		"strategy": objectType("fail-fast", "job-index", "job-total", "max-parallel")}
	inputs, onlyCalled := objectType(), len(w.out.Triggers) > 0
	for _, t := range w.out.Triggers {
		onlyCalled = onlyCalled && t.Event == "workflow_call"
		for _, in := range append(t.Inputs, w.out.Inputs...) {
			inputs.add(in.Name, inputType(in))
		}
	}
	types["inputs"] = inputs
	// A workflow that others call sees the secrets that it declares, unless they hand over all of theirs.
	if onlyCalled && len(w.out.Secrets) > 0 {
		secrets := objectType("GITHUB_TOKEN", "ACTIONS_STEP_DEBUG", "ACTIONS_RUNNER_DEBUG")
		for _, s := range w.out.Secrets {
			secrets.add(s.Name, scalarType("string"))
		}
		types["secrets"] = secrets
	}
	return types
}

// githubType returns the context github: texts, and the event's document.
func githubType() *typeOf {
	o := objectType()
	for _, name := range githubMembers {
		o.add(name, scalarType("string"))
	}
	return o.add("event", &typeOf{document: true})
}

func inputType(in pipeline.Input) *typeOf {
	switch in.Type {
	case "boolean", "number":
		return scalarType(in.Type)
	}
	return scalarType("string")
}

// resultType returns what the contexts needs and jobs have about a job.
func resultType(j *pipeline.Job) *typeOf {
	outputs := objectType()
	switch {
	case j.Call == nil:
		for _, o := range j.Outputs {
			outputs.add(o.Name, scalarType("string"))
		}
	case j.Call.Pipeline == nil:
		outputs = anyType
	default:
		for _, o := range j.Call.Pipeline.Outputs {
			outputs.add(o.Name, scalarType("string"))
		}
	}
	return objectType().add("outputs", outputs).add("result", scalarType("string"))
}

func (w *workflow) lintJob(j *pipeline.Job, t *token, types scopeTypes, results map[string]*typeOf) {
	needs := objectType()
	for _, n := range j.Needs {
		needs.add(n.Key, results[n.Key])
	}
	types = types.with("needs", needs)
	types["matrix"] = matrixType(t.get("strategy"))
	for _, p := range t.pairs {
		switch p.key.text {
		case "steps", "outputs", "environment":
		default:
			w.lintToken(p.value, types)
		}
	}
	w.lintEnvNames(t.get("env"))
	w.lintEnvNames(t.get("container").get("env"))
	for _, s := range t.get("services").members() {
		w.lintEnvNames(s.value.get("env"))
	}
	w.lintMatrix(t.get("strategy").get("matrix"))
	types["steps"] = objectType()
	w.lintSteps(t.get("steps"), types)
	w.lintToken(t.get("outputs"), types)
	w.lintToken(t.get("environment"), types)
}

// lintSteps checks steps in their order: each sees the steps above it.
func (w *workflow) lintSteps(t *token, types scopeTypes) {
	if !t.is(kindSequence) {
		return
	}
	for _, item := range t.items {
		if parallel := item.get("parallel"); parallel != nil {
			w.lintToken(item.get("if"), types)
			w.lintSteps(parallel, types)
		} else {
			w.lintToken(item, types)
		}
		w.lintEnvNames(item.get("env"))
		w.lintCommands(item.get("run"))
		if id, ok := item.get("id").literal(); ok {
			types["steps"].add(id, objectType("outputs", "outcome", "conclusion"))
		}
	}
}

// lintToken checks all expressions within a token.
func (w *workflow) lintToken(t *token, types scopeTypes) {
	if t == nil || t.bad {
		return
	}
	switch t.kind {
	case kindSequence:
		for _, item := range t.items {
			w.lintToken(item, types)
		}
	case kindMapping:
		for _, p := range t.pairs {
			w.lintToken(p.key, types)
			w.lintToken(p.value, types)
		}
	case kindExpression:
		w.lintExpression(t, types)
	}
}

func (w *workflow) lintExpression(t *token, types scopeTypes) {
	for _, r := range t.expr.References() {
		context, ok := types[r.Context]
		if !ok {
			continue
		}
		if _, at, problem, hint := context.lookup(r.Path); problem != "" {
			receiver := strings.Join(append([]string{r.Context}, r.Path[:at]...), ".")
			w.diags.Add(pipeline.Diagnostic{Severity: pipeline.Warning, Pos: w.src.within(t, r.Offset), Width: len(receiver) + 1 + len(r.Path[at]),
				Code: codeUnknownProperty, Message: fmt.Sprintf("%s in %s", problem, receiver), Hint: hint})
		}
	}
	w.lintTemplate(t, types)
	w.lintComparison(t, types)
	if t.condition && aroundExpression(t.text) {
		w.warnf(t, codeConstantIf, "put the whole condition into one ${{ }}, or write it without", "the condition %q is always evaluated to true because extra characters are around ${{ }}", t.text)
	}
}

// aroundExpression reports whether a condition is text with ${{ }} in it: such text is never empty, and so always true.
func aroundExpression(text string) bool {
	n := strings.Count(text, "${{")
	return n > 1 || n == 1 && !(strings.HasPrefix(text, "${{") && strings.HasSuffix(text, "}}"))
}

var plainPath = regexp.MustCompile(`\$\{\{\s*([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)\s*\}\}`)

// lintTemplate warns of lists and mappings that text is made of.
func (w *workflow) lintTemplate(t *token, types scopeTypes) {
	if !t.composed {
		return
	}
	for _, m := range plainPath.FindAllStringSubmatchIndex(t.text, -1) {
		path := strings.Split(t.text[m[2]:m[3]], ".")
		context, ok := types[strings.ToLower(path[0])]
		if !ok {
			continue
		}
		found, _, problem, _ := context.lookup(path[1:])
		if problem == "" && (found.list || found.document || found.members != nil) {
			w.diags.Add(pipeline.Diagnostic{Severity: pipeline.Warning, Pos: w.src.within(t, m[0]), Width: m[1] - m[0], Code: codeTemplateType,
				Message: fmt.Sprintf("%s is an %s: text made of it says only so", t.text[m[2]:m[3]], found), Hint: "use toJSON(…) or join(…)"})
		}
	}
}

var plainComparison = regexp.MustCompile(`^([A-Za-z_][\w.-]*)\s*(==|!=|<=|>=|<|>)\s*([A-Za-z_][\w.-]*|'[^']*'|-?[\d.]+)$`)

// lintComparison warns of plain comparisons of types that make no sense together.
func (w *workflow) lintComparison(t *token, types scopeTypes) {
	source := strings.TrimSpace(t.text)
	if strings.HasPrefix(source, "${{") && strings.HasSuffix(source, "}}") {
		source = strings.TrimSpace(source[len("${{") : len(source)-len("}}")])
	}
	if !strings.ContainsAny(source, "=<>") || strings.ContainsAny(source, "&|(") {
		return
	}
	m := plainComparison.FindStringSubmatchIndex(source)
	if m == nil {
		return
	}
	op := source[m[4]:m[5]]
	left, right := types.operand(source[m[2]:m[3]]), types.operand(source[m[6]:m[7]])
	object := func(o *typeOf) bool { return o.members != nil || o.list || o.document }
	ordered := op != "==" && op != "!="
	switch {
	case left.open || right.open:
		return
	case object(left) && right.scalar, object(right) && left.scalar, ordered && (object(left) || object(right)),
		ordered && (left.word == "boolean" || right.word == "boolean"):
	default:
		return
	}
	w.diags.Add(pipeline.Diagnostic{Severity: pipeline.Warning, Pos: w.src.within(t, max(0, strings.Index(t.text, source))), Width: len(source), Code: codeCompare,
		Message: fmt.Sprintf("%q value cannot be compared to %q value with %q", left, right, op)})
}

// operand returns the type of one side of a plain comparison.
func (s scopeTypes) operand(text string) *typeOf {
	switch {
	case text[0] == '\'':
		return scalarType("string")
	case text[0] == '-' || text[0] >= '0' && text[0] <= '9' || text[0] == '.':
		return scalarType("number")
	case strings.EqualFold(text, "true") || strings.EqualFold(text, "false"):
		return scalarType("boolean")
	}
	path := strings.Split(text, ".")
	context, ok := s[strings.ToLower(path[0])]
	if !ok {
		return anyType
	}
	found, _, problem, _ := context.lookup(path[1:])
	if problem != "" {
		return anyType
	}
	return found
}

// lintEnvNames warns of names that shells cannot take.
func (w *workflow) lintEnvNames(env *token) {
	for _, p := range env.members() {
		if p.key.kind == kindString && strings.ContainsAny(p.key.text, "&= \t") {
			w.warnf(p.key, codeEnvName, "use letters, digits and '_'", "environment variable name %q is invalid: '&', '=' and blanks should not be in it", p.key.text)
		}
	}
}

var (
	deprecatedCommand = regexp.MustCompile(`::(save-state|set-output|set-env)\s+name=|::(add-path)::`)
	commandFile       = map[string]string{"save-state": "GITHUB_STATE", "set-output": "GITHUB_OUTPUT", "set-env": "GITHUB_ENV", "add-path": "GITHUB_PATH"}
)

// lintCommands warns of workflow commands that have been replaced by files.
func (w *workflow) lintCommands(run *token) {
	if run == nil || run.bad {
		return
	}
	for _, m := range deprecatedCommand.FindAllStringSubmatchIndex(run.text, -1) {
		name := ""
		for _, g := range []int{2, 4} {
			if m[g] >= 0 {
				name = run.text[m[g]:m[g+1]]
			}
		}
		w.diags.Add(pipeline.Diagnostic{Severity: pipeline.Warning, Pos: w.src.within(run, m[0]), Width: m[1] - m[0], Code: codeDeprecated,
			Message: fmt.Sprintf("workflow command %q was deprecated", name), Hint: fmt.Sprintf("append to the file $%s instead", commandFile[name])})
	}
}
