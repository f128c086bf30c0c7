package action_test

import (
	"os"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

func TestUploadAndDownload(t *testing.T) {
	w := newWorld(t)
	o := w.run(map[string]string{"id": "=steps.up.outputs.artifact-id", "digest": "=steps.up.outputs.artifact-digest", "url": "=steps.up.outputs.artifact-url", "path": "=steps.down.outputs.download-path"},
		sh("make", "mkdir -p dist/sub dist/.git; echo a > dist/a; echo b > dist/sub/b; echo h > dist/.hidden; echo log > x.log"),
		use("up", "actions/upload-artifact@v4", mapping{"name": "bin", "path": "dist\n!dist/sub/none", "retention-days": "5"}),
		use("up2", "actions/upload-artifact@v4", mapping{"name": "logs", "path": "*.log\ndist/**/b", "compression-level": "0"}),
		use("down", "actions/download-artifact@v4", mapping{"name": "bin", "path": "in"}),
		use("all", "actions/download-artifact@v4", mapping{"path": "all"}),
		use("some", "actions/download-artifact@v4", mapping{"path": "some", "pattern": "b*"}),
		use("merged", "actions/download-artifact@v4", mapping{"path": "merged", "merge-multiple": "true"}),
		use("none", "actions/download-artifact@v4", mapping{"path": "none", "pattern": "zzz"}),
		sh("look", "cd $GITHUB_WORKSPACE; find in all some merged -type f | sort | tr '\\n' ' '"))
	o.wants(pipeline.Success, "all/bin/a all/bin/sub/b all/logs/dist/sub/b all/logs/x.log in/a in/sub/b merged/a merged/dist/sub/b merged/sub/b merged/x.log some/bin/a some/bin/sub/b ",
		"Artifact bin stored: 2 files", "0 artifacts downloaded")
	if len(o.outputs["digest"]) != 64 || o.outputs["id"] == "" {
		t.Errorf("outputs %v", o.outputs)
	}
	a, err := w.artifacts.Get("42", "bin")
	if err != nil {
		t.Fatal(err)
	}
	if a.Job != "job" || a.Expires.Sub(a.Created).Hours() != 5*24 || o.outputs["url"] != "file://"+a.Path() {
		t.Errorf("%+v, %v", a, o.outputs)
	}
	found := false
	for _, e := range o.events {
		found = found || len(e.Artifacts) == 2
	}
	if !found {
		t.Error("the job's report does not name the artifacts")
	}
	// A later run does not see them unless it names the run.
	w.runID = "43"
	w.run(nil, use("d", "actions/download-artifact@v4", mapping{"name": "bin"})).wants(pipeline.Failure, `artifact "bin" was not found in run 43; the run has none so far`)
	w.run(nil, use("d", "actions/download-artifact@v4", mapping{"name": "bin", "run-id": "42"}), sh("look", "cat a sub/b")).wants(pipeline.Success)
	w.run(nil, use("d", "actions/download-artifact@v5", mapping{"artifact-ids": o.outputs["id"], "run-id": "42"}), sh("look", "cat a sub/b")).wants(pipeline.Success)
	w.run(nil, use("d", "actions/download-artifact@v5", mapping{"artifact-ids": "1", "run-id": "42"})).wants(pipeline.Failure, `no artifact of run 42 has the ID "1"; the run has bin, logs`)
}

func TestUploadRules(t *testing.T) {
	w := newWorld(t)
	mk := sh("make", "mkdir -p d; echo 1 > d/f; echo 2 > d/.h; echo 3 > top")
	w.run(nil, mk, use("u", "actions/upload-artifact@v4", mapping{"path": "d/f"}), use("d", "actions/download-artifact@v4", mapping{"path": "x"}), sh("look", "cat x/artifact/f")).wants(pipeline.Success)
	w.run(nil, mk, use("u", "actions/upload-artifact@v4", mapping{"path": "d"})).
		wants(pipeline.Failure, `an artifact with this name exists already in this run: "artifact"; give it another name, or set overwrite: true`)
	w.run(nil, mk, use("u", "actions/upload-artifact@v4", mapping{"path": "d", "overwrite": "true", "include-hidden-files": "true"}),
		use("d", "actions/download-artifact@v4", mapping{"name": "artifact", "path": "x"}), sh("look", "cat x/.h x/f")).wants(pipeline.Success)
	// A file without an archive, as version 7 can.
	w.run(nil, mk, use("u", "actions/upload-artifact@v7", mapping{"path": "top", "archive": "false"}),
		use("d", "actions/download-artifact@v8", mapping{"name": "top", "path": "x"}), sh("look", "cat x/top")).wants(pipeline.Success)
	w.run(nil, use("d", "actions/download-artifact@v8", mapping{"name": "artifact", "path": "x", "skip-decompress": "true"}), sh("look", "ls x/artifact.zip")).wants(pipeline.Success)
	w.run(nil, use("u", "actions/upload-artifact@v4", mapping{"path": "none"})).wants(pipeline.Success, "warning: no files were found with the path none: no artifact is stored")
	w.run(nil, use("u", "actions/upload-artifact@v4", mapping{"path": "none", "if-no-files-found": "ignore"})).lacks("warning")
	for want, with := range map[string]mapping{
		`no files were found with the path none`:     {"path": "none", "if-no-files-found": "error"},
		`input "if-no-files-found" is "panic"`:       {"path": "d", "if-no-files-found": "panic"},
		`input "compression-level" is 10`:            {"path": "d", "compression-level": "10"},
		`has the character`:                          {"path": "d", "name": "a/b"},
		`input "path" is required and empty`:         {},
		`only a single one can be stored without an`: {"path": "d/f\ntop", "archive": "false"},
	} {
		w.run(nil, mk, use("u", "actions/upload-artifact@v4", with)).wants(pipeline.Failure, want)
	}
	w.run(nil, mk, sh("colon", "touch d/a:b"), use("u", "actions/upload-artifact@v4", mapping{"name": "c", "path": "d"})).wants(pipeline.Failure, `path "a:b" has the character ':'`)
}

func TestMerge(t *testing.T) {
	w := newWorld(t)
	o := w.run(nil, sh("make", "echo 1 > a; echo 2 > b"),
		use("u1", "actions/upload-artifact@v4", mapping{"name": "part-a", "path": "a"}),
		use("u2", "actions/upload-artifact@v4", mapping{"name": "part-b", "path": "b"}),
		use("m1", "actions/upload-artifact/merge@v4", mapping{"name": "apart", "pattern": "part-*", "separate-directories": "true"}),
		use("m2", "actions/upload-artifact/merge@v4", mapping{"pattern": "part-*", "delete-merged": "true"}),
		use("d", "actions/download-artifact@v4", nil),
		sh("look", "find apart merged-artifacts -type f | sort | tr '\\n' ' '"))
	o.wants(pipeline.Success, "apart/part-a/a apart/part-b/b merged-artifacts/a merged-artifacts/b ")
	if all, _ := w.artifacts.List("42"); len(all) != 2 {
		t.Errorf("artifacts %v", all)
	}
	w.run(nil, use("m", "actions/upload-artifact/merge@v4", mapping{"pattern": "zzz"})).wants(pipeline.Failure, `no artifact matches "zzz"`)
}

func TestDownloadMismatch(t *testing.T) {
	w := newWorld(t)
	w.run(nil, sh("make", "echo 1 > a"), use("u", "actions/upload-artifact@v4", mapping{"name": "x", "path": "a"})).wants(pipeline.Success)
	a, err := w.artifacts.Get("42", "x")
	if err != nil {
		t.Fatal(err)
	}
	f, _ := os.OpenFile(a.Path(), os.O_RDWR, 0)
	f.WriteAt([]byte{9}, 12) // a time within the archive
	f.Close()
	down := func(mode string) outcome {
		return w.run(nil, use("d", "actions/download-artifact@v8", mapping{"name": "x", "digest-mismatch": mode}))
	}
	down("error").wants(pipeline.Failure, "SHA-256")
	down("warn").wants(pipeline.Success, "warning: artifact")
	down("shrug").wants(pipeline.Failure, `input "digest-mismatch" is "shrug"`)
}

func TestNoStores(t *testing.T) {
	w := newWorld(t)
	w.options.Artifacts, w.options.Caches = nil, nil
	w.run(nil, use("u", "actions/upload-artifact@v4", mapping{"path": "a"})).wants(pipeline.Failure, "this run keeps no artifacts")
	w.run(nil, use("u", "actions/cache@v4", mapping{"path": "a", "key": "k"})).wants(pipeline.Failure, "this run keeps no caches")
}
