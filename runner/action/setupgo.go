package action

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/gantry-ops/gantry/pipeline"
)

// setupGoAction stands for actions/setup-go: it finds an installed Go that satisfies the request.
var setupGoAction = &builtin{
	inputs: []pipeline.Input{
		input("go-version", ""), input("go-version-file", ""), input("check-latest", "false"), input("token", ""), input("cache", "true"),
		input("cache-dependency-path", ""), input("architecture", ""), input("go-download-base-url", ""),
	},
	run: runSetupGo,
}

var goTools = toolKind{
	name: "go", program: "bin/go", onPath: []string{"go"},
	usual: []string{
		"/usr/local/go", "/usr/local/go*", "~/sdk/go*", "/usr/lib/go-*", "/usr/lib/go", "/usr/lib/golang", "/opt/hostedtoolcache/go/*/ARCH",
		"~/.local/share/mise/installs/go/*", "~/.asdf/installs/golang/*/go", "~/.gvm/gos/go*", "/opt/homebrew/opt/go*/libexec",
		"~/go/pkg/mod/golang.org/toolchain@v0.0.1-go*",
	},
	version: func(ctx context.Context, c *call, root, program string) (*semver.Version, bool) {
		// The file is quicker than the program, and every distribution has it. A link on PATH hides where it is.
		if b, err := c.ws().ReadFile(ctx, path.Join(root, "VERSION"), 4096); err == nil {
			first, _, _ := strings.Cut(string(b), "\n")
			return parseVersion(first)
		}
		fields := strings.Fields(c.execIn(ctx, []pipeline.EnvVar{{Name: "GOTOOLCHAIN", Value: "local"}}, program, "version"))
		if len(fields) < 3 {
			return nil, false
		}
		return parseVersion(fields[2])
	},
}

func runSetupGo(ctx context.Context, c *call) (pipeline.Status, error) {
	var latest, cache bool
	if err := c.booleans(map[string]*bool{"check-latest": &latest, "cache": &cache}); err != nil {
		return "", err
	}
	if u := c.text("go-download-base-url"); u != "" {
		return "", fmt.Errorf("go-download-base-url is not supported: the built-in action uses what is installed, it downloads nothing from %s", u)
	}
	want, err := c.wantedGo(ctx)
	if err != nil {
		return "", err
	}
	if latest {
		c.logf("check-latest: the newest Go that is installed is used; newer ones are not looked for.")
	}
	enough := func(t tool) bool { return !latest && !want.any && want.allows(t.version) }
	tools := goTools.find(ctx, c, c.arch(), enough)
	t, ok := want.best(tools)
	if !ok {
		return c.fetchGo(ctx, want, tools, cache)
	}
	return c.useGo(ctx, t, want, cache)
}

// useGo makes an installation the one that later steps find.
func (c *call) useGo(ctx context.Context, t tool, want goRequest, cache bool) (pipeline.Status, error) {
	version := goVersion(t.version)
	c.logf("Go %s from %s", version, t.root)
	if want.minimum != nil && !t.version.Equal(want.minimum) {
		c.logf("%s asks for Go %s or newer.", want.file, goVersion(want.minimum))
	}
	if err := c.expose(ctx, "go", t, "go", "gofmt"); err != nil {
		return "", err
	}
	if c.ref.modern(6) {
		// From version 6 on the action keeps go from fetching another toolchain by itself.
		c.setEnv("GOTOOLCHAIN", "local")
	}
	return c.finishGo(ctx, t.program, version, cache)
}

func (c *call) finishGo(ctx context.Context, program, version string, cache bool) (pipeline.Status, error) {
	env := strings.Split(c.exec(ctx, program, "env", "GOPATH", "GOMODCACHE", "GOCACHE"), "\n")
	if len(env) == 3 && env[0] != "" {
		c.addPath(path.Join(strings.Split(env[0], ":")[0], "bin"))
	}
	c.output("go-version", version)
	if cache && len(env) == 3 {
		// Version 6 of the action hashes go.mod, earlier ones go.sum.
		lock := []string{"go.sum", "go.mod"}
		if c.ref.modern(6) {
			lock = []string{"go.mod"}
		}
		if err := (moduleCache{prefix: "setup-go-" + version, lockFiles: lock, paths: env[1:]}).restore(ctx, c); err != nil {
			return "", err
		}
	} else {
		c.output("cache-hit", "false")
	}
	return pipeline.Success, c.matcher(ctx, "go", goMatcher)
}

// goMatcher finds what go build, vet and test say about lines of files.
const goMatcher = `{
  "problemMatcher": [
    {
      "owner": "go",
      "pattern": [
        {"regexp": "^\\s*(?:vet: )?(\\S+\\.go):(\\d+)(?::(\\d+))?: (.+)$", "file": 1, "line": 2, "column": 3, "message": 4}
      ]
    }
  ]
}
`

// goRequest is which Go a step asks for.
type goRequest struct {
	versionRange
	// any is set where nothing is asked for: the first found will do.
	any bool
	// minimum is the version in a module's go line: newer patches will do, and newer releases too where there are none.
	minimum *semver.Version
	file    string
	// newest asks for the newest release; back is how many minor releases below it: 1 for oldstable.
	newest bool
	back   uint64
}

func (c *call) wantedGo(ctx context.Context) (goRequest, error) {
	version, file := c.text("go-version"), c.text("go-version-file")
	if version != "" && file != "" {
		c.warnf("both go-version and go-version-file are given: go-version counts")
	}
	switch {
	case version == "stable":
		return goRequest{newest: true}, nil
	case version == "oldstable":
		return goRequest{newest: true, back: 1}, nil
	case version != "":
		r, err := parseRange(version, false)
		return goRequest{versionRange: r}, err
	case file != "":
		return c.goFromFile(ctx, file)
	}
	return goRequest{any: true}, nil
}

// goFromFile reads the version that a file of the repository asks for.
func (c *call) goFromFile(ctx context.Context, file string) (goRequest, error) {
	b, err := c.ws().ReadFile(ctx, c.path(file), 1<<20)
	if err != nil {
		return goRequest{}, fmt.Errorf("read go-version-file %s: %w; is a checkout missing before this step?", file, err)
	}
	base := path.Base(file)
	var version string
	minimum := false
	switch {
	case base == "go.mod" || base == "go.work" || strings.HasSuffix(base, ".mod"):
		version, minimum = goDirective(string(b))
	case base == ".tool-versions":
		version = toolVersion(string(b), "golang", "go")
	default:
		version = firstLine(string(b))
	}
	if version == "" {
		return goRequest{}, fmt.Errorf("%s names no Go version", file)
	}
	if minimum {
		v, ok := parseVersion(version)
		if !ok {
			return goRequest{}, fmt.Errorf("%s: %q is no Go version", file, version)
		}
		return goRequest{minimum: v, file: file}, nil
	}
	r, err := parseRange(version, false)
	return goRequest{versionRange: r, file: file}, err
}

// goDirective returns the version of the toolchain line, or of the go line, of a go.mod or go.work. Both are minimums.
func goDirective(text string) (version string, ok bool) {
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "//")
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "toolchain" && strings.HasPrefix(f[1], "go"):
			return strings.TrimPrefix(f[1], "go"), true
		case len(f) == 2 && f[0] == "go" && version == "":
			version = f[1]
		}
	}
	return version, version != ""
}

// toolVersion returns a tool's version in the text of a .tool-versions file.
func toolVersion(text string, names ...string) string {
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		for _, n := range names {
			if len(f) >= 2 && f[0] == n {
				return f[1]
			}
		}
	}
	return ""
}

func firstLine(text string) string {
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}

func (r goRequest) allows(v *semver.Version) bool {
	switch {
	case r.any, r.newest:
		return true
	case r.minimum != nil:
		return !v.LessThan(r.minimum) && v.Major() == r.minimum.Major() && v.Minor() == r.minimum.Minor()
	}
	return r.versionRange.allows(v)
}

// best chooses among the installations.
func (r goRequest) best(tools []tool) (tool, bool) {
	if r.any {
		if len(tools) == 0 {
			return tool{}, false
		}
		return tools[0], true
	}
	pick := func(ok func(*semver.Version) bool) (b tool) {
		for _, t := range tools {
			if ok(t.version) && (b.version == nil || t.version.GreaterThan(b.version)) {
				b = t
			}
		}
		return b
	}
	if r.newest {
		stable := func(v *semver.Version) bool { return v.Prerelease() == "" }
		b := pick(stable)
		if b.version != nil && r.back > 0 {
			minor := b.version.Minor() - r.back
			b = pick(func(v *semver.Version) bool { return stable(v) && v.Minor() == minor })
		}
		return b, b.version != nil
	}
	b := pick(r.allows)
	if b.version == nil && r.minimum != nil {
		// Go promises that newer releases compile what older ones do.
		b = pick(func(v *semver.Version) bool { return v.Prerelease() == "" && !v.LessThan(r.minimum) })
	}
	return b, b.version != nil
}

func (r goRequest) String() string {
	switch {
	case r.any:
		return "any version"
	case r.newest && r.back > 0:
		return "oldstable"
	case r.newest:
		return "stable"
	case r.minimum != nil:
		return goVersion(r.minimum) + " or newer (" + r.file + ")"
	}
	return r.text
}

// goVersion writes a version as Go does.
func goVersion(v *semver.Version) string {
	o := strings.TrimPrefix(strings.TrimPrefix(v.Original(), "go"), "v")
	pre := v.Prerelease()
	if pre == "" {
		return o
	}
	base, _, _ := strings.Cut(o, "-")
	if v.Patch() == 0 {
		base = strings.TrimSuffix(base, ".0")
	}
	return base + strings.ReplaceAll(pre, ".", "")
}

// fetchGo is for where no installation will do. Go from 1.21 on can fetch other versions of itself: where one is installed
// and fetching is allowed, it is asked to; otherwise the error says what there is.
func (c *call) fetchGo(ctx context.Context, want goRequest, tools []tool, cache bool) (pipeline.Status, error) {
	name := want.toolchain()
	if name != "" && !c.o.Offline {
		for _, t := range tools {
			if t.version.LessThan(firstToolchain) {
				continue
			}
			c.logf("Go %s is not installed; asking Go %s to fetch it (GOTOOLCHAIN=%s)", want, goVersion(t.version), name)
			root := c.execIn(ctx, []pipeline.EnvVar{{Name: "GOTOOLCHAIN", Value: name}}, t.program, "env", "GOROOT")
			if root == "" {
				break
			}
			program := path.Join(root, "bin", "go")
			if v, ok := goTools.version(ctx, c, root, program); ok && want.allows(v) {
				return c.useGo(ctx, tool{version: v, root: root, program: program}, want, cache)
			}
			break
		}
	}
	how := "install it (for example below ~/sdk), or ask for an installed version"
	if c.o.Offline {
		how += "; this run is offline, otherwise an installed Go could fetch it"
	}
	return "", fmt.Errorf("Go %s is asked for and not installed; %s; %s", want, listed(tools), how)
}

var firstToolchain = semver.New(1, 21, 0, "", "")

// toolchain names the version for GOTOOLCHAIN; empty where the request is no single version.
func (r goRequest) toolchain() string {
	v := r.minimum
	if v == nil {
		v = r.exact
	}
	if v == nil && r.constraints != nil {
		// "1.24": its first release is sure to exist.
		if short, ok := parseVersion(r.text); ok && strings.Count(r.text, ".") == 1 {
			v = short
		}
	}
	if v == nil || v.LessThan(firstToolchain) {
		return ""
	}
	if v.Prerelease() != "" {
		return "go" + goVersion(v)
	}
	return fmt.Sprintf("go%d.%d.%d", v.Major(), v.Minor(), v.Patch())
}
