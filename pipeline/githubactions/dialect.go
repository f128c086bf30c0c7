package githubactions

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
)

// Dialect is the part of a run that GitHub Actions decides.
var Dialect pipeline.Dialect = dialect{}

type dialect struct{}

// Name implements [pipeline.Dialect].
func (dialect) Name() string { return "github-actions" }

// Owns implements [pipeline.Dialect]: "You can't overwrite the value of the default environment variables named GITHUB_* and
// RUNNER_*", says the page of the default variables.
func (dialect) Owns(name string) bool { return isDefaultVariable(name) }

// NewProtocol implements [pipeline.Dialect].
func (dialect) NewProtocol(env func(string) string) pipeline.Protocol { return newProtocol(env) }

type runEnviron struct{}

// Environ implements [pipeline.Dialect]: the default variables.
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables#default-environment-variables
func (dialect) Environ(s *pipeline.Scope) []pipeline.EnvVar {
	fixed := s.Run.Memo.Do(runEnviron{}, func() any { return runVariables(s.Run) }).([]pipeline.EnvVar)
	out := slices.Grow(slices.Clone(fixed), 16)
	add := func(name, value string) { out = append(out, pipeline.EnvVar{Name: name, Value: value}) }
	m := s.Machine
	add("GITHUB_WORKSPACE", m.Workspace)
	add("GITHUB_EVENT_PATH", m.EventFile)
	add("RUNNER_OS", m.OS)
	add("RUNNER_ARCH", m.Arch)
	add("RUNNER_NAME", m.Name)
	add("RUNNER_TEMP", m.Temp)
	add("RUNNER_TOOL_CACHE", m.Tools)
	add("RUNNER_WORKSPACE", parent(m.Workspace))
	if s.Job != nil {
		add("GITHUB_JOB", s.Job.Key)
	}
	add("GITHUB_ACTION", s.StepID)
	if a := s.Action; a != nil {
		add("GITHUB_ACTION_PATH", a.Path)
		add("GITHUB_ACTION_REPOSITORY", a.Repository)
		add("GITHUB_ACTION_REF", a.Ref)
	}
	return out
}

// runVariables are the variables that are the same for a whole run.
func runVariables(r *pipeline.Run) []pipeline.EnvVar {
	server, api, graphql := forgeURLs(r.Repository.Server)
	refName, refType := refParts(r.Change)
	out := []pipeline.EnvVar{
		{Name: "CI", Value: "true"},
		{Name: "GITHUB_ACTIONS", Value: "true"},
		{Name: "GITHUB_ACTOR", Value: r.Actor},
		{Name: "GITHUB_ACTOR_ID", Value: identifier(r.Actor)},
		{Name: "GITHUB_API_URL", Value: api},
		{Name: "GITHUB_BASE_REF", Value: pullRequestBranch(r, r.Change.Base)},
		{Name: "GITHUB_EVENT_NAME", Value: r.Event.Name},
		{Name: "GITHUB_GRAPHQL_URL", Value: graphql},
		{Name: "GITHUB_HEAD_REF", Value: pullRequestBranch(r, r.Change.Head)},
		{Name: "GITHUB_REF", Value: r.Change.Ref},
		{Name: "GITHUB_REF_NAME", Value: refName},
		{Name: "GITHUB_REF_PROTECTED", Value: "false"},
		{Name: "GITHUB_REF_TYPE", Value: refType},
		{Name: "GITHUB_REPOSITORY", Value: r.Repository.FullName()},
		{Name: "GITHUB_REPOSITORY_ID", Value: identifier(r.Repository.FullName())},
		{Name: "GITHUB_REPOSITORY_OWNER", Value: r.Repository.Owner},
		{Name: "GITHUB_REPOSITORY_OWNER_ID", Value: identifier(r.Repository.Owner)},
		{Name: "GITHUB_RETENTION_DAYS", Value: retentionDays},
		{Name: "GITHUB_RUN_ATTEMPT", Value: strconv.Itoa(r.Attempt)},
		{Name: "GITHUB_RUN_ID", Value: r.ID},
		{Name: "GITHUB_RUN_NUMBER", Value: strconv.Itoa(r.Number)},
		{Name: "GITHUB_SERVER_URL", Value: server},
		{Name: "GITHUB_SHA", Value: r.Change.SHA},
		{Name: "GITHUB_TRIGGERING_ACTOR", Value: r.Actor},
		{Name: "GITHUB_WORKFLOW", Value: r.Pipeline},
		{Name: "GITHUB_WORKFLOW_REF", Value: workflowRef(r)},
		{Name: "GITHUB_WORKFLOW_SHA", Value: r.Change.SHA},
		{Name: "RUNNER_ENVIRONMENT", Value: runnerEnvironment},
	}
	if r.Debug {
		out = append(out, pipeline.EnvVar{Name: "RUNNER_DEBUG", Value: "1"})
	}
	return out
}

// defaultVariables are the names that a step cannot set for the following ones: all that Environ gives but CI.
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables#default-environment-variables
var defaultVariables = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	s := &pipeline.Scope{Run: &pipeline.Run{Debug: true}, Job: &pipeline.JobScope{}, Action: &pipeline.ActionScope{}}
	for _, v := range Dialect.Environ(s) {
		names[v.Name] = v.Name != "CI"
	}
	return names
})

func isDefaultVariable(name string) bool { return defaultVariables()[name] }

const (
	// retentionDays is how long the vendor keeps logs and artifacts unless told otherwise.
	retentionDays = "90"
	// runnerEnvironment is what the vendor calls machines that are not its own.
	runnerEnvironment = "self-hosted"
)

func workflowRef(r *pipeline.Run) string {
	return fmt.Sprintf("%s/%s@%s", r.Repository.FullName(), r.File, r.Change.Ref)
}

func parent(path string) string {
	if i := strings.LastIndexAny(path, `/\`); i > 0 {
		return path[:i]
	}
	return path
}

// Shell implements [pipeline.Dialect].
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
func (dialect) Shell(name string, has func(string) bool) (pipeline.Interpreter, error) {
	switch strings.TrimSpace(name) {
	case "":
		if has("bash") {
			return scriptOf("bash", "-e", "{0}"), nil
		}
		return scriptOf("sh", "-e", "{0}"), nil
	case "bash":
		return scriptOf("bash", "--noprofile", "--norc", "-eo", "pipefail", "{0}"), nil
	case "sh":
		return scriptOf("sh", "-e", "{0}"), nil
	case "python":
		in := scriptOf("python", "{0}")
		if !has("python") && has("python3") {
			in.Argv[0] = "python3"
		}
		return in, nil
	case "pwsh":
		return scriptOf("pwsh", "-command", ". '{0}'"), nil
	case "powershell":
		return scriptOf("powershell", "-command", ". '{0}'"), nil
	case "cmd":
		return scriptOf("cmd", "/D", "/E:ON", "/V:OFF", "/S", "/C", `CALL "{0}"`), nil
	}
	argv, err := splitCommand(name)
	if err != nil {
		return pipeline.Interpreter{}, fmt.Errorf("shell %q: %w", name, err)
	}
	if !slices.ContainsFunc(argv, func(a string) bool { return strings.Contains(a, "{0}") }) {
		return pipeline.Interpreter{}, fmt.Errorf("unknown shell %q: use bash, sh, python, pwsh, powershell or cmd, or a command with {0} where the script's file belongs", name)
	}
	return scriptOf(argv...), nil
}

// scriptOf is how a command line runs a script: the extension and the frame of its file go by the program, also where a
// workflow spells out the arguments itself (PowerShell runs no file of another extension).
func scriptOf(argv ...string) pipeline.Interpreter {
	in := pipeline.Interpreter{Argv: argv}
	switch argv[0] {
	case "bash", "sh":
		in.Ext = ".sh"
	case "python":
		in.Ext = ".py"
	case "pwsh", "powershell":
		in.Ext = ".ps1"
		in.Prefix = "$ErrorActionPreference = 'stop'\n"
		in.Suffix = "\nif ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }\n"
	case "cmd":
		in.Ext, in.Prefix = ".cmd", "@echo off\n"
	}
	return in
}
