package action_test

import (
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// All built-ins work where the host does not see the job's files: they are copied.
func TestHiddenWorkspace(t *testing.T) {
	w := newWorld(t)
	w.hidden = true
	w.checkout.files["dir/f"] = "text"
	w.only(install(t, "go", "1.24.1"))
	w.remote("acme/act", map[string]string{"action.yml": `{"using": "composite", "steps": [{"id": "x", "run": "cat $GITHUB_ACTION_PATH/data"}]}`, "data": "from the action\n"})
	steps := []stepDefinition{
		sh("left", "touch left"),
		use("co", "actions/checkout@v4", nil),
		sh("clean", "test ! -e left; cat dir/f"),
		use("go", "actions/setup-go@v5", mapping{"go-version": "1.24"}),
		sh("run", "go build"),
		use("act", "acme/act@v1", nil),
		use("cache", "actions/cache@v4", mapping{"path": "deps\n*.dep", "key": "k"}),
		sh("fill", "mkdir -p deps/sub; echo x > deps/sub/f; ln -sf sub deps/l; echo y > a.dep"),
		use("up", "actions/upload-artifact@v4", mapping{"path": "deps\ndir/*\nnone", "overwrite": "true"}),
		use("down", "actions/download-artifact@v4", mapping{"name": "artifact", "path": "in/deep"}),
		sh("look", "cat in/deep/deps/sub/f in/deep/dir/f"),
	}
	w.run(nil, steps...).wants(pipeline.Success, "ran 1.24.1 build", "from the action", "Cache saved with key: k")
	w.run(nil, use("cache", "actions/cache@v4", mapping{"path": "deps\n*.dep", "key": "k"}), sh("look", "cat deps/l/f a.dep")).
		wants(pipeline.Success, "Cache restored from key: k", "x", "y")
}

// In a container the folders of package managers do not stay: they are kept as caches, by the lock files.
func TestModuleCache(t *testing.T) {
	w := newWorld(t)
	w.hidden, w.container = true, true
	w.only(install(t, "go", "1.24.1"))
	out := map[string]string{"hit": "=steps.go.outputs.cache-hit"}
	fill := sh("fill", "mod=$(go env GOPATH | sed -n 2p); mkdir -p $mod; cat $mod/m 2> /dev/null || echo empty; echo module > $mod/m")
	steps := func(lock string, with mapping) []stepDefinition {
		with["go-version"] = "1.24"
		return []stepDefinition{sh("lock", "mkdir sub; echo "+lock+" > go.mod; echo "+lock+" > sub/go.sum"), use("go", "actions/setup-go@v6", with), fill}
	}
	first := w.run(out, steps("one", mapping{})...)
	first.wants(pipeline.Success, "Cache not found for key: setup-go-1.24.1-Linux-", "empty", "Cache saved with key")
	first.wantOutput("hit", "false")
	second := w.run(out, steps("one", mapping{})...)
	second.wants(pipeline.Success, "Cache restored from key", "module")
	second.wantOutput("hit", "true")
	w.run(out, steps("two", mapping{})...).wants(pipeline.Success, "Cache not found for key")
	w.run(out, steps("one", mapping{"cache-dependency-path": "sub/*.sum"})...).wants(pipeline.Success, "Cache not found for key", "Cache saved with key")
	w.run(out, steps("one", mapping{"cache-dependency-path": "sub/go.sum"})...).wants(pipeline.Success, "Cache restored from key")
	w.run(out, steps("one", mapping{"cache-dependency-path": "none"})...).wants(pipeline.Success, "warning: restore the cache: no file matches cache-dependency-path none")
	w.run(out, steps("one", mapping{"cache": "false"})...).lacks("Cache not found", "Cache restored")
}
