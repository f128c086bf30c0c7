package action_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner/action"
)

func TestCheckoutInputs(t *testing.T) {
	all := mapping{
		"fetch-depth": "0", "fetch-tags": "true", "lfs": "true", "submodules": "recursive", "filter": "blob:none",
		"sparse-checkout": "a\n b \n", "sparse-checkout-cone-mode": "false", "clean": "false", "token": "t0ken", "ref": "v1", "path": "sub/dir",
		"repository": "other/repo", "github-server-url": "https://git.example.com/", "persist-credentials": "false", "show-progress": "false",
	}
	w := newWorld(t)
	w.checkout.files["f"] = "x"
	o := w.run(map[string]string{"commit": "=steps.a.outputs.commit", "ref": "=steps.a.outputs.ref", "ref2": "=steps.b.outputs.ref"},
		use("a", "actions/checkout@v4", all), use("b", "actions/checkout@8ade135", nil), sh("ls", "ls f sub/dir/f"))
	o.wants(pipeline.Success, "sub/dir/f")
	o.wantOutput("commit", "5ca1ab1e")
	o.wantOutput("ref", "v1")
	o.wantOutput("ref2", "refs/heads/main")
	want := []checkOut{
		{"other/repo", action.CheckOut{Ref: "v1", Tags: true, LFS: true, Submodules: "recursive", Filter: "blob:none", Sparse: []string{"a", "b"}, Token: "t0ken", Server: "https://git.example.com"}},
		{"", action.CheckOut{Clean: true, Cone: true, Depth: 1, Token: "s3cr3t-token"}},
	}
	if d := cmp.Diff(want, w.checkout.calls, cmp.AllowUnexported(checkOut{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCheckoutOwnRefs(t *testing.T) {
	for ref, want := range map[string]string{"main": "", "refs/heads/main": "", "5ca1ab1e": "", "dev": "dev"} {
		w := newWorld(t)
		w.run(nil, use("a", "actions/checkout@v4", mapping{"ref": ref, "repository": "Acme/App"})).wants(pipeline.Success)
		if c := w.checkout.calls[0]; c.Ref != want || c.repository != "" {
			t.Errorf("%s: %+v", ref, c)
		}
	}
}

func TestCheckoutErrors(t *testing.T) {
	for want, with := range map[string]mapping{
		`path "../x" leads out of the work folder`:               {"path": "../x"},
		`input "clean" is "maybe"; it must be true or false`:     {"clean": "maybe"},
		`input "fetch-depth" is "-1"; it must be a whole number`: {"fetch-depth": "-1"},
		`input "submodules" is "all"`:                            {"submodules": "all"},
		`repository "x" is not of the form OWNER/NAME`:           {"repository": "x"},
		`cannot be the name of a branch, tag or commit`:          {"ref": "--upload-pack=x"},
		`ssh-key is not supported here`:                          {"repository": "a/b", "ssh-key": "k"},
		`no such ref`:                                            {"ref": "none"},
	} {
		newWorld(t).run(nil, use("a", "actions/checkout@v4", with)).wants(pipeline.Failure, want)
	}
	w := newWorld(t)
	w.options.Checkout = nil
	w.run(nil, use("a", "actions/checkout@v4", nil)).wants(pipeline.Failure, "checking out is not set up")
}

func TestCheckoutInPlace(t *testing.T) {
	w := newWorld(t)
	w.inPlace, w.options.InPlace = t.TempDir(), true
	o := w.run(map[string]string{"commit": "=steps.a.outputs.commit"}, use("a", "actions/checkout@v4", nil))
	o.wants(pipeline.Success, "stays as it is")
	o.wantOutput("commit", "5ca1ab1e")
	if len(w.checkout.calls) != 0 {
		t.Errorf("checked out: %v", w.checkout.calls)
	}
	w.run(nil, use("a", "actions/checkout@v4", mapping{"ref": "dev"})).wants(pipeline.Failure, `"dev" is not to be checked out`)
	if left, _ := os.ReadDir(w.inPlace); len(left) != 0 {
		t.Errorf("in the folder: %v", left)
	}
}

// The token is at hand for git in later steps, and neither in the work copy nor in the log.
func TestCheckoutPersistsCredentials(t *testing.T) {
	needs(t, "git")
	w := newWorld(t)
	w.checkout.files[".git/config"] = "[core]\n\tbare = false\n"
	w.checkout.files[".git/HEAD"] = "ref: refs/heads/main\n"
	w.checkout.files[".git/objects/x"] = ""
	w.checkout.files[".git/refs/x"] = ""
	o := w.run(nil, use("a", "actions/checkout@v4", nil),
		sh("get", `git config --get http.https://github.com/.extraheader | grep -c "AUTHORIZATION: basic"; ! grep -r basic .git`))
	o.wants(pipeline.Success, "1")
	o = w.run(nil, use("a", "actions/checkout@v4", mapping{"persist-credentials": "false"}), sh("get", `git config --get http.https://github.com/.extraheader || echo none`))
	o.wants(pipeline.Success, "none")
}

func TestNoBuiltins(t *testing.T) {
	w := newWorld(t)
	w.options.NoBuiltins = true
	w.remote("actions/checkout", map[string]string{"action.yml": `{"using": "composite", "steps": [{"id": "x", "run": "echo the real one"}]}`})
	w.run(nil, use("a", "actions/checkout@v4", nil)).wants(pipeline.Success, "the real one")
	if len(w.checkout.calls) != 0 {
		t.Error("the built-in one ran")
	}
}
