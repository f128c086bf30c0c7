package githubactions

import (
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

func TestSelect(t *testing.T) {
	push := func(ref string, files ...string) *pipeline.Run {
		return &pipeline.Run{Event: pipeline.Event{Name: "push"}, Change: pipeline.Change{Ref: ref, Files: files, FilesKnown: files != nil}}
	}
	event := func(name, action string) *pipeline.Run {
		return &pipeline.Run{Event: pipeline.Event{Name: name, Action: action}, Change: pipeline.Change{Ref: "refs/pull/1/merge", Base: "main", Head: "fix"}}
	}
	about := func(name, branch string) *pipeline.Run {
		r := event("workflow_run", "completed")
		r.Event.Payload = pipeline.NewMap("workflow_run", pipeline.NewMap("name", name, "head_branch", branch))
		return r
	}
	due := func(line string) *pipeline.Run {
		return &pipeline.Run{Event: pipeline.Event{Name: "schedule", Schedule: line}}
	}
	const none = ""
	for _, c := range []struct {
		on   string
		run  *pipeline.Run
		want string // none: it starts; otherwise a part of the reason
	}{
		{"on: push", push("refs/heads/dev"), none},
		{"on: push", push("refs/tags/v1"), none},
		{"on: [pull_request, schedule]", push("refs/heads/dev"), "event is 'push', the workflow starts on: pull_request, schedule"},
		{"on:\n  push:\n    branches: [main]", push("refs/heads/dev"), "branch 'dev' matches none of the filters at line 3"},
		{"on:\n  push:\n    branches: [main]", push("refs/heads/main"), none},
		{"on:\n  push:\n    branches: [main]", push("refs/tags/main"), "filters for branches only at line 3"},
		{"on:\n  push:\n    tags: [v*]", push("refs/heads/v1"), "filters for tags only at line 3"},
		{"on:\n  push:\n    tags: [v*]", push("refs/tags/v1"), none},
		{"on:\n  push:\n    tags-ignore: [v*]", push("refs/tags/v1"), "tag 'v1' is ignored by the filters at line 3"},
		{"on:\n  push:\n    branches: [main]\n    tags: [v*]", push("refs/tags/v1"), none},
		{"on:\n  push:\n    branches: ['release/**', '!release/**-alpha']", push("refs/heads/release/1-alpha"), "matches none"},
		{"on:\n  push:\n    branches: ['release/**', '!release/**-alpha']", push("refs/heads/release/1"), none},
		{"on:\n  push:\n    branches: ['!release/x', 'release/**']", push("refs/heads/release/x"), none},
		{"on:\n  push:\n    branches-ignore: [main]", push("refs/heads/main"), "branch 'main' is ignored"},
		{"on:\n  push:\n    branches-ignore: [main]", push("refs/heads/dev"), none},
		{"on:\n  push:\n    paths: ['**.go']", push("refs/heads/dev", "a/b.go", "c.md"), none},
		{"on:\n  push:\n    paths: ['**.go']", push("refs/heads/dev", "c.md"), "none of the 1 changed file matches the filters for paths at line 3"},
		{"on:\n  push:\n    paths: ['**.go', '!x/**']", push("refs/heads/dev", "x/a.go"), "none of the"},
		{"on:\n  push:\n    paths: ['**.go']", push("refs/heads/dev"), none},
		{"on:\n  push:\n    paths: ['**.go']", push("refs/tags/v1", "c.md"), none},
		{"on:\n  push:\n    paths-ignore: ['docs/**']", push("refs/heads/dev", "docs/a", "docs/b"), "all of the 2 changed files are ignored"},
		{"on:\n  push:\n    paths-ignore: ['docs/**']", push("refs/heads/dev", "docs/a", "b"), none},
		{"on:\n  push:\n    branches: [main]\n    paths: ['**.go']", push("refs/heads/dev", "a.go"), "branch 'dev'"},
		{"on:\n  push:\n    branches: ['**']\n    branches-ignore: [dev]", push("refs/heads/dev"), "branch 'dev'"},
		{"on:\n  push:\n    branches: ['**']\n    branches-ignore: [dev]", push("refs/heads/main"), none},
		{"on: pull_request", event("pull_request", "opened"), none},
		{"on: pull_request", event("pull_request", "closed"), "activity type 'closed' is none of: opened, synchronize, reopened"},
		{"on: pull_request", event("pull_request", ""), none},
		{"on:\n  pull_request:\n    types: closed", event("pull_request", "closed"), none},
		{"on:\n  pull_request:\n    branches: [main]", event("pull_request", "opened"), none},
		{"on:\n  pull_request:\n    branches: [fix]", event("pull_request", "opened"), "base branch 'main' matches none"},
		{"on:\n  merge_group:\n    branches: [dev]", event("merge_group", "checks_requested"), "base branch 'main'"},
		{"on: issues", event("issues", "labeled"), none},
		{"on:\n  repository_dispatch:\n    types: [go]", event("repository_dispatch", "stop"), "activity type 'stop'"},
		{"on:\n  workflow_run:\n    workflows: [CI]\n    branches: [main]", about("CI", "main"), none},
		{"on:\n  workflow_run:\n    workflows: [CI]\n    branches: [main]", about("CI", "dev"), "branch 'dev'"},
		{"on:\n  workflow_run:\n    workflows: [CI]", about("Docs", "dev"), "the workflow 'Docs' is none of: CI"},
		{"on:\n  schedule:\n    - cron: '0 1 * * *'", due("0 1 * * *"), none},
		{"on:\n  schedule:\n    - cron: '0 1 * * *'", due("0 2 * * *"), "the schedule '0 2 * * *' is none"},
		{"on: workflow_call", event("workflow_call", ""), none},
	} {
		p, diags := Parse("w.yml", []byte(c.on+"\njobs:\n  a:\n    runs-on: x\n    steps: [run: x]\n"), Options{})
		if err := diags.Err(); err != nil {
			t.Errorf("%s: %v", c.on, err)
			continue
		}
		ok, reason := Select(p, c.run)
		if ok != (c.want == none) || !strings.Contains(reason, c.want) || ok && reason != "" {
			t.Errorf("%s: %v %q, want %q", c.on, ok, reason, c.want)
		}
	}
}
