package action

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/gantry-ops/gantry/pipeline"
)

// setupNodeAction stands for actions/setup-node: it finds an installed Node.js that satisfies the request.
var setupNodeAction = &builtin{
	inputs: []pipeline.Input{
		input("node-version", ""), input("node-version-file", ""), input("architecture", ""), input("check-latest", "false"),
		input("registry-url", ""), input("scope", ""), input("token", ""), input("cache", ""), input("package-manager-cache", "true"),
		input("cache-dependency-path", ""), input("mirror", ""), input("mirror-token", ""), input("always-auth", "false"),
	},
	run: runSetupNode,
}

var nodeTools = toolKind{
	name: "node", program: "bin/node", onPath: []string{"node", "nodejs"},
	usual: []string{
		"/opt/hostedtoolcache/node/*/ARCH", "~/.nvm/versions/node/*", "~/.local/share/fnm/node-versions/*/installation", "~/.volta/tools/image/node/*",
		"~/.local/share/mise/installs/node/*", "~/.asdf/installs/nodejs/*", "/usr/local/n/versions/node/*", "~/n/n/versions/node/*", "/usr/local", "/usr",
		"/opt/node*", "/usr/local/lib/nodejs/*", "/opt/homebrew/opt/node*",
	},
	version: func(ctx context.Context, c *call, root, program string) (*semver.Version, bool) {
		return parseVersion(c.exec(ctx, program, "--version"))
	},
}

// nodeLTS are the code names of the long-term releases (https://github.com/nodejs/Release).
var nodeLTS = map[string]uint64{
	"argon": 4, "boron": 6, "carbon": 8, "dubnium": 10, "erbium": 12, "fermium": 14, "gallium": 16, "hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24,
}

func runSetupNode(ctx context.Context, c *call) (pipeline.Status, error) {
	var latest, managerCache, auth bool
	if err := c.booleans(map[string]*bool{"check-latest": &latest, "package-manager-cache": &managerCache, "always-auth": &auth}); err != nil {
		return "", err
	}
	if m := c.text("mirror"); m != "" {
		return "", fmt.Errorf("mirror is not supported: the built-in action uses what is installed, it downloads nothing from %s", m)
	}
	text, err := c.wantedNode(ctx)
	if err != nil {
		return "", err
	}
	if text == "" {
		return c.nodeOnPath(ctx, managerCache)
	}
	allows, err := nodeRange(text)
	if err != nil {
		return "", err
	}
	if latest {
		c.logf("check-latest: the newest Node.js that is installed is used; newer ones are not looked for.")
	}
	tools := nodeTools.find(ctx, c, c.arch(), func(t tool) bool { return !latest && allows(t.version) })
	var t tool
	for _, have := range tools {
		if allows(have.version) && (t.version == nil || have.version.GreaterThan(t.version)) {
			t = have
		}
	}
	if t.version == nil {
		return "", fmt.Errorf("Node.js %s is asked for and not installed; %s; install it (for example with nvm or fnm), or ask for an installed version", text, listed(tools))
	}
	c.logf("Node.js %s from %s", t.version, t.root)
	if err := c.expose(ctx, "node", t, "node", "npm", "npx", "corepack", "yarn", "pnpm"); err != nil {
		return "", err
	}
	return c.finishNode(ctx, t.version.String(), managerCache)
}

// nodeOnPath is for a step that names no version: what is there is used.
func (c *call) nodeOnPath(ctx context.Context, managerCache bool) (pipeline.Status, error) {
	program, ok := c.look(ctx, "node")
	if !ok {
		return "", fmt.Errorf("no node is on PATH, and the step names no version")
	}
	return c.finishNode(ctx, strings.TrimPrefix(c.exec(ctx, program, "--version"), "v"), managerCache)
}

func (c *call) finishNode(ctx context.Context, version string, managerCache bool) (pipeline.Status, error) {
	c.output("node-version", "v"+version)
	if err := c.registry(ctx); err != nil {
		return "", err
	}
	manager := c.text("cache")
	if manager == "" && managerCache && c.ref.modern(5) {
		manager = c.packageManager(ctx)
	}
	if manager != "" {
		if err := c.nodeCache(ctx, manager); err != nil {
			return "", err
		}
	} else {
		c.output("cache-hit", "false")
	}
	return pipeline.Success, c.matcher(ctx, "node", nodeMatcher)
}

// wantedNode returns the version or range asked for; empty: none.
func (c *call) wantedNode(ctx context.Context) (string, error) {
	version, file := c.text("node-version"), c.text("node-version-file")
	if version != "" && file != "" {
		c.warnf("both node-version and node-version-file are given: node-version counts")
	}
	if version != "" || file == "" {
		return version, nil
	}
	b, err := c.ws().ReadFile(ctx, c.path(file), 1<<20)
	if err != nil {
		return "", fmt.Errorf("read node-version-file %s: %w; is a checkout missing before this step?", file, err)
	}
	switch path.Base(file) {
	case "package.json":
		version, err = nodeFromPackage(b)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
	case ".tool-versions":
		version = toolVersion(string(b), "nodejs", "node")
	default:
		version = firstLine(string(b))
	}
	if version == "" {
		return "", fmt.Errorf("%s names no Node.js version", file)
	}
	return version, nil
}

// nodeFromPackage returns the version that a package.json asks for: volta's, devEngines', or engines'.
func nodeFromPackage(b []byte) (string, error) {
	var p struct {
		Volta      struct{ Node string }
		Engines    struct{ Node string }
		DevEngines struct{ Runtime json.RawMessage }
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return "", err
	}
	type runtime struct{ Name, Version string }
	var list []runtime
	if json.Unmarshal(p.DevEngines.Runtime, &list) != nil {
		var one runtime
		if json.Unmarshal(p.DevEngines.Runtime, &one) == nil {
			list = append(list, one)
		}
	}
	if p.Volta.Node != "" {
		return p.Volta.Node, nil
	}
	for _, r := range list {
		if r.Name == "node" {
			return r.Version, nil
		}
	}
	return p.Engines.Node, nil
}

// nodeRange reads a request: a version, a range, lts/*, lts/NAME, lts/-N, latest, node, current.
func nodeRange(text string) (func(*semver.Version) bool, error) {
	lower := strings.ToLower(text)
	switch {
	case lower == "latest" || lower == "node" || lower == "current":
		return func(v *semver.Version) bool { return v.Prerelease() == "" }, nil
	case lower == "lts/*" || lower == "lts":
		return func(v *semver.Version) bool { return v.Prerelease() == "" && v.Major()%2 == 0 && v.Major() >= 4 }, nil
	case strings.HasPrefix(lower, "lts/-"):
		return nil, fmt.Errorf("node version %q counts back from the newest release, which is not known here; name the version", text)
	case strings.HasPrefix(lower, "lts/"):
		m, ok := nodeLTS[strings.TrimPrefix(lower, "lts/")]
		if !ok {
			return nil, fmt.Errorf("node version %q is no long-term release that is known here", text)
		}
		return func(v *semver.Version) bool { return v.Prerelease() == "" && v.Major() == m }, nil
	case strings.Contains(lower, "nightly") || strings.Contains(lower, "canary") || strings.Contains(lower, "rc"):
		return nil, fmt.Errorf("node version %q is a build that is not released; install it and put it on PATH", text)
	}
	r, err := parseRange(text, false)
	return r.allows, err
}

// registry writes the configuration by which npm finds a registry, as the vendor's action does: the token itself stays in
// the environment.
func (c *call) registry(ctx context.Context) error {
	url := c.text("registry-url")
	if url == "" {
		return nil
	}
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return fmt.Errorf("registry-url %q is not a URL", url)
	}
	if !strings.HasSuffix(url, "/") {
		url += "/"
	}
	scope := c.text("scope")
	if scope == "" && strings.Contains(url, "npm.pkg.github.com") {
		scope = c.step.Scope().Run.Repository.Owner
	}
	if scope != "" {
		scope = strings.ToLower("@"+strings.TrimPrefix(scope, "@")) + ":"
	}
	_, bare, _ := strings.Cut(url, ":")
	file := path.Join(c.ws().Machine().Temp, ".npmrc")
	text := fmt.Sprintf("%s:_authToken=${NODE_AUTH_TOKEN}\n%sregistry=%s\n", bare, scope, url)
	if err := c.ws().WriteFile(ctx, file, []byte(text), 0o600); err != nil {
		return err
	}
	c.setEnv("NPM_CONFIG_USERCONFIG", file)
	if valueOf(c.step.Environ(nil), "NODE_AUTH_TOKEN") == "" {
		c.setEnv("NODE_AUTH_TOKEN", "XXXXX-XXXXX-XXXXX-XXXXX")
	}
	return nil
}

// packageManager returns npm where the repository's package.json asks for it, as version 5 of the action does.
func (c *call) packageManager(ctx context.Context) string {
	b, err := c.ws().ReadFile(ctx, c.path("package.json"), 1<<20)
	if err != nil {
		return ""
	}
	var p struct {
		PackageManager string
		DevEngines     struct{ PackageManager struct{ Name string } }
	}
	json.Unmarshal(b, &p) // a faulty file is npm's to complain about
	if strings.HasPrefix(p.PackageManager, "npm@") || p.DevEngines.PackageManager.Name == "npm" {
		return "npm"
	}
	return ""
}

func (c *call) nodeCache(ctx context.Context, manager string) error {
	m := moduleCache{prefix: "node-cache-" + manager}
	var ask []string
	switch manager {
	case "npm":
		m.lockFiles, ask = []string{"package-lock.json", "npm-shrinkwrap.json", "yarn.lock"}, []string{"npm", "config", "get", "cache"}
	case "yarn":
		m.lockFiles, ask = []string{"yarn.lock"}, []string{"yarn", "cache", "dir"}
	case "pnpm":
		m.lockFiles, ask = []string{"pnpm-lock.yaml"}, []string{"pnpm", "store", "path", "--silent"}
	default:
		return fmt.Errorf("cache is %q; it must be npm, yarn or pnpm", manager)
	}
	if c.ws().Container() == nil {
		m.paths = []string{"the downloads of " + manager}
		return m.restore(ctx, c)
	}
	dir := c.exec(ctx, ask...)
	if dir == "" {
		return fmt.Errorf("%s does not say where its cache is; is it installed?", manager)
	}
	m.paths = []string{dir}
	return m.restore(ctx, c)
}

// nodeMatcher finds what the TypeScript compiler and eslint say about lines of files.
const nodeMatcher = `{
  "problemMatcher": [
    {
      "owner": "tsc",
      "pattern": [
        {"regexp": "^(\\S.*?)[(:](\\d+)[,:](\\d+)\\)?\\s*[:-]\\s+(error|warning|info)\\s+(TS\\d+)\\s*:\\s*(.+)$", "file": 1, "line": 2, "column": 3, "severity": 4, "code": 5, "message": 6}
      ]
    },
    {
      "owner": "eslint-stylish",
      "pattern": [
        {"regexp": "^((?:[A-Za-z]:)?[./\\\\][^\\s:]*)$", "file": 1},
        {"regexp": "^\\s+(\\d+):(\\d+)\\s+(error|warning|info)\\s+(.+?)\\s{2,}(\\S+)\\s*$", "line": 1, "column": 2, "severity": 3, "message": 4, "code": 5, "loop": true}
      ]
    },
    {
      "owner": "eslint-compact",
      "pattern": [
        {"regexp": "^(.+): line (\\d+), col (\\d+), (Error|Warning|Info) - (.+?)(?: \\(([^()]+)\\))?$", "file": 1, "line": 2, "column": 3, "severity": 4, "message": 5, "code": 6}
      ]
    }
  ]
}
`
