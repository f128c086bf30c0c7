package action_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// say is a JavaScript program that shows its variables, sets an output and saves a state.
const say = `
const fs = require('fs');
console.log(process.argv[1].split('/').pop(), 'name=' + process.env.INPUT_NAME, 'long=' + process.env['INPUT_A_B-C'], 'state=' + (process.env.STATE_s || ''),
  'ref=' + (process.env.GITHUB_ACTION_REF || ''), 'token=' + (process.env.ACTIONS_RUNTIME_TOKEN ? 'yes' : 'no'));
fs.appendFileSync(process.env.GITHUB_OUTPUT, 'said=' + process.env.INPUT_NAME + '\n');
fs.appendFileSync(process.env.GITHUB_STATE, 's=' + (process.env.STATE_s || '') + process.argv[1].split('/').pop()[1] + '\n');
if (process.env.INPUT_NAME === 'fail' && process.argv[1].includes('main')) process.exit(3);
`

const sayDefinition = `{"using": "node20", "pre": "1pre.js", "main": "2main.js", "post": "3post.js",
  "inputs": [{"name": "name", "default": "=env.WHO"}, {"name": "a b-c", "default": "x"}, {"name": "old", "deprecated": "use name"}, {"name": "must", "required": true}]}`

func sayFiles() map[string]string {
	return map[string]string{"action.yml": sayDefinition, "1pre.js": say, "2main.js": say, "3post.js": say}
}

func TestJavaScriptAction(t *testing.T) {
	needs(t, "node")
	w := newWorld(t)
	w.env.Set("WHO", "world")
	w.remote("acme/say", sayFiles())
	o := w.run(map[string]string{"said": "=steps.b.outputs.said"},
		sh("first", "echo the first step"),
		use("a", "acme/say@v1", mapping{"name": "one", "must": "x"}),
		use("b", "acme/say@v1", mapping{"must": "x"}))
	o.wants(pipeline.Success, "acme/say@v1 is commit c0ffeev1")
	o.wantOutput("said", "world")
	var order []string
	for line := range strings.Lines(o.text()) {
		if strings.HasPrefix(line, "1pre") || strings.HasPrefix(line, "2main") || strings.HasPrefix(line, "3post") || strings.HasPrefix(line, "the first") {
			order = append(order, strings.TrimSpace(line))
		}
	}
	want := []string{
		"1pre.js name=one long=x state= ref=v1 token=yes",
		"1pre.js name=world long=x state= ref=v1 token=yes",
		"the first step",
		"2main.js name=one long=x state=p ref=v1 token=yes",
		"2main.js name=world long=x state=p ref=v1 token=yes",
		"3post.js name=world long=x state=pm ref=v1 token=yes",
		"3post.js name=one long=x state=pm ref=v1 token=yes",
	}
	if fmt.Sprint(order) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(order, "\n"), strings.Join(want, "\n"))
	}
}

func TestInputWarnings(t *testing.T) {
	needs(t, "node")
	w := newWorld(t)
	w.remote("acme/say", sayFiles())
	o := w.run(nil, use("a", "acme/say@v1", mapping{"nmae": "one", "old": "x"}))
	o.wants(pipeline.Success,
		`warning: acme/say@v1 has no input "nmae"; it has a b-c, must, name, old [ci.yml:10]`,
		`warning: input "old" is deprecated: use name`,
		`warning: input "must" of acme/say@v1 is required and not given`)
}

func TestPostConditions(t *testing.T) {
	needs(t, "node")
	w := newWorld(t)
	files := sayFiles()
	files["action.yml"] = strings.Replace(sayDefinition, `"post": "3post.js"`, `"post": "3post.js", "postif": "=success", "preif": "=failure"`, 1)
	w.remote("acme/say", files)
	o := w.run(nil, use("a", "acme/say@v1", mapping{"must": ""}), sh("bad", "exit 1"))
	o.wants(pipeline.Failure, "2main.js")
	o.lacks("1pre.js", "3post.js")
	// By default a post step runs even when its own step has failed.
	files["action.yml"] = sayDefinition
	w.remote("acme/say", files)
	o = w.run(nil, use("a", "acme/say@v1", mapping{"must": "", "name": "fail"}))
	o.wants(pipeline.Failure, "3post.js", "exit code 3")
}

func TestLocalAction(t *testing.T) {
	needs(t, "node")
	w := newWorld(t)
	w.checkout.files["act/action.yaml"] = sayDefinition
	for _, n := range []string{"1pre.js", "2main.js", "3post.js"} {
		w.checkout.files["act/"+n] = say
	}
	o := w.run(nil, use("co", "actions/checkout@v4", nil), use("a", "./act", mapping{"name": "x", "must": ""}))
	o.wants(pipeline.Success, "2main.js name=x", "3post.js name=x")
	o.lacks("1pre.js")
	w.run(nil, use("a", "./act", nil)).wants(pipeline.Failure, `ci.yml:10:`, `action "./act": act holds no action.yml, action.yaml or Dockerfile; is a checkout missing before this step?`)
	// An earlier step may make the action.
	w.run(nil, sh("make", `mkdir act; echo '{"using":"composite","steps":[{"id":"x","run":"echo made"}]}' > act/action.yml`), use("a", "./act", nil)).
		wants(pipeline.Success, "made")
}

func TestCompositeAction(t *testing.T) {
	needs(t, "node")
	w := newWorld(t)
	w.remote("acme/say", sayFiles())
	w.remote("acme/outer", map[string]string{"sub/action.yml": `{"using": "composite",
	  "inputs": [{"name": "who", "default": "nobody"}],
	  "steps": [{"id": "s", "uses": "acme/say@v2", "with": {"name": "=inputs.who", "must": ""}}, {"id": "r", "run": "echo path $GITHUB_ACTION_PATH"}],
	  "outputs": {"result": "=steps.s.outputs.said"}}`})
	o := w.run(map[string]string{"result": "=steps.a.outputs.result", "other": "=steps.b.outputs.result"},
		use("a", "acme/outer/sub@main", mapping{"who": "me"}), use("b", "acme/outer/sub@main", nil))
	o.wants(pipeline.Success, "1pre.js name=me", "1pre.js name=nobody", "2main.js name=me long=x state=p ref=v2", "3post.js name=me long=x state=pm",
		"/_actions/acme/outer/main/sub", "acme/say@v2 is commit")
	o.wantOutput("result", "me")
	o.wantOutput("other", "nobody")
}

func TestRecursionIsBounded(t *testing.T) {
	w := newWorld(t)
	w.remote("acme/loop", map[string]string{"action.yml": `{"using": "composite", "steps": [{"id": "s", "uses": "acme/loop@v1"}]}`})
	w.run(nil, use("a", "acme/loop@v1", nil)).wants(pipeline.Failure, "actions use actions more than 10 deep: acme/loop@v1 → acme/loop@v1")
	w.checkout.files["action.yml"] = `{"using": "composite", "steps": [{"id": "s", "uses": "./"}]}`
	w.run(nil, use("co", "actions/checkout@v4", nil), use("a", "./", nil)).wants(pipeline.Failure, "actions use actions more than 10 deep")
}

func TestReferenceErrors(t *testing.T) {
	w := newWorld(t)
	w.remote("acme/empty", map[string]string{"README": "x"})
	w.remote("acme/bad", map[string]string{"action.yml": "{"})
	w.remote("acme/js", map[string]string{"action.yml": `{"using": "node20"}`})
	for ref, want := range map[string]string{
		"acme/none@v1":      `ci.yml:10: action "acme/none@v1": repository acme/none: not found`,
		"acme/empty@v1":     `acme/empty@v1 holds no action.yml, action.yaml or Dockerfile`,
		"acme/bad@v1":       `acme/bad@v1/action.yml:1:1: error:`,
		"acme/js@v1":        `names no main program`,
		"acme/js":           `has no version; write it as OWNER/NAME@REF`,
		"js@v1":             `is not of the form OWNER/NAME@REF`,
		"acme/js/../x@v1":   `has ".." in its path`,
		"acme/js@--upload":  `cannot be the name of a branch or tag`,
		"../elsewhere@main": `has ".." in its path`,
		"./../elsewhere":    `leads out of the work folder`,
		"docker://":         `names no image`,
	} {
		w.run(nil, use("a", ref, nil)).wants(pipeline.Failure, want)
	}
	w.options.Source = nil
	w.run(nil, use("a", "acme/js@v1", nil)).wants(pipeline.Failure, "fetching actions is not set up")
}

func TestNodeIsMissing(t *testing.T) {
	w := newWorld(t)
	w.remote("acme/say", sayFiles())
	w.env.Set("PATH", "/usr/sbin/none")
	w.run(nil, use("a", "acme/say@v1", mapping{"must": ""})).wants(pipeline.Failure, "needs node on PATH; install Node.js 20 or newer")
}

func TestOldNode(t *testing.T) {
	needs(t, "node")
	w := newWorld(t)
	files := sayFiles()
	files["action.yml"] = strings.Replace(sayDefinition, "node20", "node999", 1)
	w.remote("acme/say", files)
	w.run(nil, use("a", "acme/say@v1", mapping{"must": ""})).wants(pipeline.Success, "warning: acme/say@v1 asks for Node.js 999, and node on PATH is v")
}

func TestContainerAction(t *testing.T) {
	w := newWorld(t)
	w.remote("acme/box", map[string]string{"Dockerfile": "FROM scratch", "deep/action.yml": `{"using": "docker", "image": "box/Dockerfile",
	  "entrypoint": "/main.sh", "postentrypoint": "/post.sh", "inputs": [{"name": "who"}], "args": ["hello", "=inputs.who"], "env": {"WHO": "=inputs.who"}}`})
	o := w.run(nil,
		use("a", "docker://alpine:3", mapping{"args": `echo "a b" c`, "entrypoint": "/bin/echo"}),
		use("b", "acme/box@v1", mapping{"args": "run"}),
		use("c", "acme/box/deep@v1", mapping{"who": "me"}))
	o.wants(pipeline.Success)
	if len(w.engine.runs) != 4 {
		t.Fatalf("%d containers ran", len(w.engine.runs))
	}
	a, b, c, post := w.engine.runs[0], w.engine.runs[1], w.engine.runs[2], w.engine.runs[3]
	if a.Image != "alpine:3" || a.Entrypoint != "/bin/echo" || strings.Join(a.Args, "|") != "echo|a b|c" {
		t.Errorf("docker://: %+v", a)
	}
	if !strings.HasSuffix(b.Build, "/_actions/acme/box/v1") || b.Dockerfile != "Dockerfile" || strings.Join(b.Args, "|") != "run" {
		t.Errorf("Dockerfile: %+v", b)
	}
	if !strings.HasSuffix(c.Build, "/acme/box/v1/deep/box") || c.Entrypoint != "/main.sh" || strings.Join(c.Args, "|") != "hello|me" {
		t.Errorf("action.yml: %+v", c)
	}
	env := map[string]string{}
	for _, v := range c.Env {
		env[v.Name] = v.Value
	}
	if env["WHO"] != "me" || env["INPUT_WHO"] != "me" {
		t.Errorf("env %v", env)
	}
	if post.Entrypoint != "/post.sh" {
		t.Errorf("post: %+v", post)
	}
	w.engine.exit.Code = 1
	w.run(nil, use("a", "docker://alpine:3", nil)).wants(pipeline.Failure)
	w.run(nil, use("a", "docker://alpine:3", mapping{"args": `"open`})).wants(pipeline.Failure, "args of docker://alpine:3")
}

func TestBadExpressionInInput(t *testing.T) {
	w := newWorld(t)
	w.remote("acme/say", sayFiles())
	w.run(nil, use("a", "acme/say@v1", mapping{"name": "=bad"})).wants(pipeline.Failure, "ci.yml:7: a bad expression")
}
