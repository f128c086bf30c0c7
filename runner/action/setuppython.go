package action

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/google/shlex"

	"github.com/gantry-ops/gantry/pipeline"
)

// setupPythonAction stands for actions/setup-python: it finds an installed CPython that satisfies the request.
var setupPythonAction = &builtin{
	inputs: []pipeline.Input{
		input("python-version", ""), input("python-version-file", ""), input("cache", ""), input("architecture", ""), input("check-latest", "false"),
		input("token", ""), input("cache-dependency-path", ""), input("update-environment", "true"), input("allow-prereleases", "false"),
		input("freethreaded", "false"), input("pip-version", ""), input("pip-install", ""),
	},
	run: runSetupPython,
}

var pythonTools = toolKind{
	name: "Python", program: "bin/python3", onPath: []string{"python3", "python"},
	usual: []string{
		"/opt/hostedtoolcache/Python/*/ARCH", "~/.pyenv/versions/*", "~/.local/share/uv/python/cpython-*", "~/.local/share/mise/installs/python/*",
		"~/.asdf/installs/python/*", "/usr/local", "/usr", "/opt/python*", "/opt/homebrew/opt/python@*",
	},
	version: func(ctx context.Context, c *call, root, program string) (*semver.Version, bool) {
		return parseVersion(c.exec(ctx, program, "--version"))
	},
}

func runSetupPython(ctx context.Context, c *call) (pipeline.Status, error) {
	var latest, prereleases, free, update bool
	if err := c.booleans(map[string]*bool{"check-latest": &latest, "allow-prereleases": &prereleases, "freethreaded": &free, "update-environment": &update}); err != nil {
		return "", err
	}
	if free {
		return "", errors.New("freethreaded is not supported: builds of Python without the lock are not looked for")
	}
	wanted, err := c.wantedPythons(ctx)
	if err != nil {
		return "", err
	}
	for _, w := range wanted {
		if err := c.setupPython(ctx, w, latest, prereleases, update); err != nil {
			return "", err
		}
	}
	if manager := c.text("cache"); manager != "" {
		if err := c.pythonCache(ctx, manager); err != nil {
			return "", err
		}
	} else {
		c.output("cache-hit", "false")
	}
	return c.pip(ctx)
}

// wantedPythons returns the versions asked for; the last one is what `python` is then.
func (c *call) wantedPythons(ctx context.Context) ([]string, error) {
	versions, file := c.lines("python-version"), c.text("python-version-file")
	if len(versions) > 0 {
		if file != "" {
			c.warnf("both python-version and python-version-file are given: python-version counts")
		}
		return versions, nil
	}
	if file == "" {
		file = ".python-version"
		if _, err := c.ws().ReadFile(ctx, c.path(file), 1<<20); err != nil {
			c.warnf("neither python-version nor python-version-file is given, and there is no .python-version: the Python on PATH is used")
			return []string{"*"}, nil
		}
	}
	b, err := c.ws().ReadFile(ctx, c.path(file), 1<<20)
	if err != nil {
		return nil, fmt.Errorf("read python-version-file %s: %w; is a checkout missing before this step?", file, err)
	}
	switch base := path.Base(file); {
	case strings.HasSuffix(base, ".toml"):
		if v := pythonFromProject(string(b)); v != "" {
			return []string{v}, nil
		}
	case base == ".tool-versions":
		if v := toolVersion(string(b), "python"); v != "" {
			return []string{v}, nil
		}
	case base == "Pipfile":
		if v := tomlText(string(b), "requires", "python_full_version"); v != "" {
			return []string{v}, nil
		}
		if v := tomlText(string(b), "requires", "python_version"); v != "" {
			return []string{v}, nil
		}
	default:
		var out []string
		for _, line := range strings.Split(string(b), "\n") {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, strings.TrimPrefix(line, "python-"))
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s names no Python version", file)
}

// pythonFromProject returns what a pyproject.toml asks for: requires-python, or Poetry's dependency.
func pythonFromProject(text string) string {
	if v := tomlText(text, "project", "requires-python"); v != "" {
		// Python's ranges separate by commas and write == and ~=, npm's by blanks.
		v = strings.NewReplacer("~=", "~", "===", "=", "==", "=", ",", " ").Replace(v)
		return strings.Join(strings.Fields(v), " ")
	}
	return tomlText(text, "tool.poetry.dependencies", "python")
}

// tomlText returns a text of a table, as such files write it: on one line.
func tomlText(text, table, key string) string {
	in := false
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = strings.TrimSpace(strings.Trim(line, "[]")) == table
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !in || !ok || strings.Trim(strings.TrimSpace(name), `"'`) != key {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) > 1 && (value[0] == '"' || value[0] == '\'') {
			if end := strings.IndexByte(value[1:], value[0]); end >= 0 {
				return value[1 : 1+end]
			}
		}
	}
	return ""
}

func (c *call) setupPython(ctx context.Context, want string, latest, prereleases, update bool) error {
	if strings.HasPrefix(want, "pypy") || strings.HasPrefix(want, "graalpy") || strings.HasSuffix(want, "t") && want != "latest" {
		return fmt.Errorf("python-version %q is not supported: only CPython, with its lock, is looked for", want)
	}
	text := want
	if minor, ok := strings.CutSuffix(want, "-dev"); ok {
		text, prereleases = "~"+minor+".0-0", true
	}
	r, err := parseRange(text, prereleases)
	if err != nil {
		return err
	}
	if latest {
		c.logf("check-latest: the newest Python that is installed is used; newer ones are not looked for.")
	}
	tools := pythonTools.find(ctx, c, c.arch(), func(t tool) bool { return !latest && r.allows(t.version) })
	t, ok := best(tools, r)
	if !ok {
		return fmt.Errorf("Python %s is asked for and not installed; %s; install it (for example with pyenv or uv), or ask for an installed version", want, listed(tools))
	}
	// What is on PATH may be a stand-in for the real one.
	if at := strings.Split(c.exec(ctx, t.program, "-c", "import sys; print(sys.prefix); print(sys.executable)"), "\n"); len(at) == 2 && at[1] != "" {
		t.root, t.program = at[0], at[1]
	}
	c.logf("Python %s from %s", t.version.String(), t.root)
	c.output("python-version", t.version.String())
	c.output("python-path", t.program)
	if !update {
		return nil
	}
	c.setEnv("pythonLocation", t.root)
	for _, name := range []string{"Python_ROOT_DIR", "Python2_ROOT_DIR", "Python3_ROOT_DIR"} {
		c.setEnv(name, t.root)
	}
	c.setEnv("PKG_CONFIG_PATH", path.Join(t.root, "lib", "pkgconfig"))
	if t.root != "/usr" {
		lib := path.Join(t.root, "lib")
		if old := valueOf(c.step.Environ(nil), "LD_LIBRARY_PATH"); old != "" {
			lib += ":" + old
		}
		c.setEnv("LD_LIBRARY_PATH", lib)
	}
	return c.exposePython(ctx, t)
}

// exposePython makes sure that `python` and `pip` are what was chosen: distributions often have only python3.
func (c *call) exposePython(ctx context.Context, t tool) error {
	dir := path.Dir(t.program)
	have := c.programs(ctx, dir)
	if !shared[dir] {
		c.addPath(dir)
		if have["python"] && have["pip"] {
			return nil
		}
	}
	stand := path.Join(c.ws().Machine().Temp, "tools", "python-"+t.version.String(), "bin")
	for _, name := range []string{"python", "python3", "pip", "pip3"} {
		command := `"` + t.program + `"`
		if strings.HasPrefix(name, "pip") {
			command += " -m pip"
		}
		if have[name] && !shared[dir] {
			continue
		}
		if err := c.standIn(ctx, stand, name, command); err != nil {
			return err
		}
	}
	c.addPath(stand)
	return nil
}

func (c *call) pythonCache(ctx context.Context, manager string) error {
	m := moduleCache{prefix: "setup-python-" + manager}
	switch manager {
	case "pip":
		m.lockFiles = []string{"requirements.txt", "pyproject.toml"}
		m.paths = []string{path.Join(c.home(), ".cache", "pip")}
	case "pipenv":
		m.lockFiles = []string{"Pipfile.lock"}
		m.paths = []string{path.Join(c.home(), ".local", "share", "virtualenvs")}
	case "poetry":
		m.lockFiles = []string{"poetry.lock"}
		m.paths = []string{path.Join(c.home(), ".cache", "pypoetry")}
	default:
		return fmt.Errorf("cache is %q; it must be pip, pipenv or poetry", manager)
	}
	return m.restore(ctx, c)
}

// pip runs what pip-version and pip-install ask for, with its output in the step's log.
func (c *call) pip(ctx context.Context) (pipeline.Status, error) {
	install, err := shlex.Split(c.text("pip-install"))
	if err != nil {
		return "", fmt.Errorf("pip-install: %w", err)
	}
	var runs [][]string
	if v := c.text("pip-version"); v != "" {
		runs = append(runs, []string{"--upgrade", "--disable-pip-version-check", "pip==" + v})
	}
	if len(install) > 0 {
		runs = append(runs, install)
	}
	for _, args := range runs {
		exit, err := c.step.Exec(ctx, append([]string{"python", "-m", "pip", "install"}, args...), "", nil)
		if err != nil {
			return "", err
		}
		if s := statusOf(exit); s != pipeline.Success {
			return s, nil
		}
	}
	return pipeline.Success, c.matcher(ctx, "python", pythonMatcher)
}

// pythonMatcher finds the last place of a Traceback.
const pythonMatcher = `{
  "problemMatcher": [
    {
      "owner": "python",
      "pattern": [
        {"regexp": "^\\s*File \"([^\"]+)\", line (\\d+), in .+$", "file": 1, "line": 2},
        {"regexp": "^\\s*raise .*$"},
        {"regexp": "^\\s*(\\S.*)$", "message": 1}
      ]
    }
  ]
}
`
