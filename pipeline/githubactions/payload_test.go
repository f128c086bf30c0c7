package githubactions

import (
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

func TestPayload(t *testing.T) {
	for _, c := range []struct {
		event string
		extra *pipeline.Map
		ref   string
		want  map[string]string
	}{
		{"push", nil, "refs/heads/main", map[string]string{"ref": "refs/heads/main", "head_commit.id": testRun().Change.SHA, "repository.full_name": "acme/shop", "sender.login": "ana", "commits[0].message": "Title\n\nBody"}},
		{"pull_request", nil, "refs/pull/1/merge", map[string]string{"action": "synchronize", "number": "1", "pull_request.head.ref": "topic", "pull_request.base.ref": "main", "pull_request.title": "Title", "pull_request.body": "Body"}},
		{"pull_request", pipeline.NewMap("number", 7.0, "pull_request", pipeline.NewMap("head", pipeline.NewMap("ref", "other"))), "refs/pull/7/merge", map[string]string{"pull_request.head.ref": "other", "pull_request.base.ref": "main", "pull_request.head.sha": testRun().Change.SHA}},
		{"pull_request_target", nil, "refs/heads/main", map[string]string{"number": "1"}},
		{"workflow_dispatch", pipeline.NewMap("inputs", pipeline.NewMap("level", "3")), "refs/heads/main", map[string]string{"inputs.level": "3", "workflow": ".github/workflows/ci.yml"}},
		{"repository_dispatch", nil, "refs/heads/main", map[string]string{"branch": "main"}},
		{"release", nil, "refs/heads/main", map[string]string{"action": "published", "release.tag_name": "main"}},
		{"release", pipeline.NewMap("release", pipeline.NewMap("tag_name", "v1")), "refs/tags/v1", map[string]string{"release.tag_name": "v1", "release.name": "v1"}},
		{"push", pipeline.NewMap("ref", "refs/tags/v2"), "refs/tags/v2", map[string]string{"ref": "refs/tags/v2", "created": "false"}},
		{"push", pipeline.NewMap("ref", 5.0), "refs/heads/main", map[string]string{"ref": "5"}},
		{"workflow_dispatch", pipeline.NewMap("ref", "refs/heads/other"), "refs/heads/other", map[string]string{"ref": "refs/heads/other"}},
		{"create", pipeline.NewMap("ref", "v3", "ref_type", "tag"), "refs/tags/v3", map[string]string{"ref": "v3", "ref_type": "tag"}},
		{"merge_group", pipeline.NewMap("merge_group", pipeline.NewMap("head_ref", "refs/heads/queue/1", "base_ref", "refs/heads/next")), "refs/heads/queue/1", map[string]string{"merge_group.base_ref": "refs/heads/next", "action": "checks_requested"}},
		{"pull_request", pipeline.NewMap("pull_request", "nonsense", "number", -4.0), "refs/pull/1/merge", map[string]string{"pull_request": "nonsense"}},
		{"watch", nil, "refs/heads/main", map[string]string{"repository.name": "shop"}},
	} {
		t.Run(c.event, func(t *testing.T) {
			run := testRun()
			run.Event = pipeline.Event{Name: c.event}
			run.Event.Payload = Payload(run, c.event, c.extra)
			if run.Change.Ref != c.ref {
				t.Errorf("ref %s, want %s", run.Change.Ref, c.ref)
			}
			if strings.HasPrefix(c.event, "pull_request") {
				for context, member := range map[string]string{"github.head_ref": "head.ref", "github.base_ref": "base.ref"} {
					got, want := evaluate(t, context, &pipeline.Scope{Run: run}), evaluate(t, "github.event.pull_request."+member, &pipeline.Scope{Run: run})
					if got != want && want != "" {
						t.Errorf("%s is %q, but the event has %q", context, got, want)
					}
				}
			}
			for path, want := range c.want {
				if got := evaluate(t, "github.event."+path, &pipeline.Scope{Run: run}); got != want {
					t.Errorf("%s is %q, want %q", path, got, want)
				}
			}
		})
	}
}
