package action_test

import (
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner/storage"
)

func TestCache(t *testing.T) {
	w := newWorld(t)
	outs := map[string]string{"hit": "=steps.c.outputs.cache-hit", "matched": "=steps.c.outputs.cache-matched-key", "primary": "=steps.c.outputs.cache-primary-key"}
	with := func(key string, more mapping) mapping {
		m := mapping{"path": "deps\n!deps/skip\n", "key": key, "restore-keys": "deps-\n"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	first := w.run(outs, use("c", "actions/cache@v4", with("deps-1", nil)), sh("fill", "mkdir -p deps/sub; echo one > deps/sub/f; ln -s sub deps/link"))
	first.wants(pipeline.Success, "Cache not found for input keys: deps-1, deps-", "Cache saved with key: deps-1")
	first.wantOutput("hit", "")
	first.wantOutput("primary", "deps-1")

	same := w.run(outs, use("c", "actions/cache@v4", with("deps-1", nil)), sh("look", "cat deps/link/f"))
	same.wants(pipeline.Success, "Cache restored from key: deps-1", "one", "Cache hit on the primary key deps-1, not saving.")
	same.wantOutput("hit", "true")

	other := w.run(outs, use("c", "actions/cache@v4", with("deps-2", nil)), sh("look", "cat deps/link/f; echo two > deps/sub/f"))
	other.wants(pipeline.Success, "Cache restored from key: deps-1", "Cache saved with key: deps-2")
	other.wantOutput("hit", "false")
	other.wantOutput("matched", "deps-1")

	failed := w.run(outs, use("c", "actions/cache@v4", with("deps-3", nil)), sh("bad", "exit 1"))
	failed.wants(pipeline.Failure)
	if w.caches.Has("acme/app", "deps-3", storage.CacheVersion([]string{"deps", "!deps/skip"}, storage.Zstd)) {
		t.Error("a failed job has saved its cache")
	}
	w.run(nil, use("c", "actions/cache@v4", with("deps-4", mapping{"fail-on-cache-miss": "true", "restore-keys": ""}))).
		wants(pipeline.Failure, "no cache was found for deps-4, and fail-on-cache-miss is set")
	look := w.run(outs, use("c", "actions/cache@v4", with("deps-1", mapping{"lookup-only": "true"})), sh("look", "test ! -e deps"))
	look.wants(pipeline.Success, "Cache found and can be restored from key: deps-1")
	look.wantOutput("hit", "true")
}

func TestCacheParts(t *testing.T) {
	w := newWorld(t)
	m := mapping{"path": "~/out-of-the-work-folder\nin", "key": "k"}
	w.run(nil, sh("fill", "mkdir in; echo x > in/f"), use("s", "actions/cache/save@v4", mapping{"path": "in", "key": "k"}), use("again", "actions/cache/save@v4", mapping{"path": "in", "key": "k"})).
		wants(pipeline.Success, "Cache saved with key: k", "A cache with the key k exists already, not saving.")
	w.run(nil, use("r", "actions/cache/restore@v4", mapping{"path": "in", "key": "k"}), sh("look", "cat in/f")).wants(pipeline.Success)
	// Other paths are another cache.
	w.run(nil, use("r", "actions/cache/restore@v4", m)).wants(pipeline.Success, "Cache not found")
	w.run(nil, use("s", "actions/cache/save@v4", mapping{"path": "none", "key": "k2"})).wants(pipeline.Success, "warning: nothing matches none: no cache is saved")
	for want, with := range map[string]mapping{
		`a cache needs a key`:             {"path": "in"},
		`input "path" is required`:        {"key": "k"},
		`has a comma`:                     {"path": "in", "key": "a,b"},
		`is longer than 512 characters`:   {"path": "in", "key": strings.Repeat("x", 513)},
		`11 keys are given; at most 10`:   {"path": "in", "key": "k", "restore-keys": strings.Repeat("x\n", 10)},
		`input "lookup-only" is "yes"`:    {"path": "in", "key": "k", "lookup-only": "yes"},
		`input "upload-chunk-size" is "x`: {"path": "in", "key": "k", "upload-chunk-size": "x"},
	} {
		w.run(nil, use("c", "actions/cache@v4", with)).wants(pipeline.Failure, want)
	}
}
