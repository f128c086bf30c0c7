package process

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// defaultPath is for an agent that has no PATH itself.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// prepare fills in what a start of the spec needs: the program, its arguments and its environment.
func (s Spec) prepare(l launch, ports map[string]int, secrets map[string]string) (launch, error) {
	path := os.Getenv("PATH")
	if path == "" {
		path = defaultPath
	}
	env := map[string]string{
		"PATH":          path,
		"HOME":          l.work(),
		"TMPDIR":        filepath.Join(l.work(), "tmp"),
		"GANTRY_BUNDLE": s.Bundle,
		"GANTRY_WORK":   l.work(),
	}
	maps.Copy(env, s.Env)
	expand := []string{"${GANTRY_BUNDLE}", s.Bundle, "${GANTRY_WORK}", l.work()}
	for n, name := range s.Ports {
		port := strconv.Itoa(ports[name])
		env[portVariable(name)] = port
		expand = append(expand, "${"+portVariable(name)+"}", port)
		more := s.Variables[name]
		if n == 0 && len(s.Variables) == 0 {
			more = "PORT"
		}
		if more != "" {
			env[more] = port
			expand = append(expand, "${"+more+"}", port)
		}
	}
	maps.Copy(env, secrets)
	env[markerName] = l.marker()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		l.env = append(l.env, name+"="+env[name])
	}
	l.bundle, l.limits = s.Bundle, s.Limits
	return l.command(s.Argv, env["PATH"], strings.NewReplacer(expand...))
}

// command sets the program and its arguments.
func (l launch) command(argv []string, path string, expand *strings.Replacer) (launch, error) {
	l.argv = nil
	for n, a := range argv {
		if n > 0 {
			a = expand.Replace(a)
		}
		l.argv = append(l.argv, a)
	}
	var err error
	l.path, err = program(argv[0], l.bundle, path)
	return l, err
}

// program finds the file of a program as Spec.Argv has it.
func program(name, bundle, path string) (string, error) {
	switch {
	case filepath.IsAbs(name):
		return name, nil
	case strings.ContainsRune(name, '/'):
		return filepath.Join(bundle, filepath.FromSlash(name)), nil
	}
	for _, dir := range append([]string{bundle}, filepath.SplitList(path)...) {
		file := filepath.Join(dir, name)
		if !filepath.IsAbs(file) {
			continue // the working folder is the workload's own
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: there is no such program in the bundle's folder nor on the PATH", name)
}
