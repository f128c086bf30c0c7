package action

import (
	"bytes"
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// tool is an installed version of a language's tools.
type tool struct {
	version *semver.Version
	// root is the folder that holds bin, and program the program itself.
	root, program string
	// cached: it lies in the runner's tool folder.
	cached bool
}

// toolKind says how to look for the installations of a tool.
type toolKind struct {
	// name is the folder's in the runner's tool folder, program is relative to an installation's folder.
	name, program string
	// onPath are the programs to look for on PATH.
	onPath []string
	// usual are globs of installations' folders, "~" is the home folder.
	usual []string
	// version tells the version of an installation.
	version func(ctx context.Context, c *call, root, program string) (*semver.Version, bool)
}

// find returns the installations, those in the tool folder first, then those named by the options, then those on PATH, then
// those in the usual places; of each group the newest first. stop ends the search when a version will do.
func (k toolKind) find(ctx context.Context, c *call, arch string, enough func(tool) bool) []tool {
	var out []tool
	seen := map[string]bool{}
	add := func(root, program string, cached bool) bool {
		if seen[program] {
			return false
		}
		seen[program] = true
		v, ok := k.version(ctx, c, root, program)
		if !ok {
			return false
		}
		t := tool{version: v, root: root, program: program, cached: cached}
		out = append(out, t)
		return true
	}
	group := func(globs []string, cached bool) bool {
		from := len(out)
		for _, g := range globs {
			for _, program := range c.glob(ctx, path.Join(g, k.program)) {
				add(strings.TrimSuffix(strings.TrimSuffix(program, k.program), "/"), program, cached)
			}
		}
		slices.SortStableFunc(out[from:], func(a, b tool) int { return b.version.Compare(a.version) })
		return slices.ContainsFunc(out[from:], enough)
	}
	m := c.ws().Machine()
	if m.Tools != "" && group([]string{path.Join(escape(m.Tools), k.name, "*", arch)}, true) {
		return out
	}
	if group(c.o.ToolDirs, false) {
		return out
	}
	for _, name := range k.onPath {
		if program, ok := c.look(ctx, name); ok && add(path.Dir(path.Dir(program)), program, false) && enough(out[len(out)-1]) {
			return out
		}
	}
	var usual []string
	for _, g := range k.usual {
		usual = append(usual, strings.ReplaceAll(c.path(g), "ARCH", arch))
	}
	group(usual, false)
	return out
}

func escape(dir string) string {
	return strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// glob returns the files of the job that match, wherever the job is.
func (c *call) glob(ctx context.Context, pattern string) []string {
	fixed := pattern
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		fixed = path.Dir(pattern[:i] + "x")
	}
	if host, ok := c.ws().HostPath(fixed); ok {
		found, _ := filepath.Glob(escape(host) + strings.TrimPrefix(pattern, fixed))
		for i, f := range found {
			found[i] = path.Join(fixed, filepath.ToSlash(strings.TrimPrefix(f, host)))
		}
		return found
	}
	var out bytes.Buffer
	// The pattern is the program's own text: folders of the job and of this package's lists, without a shell's other signs.
	if strings.ContainsAny(pattern, "'\"`$;&|<>()\n") {
		return nil
	}
	script := "for f in " + strings.ReplaceAll(pattern, " ", `\ `) + `; do [ -e "$f" ] && echo "$f"; done; true`
	exit, err := c.ws().Exec(ctx, runner.Command{Argv: []string{"sh", "-c", script}, Dir: c.ws().Machine().Workspace, Env: c.step.Environ(nil)}, runner.Stdio{Out: &out})
	if err != nil || exit.Code != 0 {
		return nil
	}
	return strings.Fields(out.String())
}

// best returns the newest installation that the range allows. Where several have that version, the first found.
func best(tools []tool, r versionRange) (tool, bool) {
	var b tool
	for _, t := range tools {
		if r.allows(t.version) && (b.version == nil || t.version.GreaterThan(b.version)) {
			b = t
		}
	}
	return b, b.version != nil
}

// listed says what was found, for people.
func listed(tools []tool) string {
	if len(tools) == 0 {
		return "none is installed"
	}
	var s []string
	for _, t := range tools {
		s = append(s, t.version.Original()+" ("+t.root+")")
	}
	return "found: " + strings.Join(s, ", ")
}

// arch is the architecture as the tool folder has it.
func (c *call) arch() string {
	if a := c.text("architecture"); a != "" {
		return a
	}
	switch a := c.ws().Machine().Arch; a {
	case "X64", "X86", "ARM64", "ARM":
		return strings.ToLower(a)
	default:
		return a
	}
}

// addPath puts a folder in front of PATH for the following steps.
func (c *call) addPath(dir string) { c.step.Apply(pipeline.AddPath{Dir: dir}) }

func (c *call) setEnv(name, value string) {
	c.step.Apply(pipeline.SetEnv{Name: name, Value: value})
}

// shared are folders that hold the programs of many: in front of PATH they would hide what earlier steps have set up.
var shared = map[string]bool{"/usr/bin": true, "/usr/local/bin": true, "/bin": true, "/opt/homebrew/bin": true}

// expose makes later steps find a tool's programs: by its folder in front of PATH, or for a folder that others share by
// stand-ins for the programs named, those that are there.
func (c *call) expose(ctx context.Context, kind string, t tool, names ...string) error {
	dir := path.Dir(t.program)
	if !shared[dir] {
		c.addPath(dir)
		return nil
	}
	if found, ok := c.look(ctx, path.Base(t.program)); ok && found == t.program {
		return nil
	}
	stand := path.Join(c.ws().Machine().Temp, "tools", kind+"-"+t.version.String(), "bin")
	have := c.programs(ctx, dir)
	for _, n := range names {
		if have[n] {
			if err := c.standIn(ctx, stand, n, `"`+path.Join(dir, n)+`"`); err != nil {
				return err
			}
		}
	}
	c.addPath(stand)
	return nil
}

// programs lists the names in a folder.
func (c *call) programs(ctx context.Context, dir string) map[string]bool {
	have := map[string]bool{}
	for _, f := range c.glob(ctx, path.Join(escape(dir), "*")) {
		have[path.Base(f)] = true
	}
	return have
}

// standIn writes a program that runs another one.
func (c *call) standIn(ctx context.Context, dir, name, command string) error {
	return c.ws().WriteFile(ctx, path.Join(dir, name), []byte("#!/bin/sh\nexec "+command+" \"$@\"\n"), 0o755)
}

// matcher registers problem matchers, from a file of JSON that goes with the job.
func (c *call) matcher(ctx context.Context, name, content string) error {
	file := path.Join(c.ws().Machine().Temp, "matchers", name+".json")
	if err := c.ws().WriteFile(ctx, file, []byte(content), 0o644); err != nil {
		return err
	}
	c.step.Apply(pipeline.AddMatcher{File: file})
	return nil
}
