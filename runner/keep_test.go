package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// shelf is a Keeper that writes down what it is asked.
type shelf struct {
	mu    sync.Mutex
	calls []string
	hit   string
	err   error
}

func (s *shelf) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

func (s *shelf) RestoreCache(_ context.Context, _ runner.Workspace, key string, restoreKeys, paths []string) (string, error) {
	s.note("restore %s %v %v", key, restoreKeys, paths)
	return s.hit, s.err
}

func (s *shelf) SaveCache(_ context.Context, _ runner.Workspace, key string, paths []string) error {
	s.note("save %s %v", key, paths)
	return nil
}

func (s *shelf) SaveArtifact(_ context.Context, _ runner.Workspace, name string, paths []string) error {
	s.note("artifact %s %v", name, paths)
	return nil
}

func keepingJob(text string) *pipeline.Job {
	j := jobOf("j", nil, script("s", text))
	j.Caches = []pipeline.Cache{{Key: lit("deps-1"), RestoreKeys: lit([]any{"deps-"}), Paths: lit([]any{"vendor"})}}
	j.Artifacts = []pipeline.Artifact{{Name: lit("out"), Paths: lit([]any{"bin", "!bin/tmp"})}}
	return j
}

func TestCachesAndArtifactsOfTheModel(t *testing.T) {
	for _, c := range []struct {
		name, script, hit string
		want              string
	}{
		{"a job that succeeds saves both", "echo ok", "deps-0", "restore deps-1 [deps-] [vendor]\nartifact out [bin !bin/tmp]\nsave deps-1 [vendor]"},
		{"one that fails saves no cache", "exit 1", "", "restore deps-1 [deps-] [vendor]\nartifact out [bin !bin/tmp]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &shelf{hit: c.hit}
			w := newWorld(t, pipelineOf(keepingJob(c.script)), sleeper)
			w.opts.Keeper = s
			w.run(t.Context())
			want(t, strings.Join(s.calls, "\n"), c.want)
			for _, e := range w.sink.all() {
				if e.Type == runner.JobFinished && strings.Join(e.Artifacts, ",") != "out" {
					t.Errorf("artifacts %v", e.Artifacts)
				}
			}
		})
	}
	w := newWorld(t, pipelineOf(keepingJob("echo ok")), sleeper)
	w.opts.Keeper = &shelf{err: errors.New("the shelf broke")}
	if res := w.run(t.Context()); res.Status != pipeline.Failure || !strings.Contains(res.Jobs[0].Reason, `restore cache "deps-1": the shelf broke`) {
		t.Errorf("%+v", res)
	}
	w = newWorld(t, pipelineOf(keepingJob("echo ok")), sleeper)
	if res := w.run(t.Context()); !strings.Contains(res.Jobs[0].Reason, "keeps no caches") {
		t.Errorf("%+v", res)
	}
}
