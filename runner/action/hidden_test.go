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
