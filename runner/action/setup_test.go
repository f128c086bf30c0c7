package action_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// install makes stand-ins for tools: files that say a version. Names are PATH=VERSION.
func install(t *testing.T, program string, versions ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, v := range versions {
		p := filepath.Join(dir, v, "bin", program)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		said := map[string]string{"node": "v" + v, "python3": "Python " + v, "go": "go version go" + v + " linux/amd64"}[program]
		script := "#!/bin/sh\ncase \"$1\" in version|--version) echo '" + said + "';; env) [ \"$2\" = GOPATH ] && printf '%s\\n' " + dir + "/gopath " + dir + "/mod " + dir + "/build || echo;; *) echo ran " + v + " \"$@\";; esac\n"
		if program == "python3" {
			script = "#!/bin/sh\ncase \"$1\" in --version) echo '" + said + "';; -c) echo " + filepath.Join(dir, v) + "; echo " + p + ";; *) echo ran " + v + " \"$@\";; esac\n"
		}
		if err := os.WriteFile(p, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "*")
}

// only keeps a world's steps from finding the machine's own tools on PATH.
func (w *world) only(dirs ...string) {
	w.options.ToolDirs = dirs
	w.env.Set("PATH", "/usr/bin:/bin")
}

func TestSetupGo(t *testing.T) {
	w := newWorld(t)
	w.only(install(t, "go", "1.21.5", "1.24.1", "1.24.9", "1.25.0", "1.99rc1"))
	w.options.Offline = true
	w.checkout.files["go.mod"] = "module m\n\ngo 1.24.3\n"
	w.checkout.files["tc.mod"] = "module m\n\ngo 1.21\n\ntoolchain go1.25.0 // for now\n"
	w.checkout.files["new.mod"] = "module m\n\ngo 1.98\n"
	w.checkout.files["old.mod"] = "module m\n\ngo 1.22\n"
	w.checkout.files[".go-version"] = "# ours\n1.24.1\n"
	w.checkout.files[".tool-versions"] = "nodejs 20.1.0\ngolang 1.21.5\n"
	out := map[string]string{"v": "=steps.go.outputs.go-version", "hit": "=steps.go.outputs.cache-hit"}
	for _, tc := range []struct{ name, value, want string }{
		{"go-version", "1.24", "1.24.9"},
		{"go-version", "1.24.x", "1.24.9"},
		{"go-version", "1.24.1", "1.24.1"},
		{"go-version", "^1.21.1", "1.25.0"},
		{"go-version", ">=1.21 <1.25", "1.24.9"},
		{"go-version", "1.99.0-rc.1", "1.99rc1"},
		{"go-version", "1.99rc1", "1.99rc1"},
		{"go-version-file", "go.mod", "1.24.9"},
		{"go-version-file", "tc.mod", "1.25.0"},
		{"go-version", "stable", "1.25.0"},
		{"go-version", "oldstable", "1.24.9"},
		{"go-version-file", ".go-version", "1.24.1"},
		{"go-version-file", ".tool-versions", "1.21.5"},
	} {
		t.Run(tc.name+" "+tc.value, func(t *testing.T) {
			o := w.run(out, use("co", "actions/checkout@v4", nil), use("go", "actions/setup-go@v5", mapping{tc.name: tc.value}), sh("run", "go build"))
			o.wants(pipeline.Success, "ran "+tc.want+" build")
			o.wantOutput("v", tc.want)
		})
	}
	for want, with := range map[string]mapping{
		"Go 1.20 is asked for and not installed; found: ": {"go-version": "1.20"},
		`version "one" is neither`:                        {"go-version": "one"},
		"read go-version-file none:":                      {"go-version-file": "none"},
		"go-download-base-url is not supported":           {"go-download-base-url": "https://x"},
		`input "cache" is "maybe"`:                        {"cache": "maybe"},
		"Go 1.98 or newer (new.mod) is asked for":         {"go-version-file": "new.mod"},
	} {
		w.run(nil, use("co", "actions/checkout@v4", nil), use("go", "actions/setup-go@v5", with)).wants(pipeline.Failure, want)
	}
}

// The machine's own Go is found, keeps its modules, and its complaints become annotations.
func TestSetupGoHere(t *testing.T) {
	needs(t, "go")
	w := newWorld(t)
	w.checkout.files["go.mod"] = "module m\n\ngo 1.21\n"
	w.checkout.files["m_test.go"] = "package m\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {\n\tt.Error(\"it broke\")\n}\n"
	o := w.run(map[string]string{"v": "=steps.go.outputs.go-version"}, use("co", "actions/checkout@v4", nil),
		use("go", "actions/setup-go@v6", mapping{"go-version-file": "go.mod"}), sh("test", "echo GOTOOLCHAIN=$GOTOOLCHAIN; go test ./..."))
	o.wants(pipeline.Failure, "GOTOOLCHAIN=local", "need no other cache", "it broke [m_test.go:6]")
	if !strings.HasPrefix(o.outputs["v"], "1.") {
		t.Errorf("version %q", o.outputs["v"])
	}
}

func TestSetupNode(t *testing.T) {
	w := newWorld(t)
	w.only(install(t, "node", "18.2.0", "20.5.0", "20.9.1", "21.0.0"))
	w.checkout.files[".nvmrc"] = "v18\n"
	w.checkout.files["package.json"] = `{"engines": {"node": "20.5.x"}}`
	w.checkout.files["volta/package.json"] = `{"volta": {"node": "18.2.0"}, "engines": {"node": "20"}}`
	w.checkout.files["dev/package.json"] = `{"devEngines": {"runtime": {"name": "node", "version": "^20.9"}}}`
	for _, tc := range []struct{ name, value, want string }{
		{"node-version", "20", "20.9.1"}, {"node-version", "20.5.0", "20.5.0"}, {"node-version", ">=18 <20", "18.2.0"},
		{"node-version", "lts/*", "20.9.1"}, {"node-version", "lts/Hydrogen", "18.2.0"}, {"node-version", "18.x || 16.x", "18.2.0"},
		{"node-version", "v20.5", "20.5.0"}, {"node-version-file", ".nvmrc", "18.2.0"}, {"node-version-file", "package.json", "20.5.0"},
		{"node-version-file", "volta/package.json", "18.2.0"}, {"node-version-file", "dev/package.json", "20.9.1"},
	} {
		t.Run(tc.name+" "+tc.value, func(t *testing.T) {
			o := w.run(map[string]string{"v": "=steps.n.outputs.node-version"}, use("co", "actions/checkout@v4", nil),
				use("n", "actions/setup-node@v4", mapping{tc.name: tc.value, "cache": "npm"}), sh("run", "node x.js"))
			o.wants(pipeline.Success, "ran "+tc.want+" x.js", "the downloads of npm stay on this machine")
			o.wantOutput("v", "v"+tc.want)
		})
	}
	o := w.run(nil, use("n", "actions/setup-node@v4", mapping{"node-version": "20", "registry-url": "https://npm.example.com", "scope": "acme"}), sh("look", "cat $NPM_CONFIG_USERCONFIG"))
	o.wants(pipeline.Success, "//npm.example.com/:_authToken=${NODE_AUTH_TOKEN}", "@acme:registry=https://npm.example.com/")
	for want, with := range map[string]mapping{
		"Node.js 99 is asked for and not installed; found: ": {"node-version": "99"},
		`counts back from the newest release`:                {"node-version": "lts/-1"},
		`no long-term release that is known`:                 {"node-version": "lts/zinc"},
		`a build that is not released`:                       {"node-version": "21-nightly"},
		`mirror is not supported`:                            {"mirror": "https://x"},
		`cache is "bower"`:                                   {"node-version": "20", "cache": "bower"},
		`registry-url "x" is not a URL`:                      {"node-version": "20", "registry-url": "x"},
		`read node-version-file none`:                        {"node-version-file": "none"},
	} {
		w.run(nil, use("n", "actions/setup-node@v4", with)).wants(pipeline.Failure, want)
	}
}

func TestSetupPython(t *testing.T) {
	w := newWorld(t)
	w.only(install(t, "python3", "3.9.1", "3.91.4", "3.92.0rc1"))
	w.checkout.files[".python-version"] = "3.91\n"
	w.checkout.files["pyproject.toml"] = "[build-system]\nrequires = []\n[project]\nname = 'x'\nrequires-python = \">=3.91, <4\" # now\n"
	w.checkout.files["Pipfile"] = "[requires]\npython_version = \"3.91\"\n"
	for _, tc := range []struct{ name, value, want string }{
		{"python-version", "3.91", "3.91.4"}, {"python-version", "3.9.1", "3.9.1"}, {"python-version", ">=3.90", "3.91.4"},
		{"python-version", "3.92-dev", "3.92.0-rc.1"}, {"python-version", "3.91\n3.9.1", "3.9.1"},
		{"python-version-file", ".python-version", "3.91.4"}, {"python-version-file", "pyproject.toml", "3.91.4"}, {"python-version-file", "Pipfile", "3.91.4"},
		{"cache", "pip", "3.91.4"},
	} {
		t.Run(tc.name+" "+tc.value, func(t *testing.T) {
			o := w.run(map[string]string{"v": "=steps.p.outputs.python-version", "path": "=steps.p.outputs.python-path"}, use("co", "actions/checkout@v4", nil),
				use("p", "actions/setup-python@v5", mapping{tc.name: tc.value}), sh("run", "python x.py; pip freeze; echo at $pythonLocation"))
			short := strings.ReplaceAll(tc.want, "-rc.", "rc")
			o.wants(pipeline.Success, "ran "+short+" x.py", "ran "+short+" -m pip freeze", "at /")
			o.wantOutput("v", tc.want)
			if !strings.HasSuffix(o.outputs["path"], "/bin/python3") {
				t.Errorf("path %q", o.outputs["path"])
			}
		})
	}
	w.run(nil, use("p", "actions/setup-python@v6", mapping{"python-version": "3.91", "pip-version": "25.1", "pip-install": "-r a.txt 'x y'"})).
		wants(pipeline.Success, "ran 3.91.4 -m pip install --upgrade --disable-pip-version-check pip==25.1", "ran 3.91.4 -m pip install -r a.txt x y")
	for want, with := range map[string]mapping{
		"Python 3.99 is asked for and not installed; found: ": {"python-version": "3.99"},
		`"pypy3.10" is not supported`:                         {"python-version": "pypy3.10"},
		`freethreaded is not supported`:                       {"python-version": "3.91", "freethreaded": "true"},
		`cache is "conda"`:                                    {"python-version": "3.91", "cache": "conda"},
	} {
		w.run(nil, use("p", "actions/setup-python@v5", with)).wants(pipeline.Failure, want)
	}
}

// A folder that many share is not put in front of PATH: it would hide what earlier steps have set up.
func TestSetupSharedFolder(t *testing.T) {
	needs(t, "python3")
	w := newWorld(t)
	w.only(install(t, "go", "1.24.1"))
	o := w.run(nil, sh("path", "mkdir -p $GITHUB_WORKSPACE/b; printf '#!/bin/sh\\necho mine' > b/ls; chmod +x b/ls; echo PATH=$GITHUB_WORKSPACE/b:$PATH >> $GITHUB_ENV"),
		use("p", "actions/setup-python@v5", mapping{"python-version": "3"}), sh("ls", "ls; python -c 'print(6 * 7)'; python3 -m pip --version > /dev/null || true"))
	o.wants(pipeline.Success, "mine", "42")
}

// Where an installed Go can fetch the one asked for, it is asked to; offline it is not.
func TestSetupGoFetches(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("have/bin/go", "#!/bin/sh\n[ \"$GOTOOLCHAIN $1 $2\" = 'go1.77.2 env GOROOT' ] && echo "+dir+"/fetched\n", 0o755)
	write("have/VERSION", "go1.24.1\ntime 2026-01-01T00:00:00Z\n", 0o644)
	write("fetched/bin/go", "#!/bin/sh\necho fetched \"$@\"\n", 0o755)
	write("fetched/VERSION", "go1.77.2\n", 0o644)
	w.only(filepath.Join(dir, "have"))
	step := use("go", "actions/setup-go@v5", mapping{"go-version": "1.77.2"})
	o := w.run(map[string]string{"v": "=steps.go.outputs.go-version"}, step, sh("run", "go build"))
	o.wants(pipeline.Success, "asking Go 1.24.1 to fetch it (GOTOOLCHAIN=go1.77.2)", "fetched build")
	o.wantOutput("v", "1.77.2")
	w.run(nil, use("go", "actions/setup-go@v5", mapping{"go-version": "1.78.0"})).wants(pipeline.Failure, "Go 1.78.0 is asked for and not installed; found: 1.24.1")
	w.options.Offline = true
	w.run(nil, step).wants(pipeline.Failure, "this run is offline, otherwise an installed Go could fetch it")
}
