package process

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Spec is what is wanted of an instance. It does not change; another version is another instance.
type Spec struct {
	// ID names the instance on its host: 1 to 100 letters, digits, points, hyphens and underscores, the first a letter or digit.
	ID string `json:"id"`
	// Labels are the caller's: kept, and in the status.
	Labels map[string]string `json:"labels,omitempty"`
	// Bundle is the absolute path of the folder with the workload's files.
	Bundle string `json:"bundle"`
	// Argv is the program and its arguments. A program with a slash is below the bundle unless absolute; one without is the bundle's own
	// or else found by PATH. In arguments, ${GANTRY_BUNDLE}, ${GANTRY_WORK}, ${PORT} and ${PORT_NAME} are replaced, nothing else is.
	Argv []string `json:"argv"`
	// Env is added to the environment, which begins with PATH, HOME, TMPDIR, GANTRY_BUNDLE and GANTRY_WORK.
	Env map[string]string `json:"env,omitempty"`
	// Secrets are added to the environment as well. Only their names are recorded; see [Options.Secrets] for how they come back.
	Secrets map[string]string `json:"-"`
	// Ports are the names of TCP ports to hand out. Each is in the environment as PORT_NAME, in capitals and with _ for all but letters
	// and digits; the first also as PORT.
	Ports []string `json:"ports,omitempty"`
	// Variables name further environment variables for ports, by the port's name: "http" → "LISTEN_PORT". Where there are any, the first
	// port is not in PORT as well, unless it is named here.
	Variables map[string]string `json:"variables,omitempty"`
	Limits    Limits            `json:"limits,omitzero"`
	Check     Check             `json:"check,omitzero"`
	Stop      Stop              `json:"stop,omitzero"`
	// NoRestart leaves an instance that has ended as it is.
	NoRestart bool `json:"noRestart,omitempty"`
}

// Limits of an instance and all that comes from it; 0 is none.
type Limits struct {
	// Memory in bytes, without swap.
	Memory int64 `json:"memory,omitempty"`
	// CPU in cores: 0.5 is half of one.
	CPU float64 `json:"cpu,omitempty"`
	// PIDs is how many processes and threads there may be.
	PIDs int64 `json:"pids,omitempty"`
}

// Stop says how an instance is asked to end.
type Stop struct {
	// Signal: "TERM" (the default), "INT", "QUIT", "HUP", "USR1" or "USR2".
	Signal string `json:"signal,omitempty"`
	// Grace is how long it has until it is killed. Default 10 s.
	Grace time.Duration `json:"grace,omitempty"`
}

// Kinds of checks.
const (
	CheckNone    = ""
	CheckHTTP    = "http"
	CheckTCP     = "tcp"
	CheckCommand = "command"
)

// Check says when an instance is healthy. A duration or a count that is 0 has its default.
type Check struct {
	// Kind: [CheckHTTP] is passed by a status from 200 to 299, with its body or the first 64 KiB of it, within Timeout; redirects are
	// not followed. [CheckTCP] by a connection; [CheckCommand] by exit code 0; [CheckNone] by being alive.
	Kind string `json:"kind,omitempty"`
	// Port is the name of the port for HTTP and TCP. Default: the first.
	Port string `json:"port,omitempty"`
	// Path and query of the request. Default "/".
	Path string `json:"path,omitempty"`
	// Host is the request's Host header. Default: the address.
	Host string `json:"host,omitempty"`
	// Command is run in the working folder with the workload's environment, its program looked up like Argv's.
	Command []string `json:"command,omitempty"`
	// Interval from the beginning of a check to that of the next, which waits for the end of the one before. Default 1 s.
	Interval time.Duration `json:"interval,omitempty"`
	// Timeout of a check. Default 3 s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Passes in a row until it is healthy. Default 2.
	Passes int `json:"passes,omitempty"`
	// MinHealthy is how long it must have passed, from the first pass in the row (without a check: from the start). Default 1 s.
	MinHealthy time.Duration `json:"minHealthy,omitempty"`
	// StartWithin is how long it has from its start until it is healthy; then it is ended. Default 60 s.
	StartWithin time.Duration `json:"startWithin,omitempty"`
	// Failures in a row until a healthy one is unhealthy. Default 3.
	Failures int `json:"failures,omitempty"`
	// EndAfter is how long it may be unhealthy until it is ended, and so restarted; 0: for ever.
	EndAfter time.Duration `json:"endAfter,omitempty"`
}

// ErrSpec: a spec is not valid.
var ErrSpec = errors.New("invalid spec")

var (
	idForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	portForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	envForm  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// stopSignals are the names that Stop.Signal may have.
var stopSignals = []string{"TERM", "INT", "QUIT", "HUP", "USR1", "USR2"}

// normal returns the spec with its defaults, apart from the caller's maps and slices, or ErrSpec with all that is wrong with it.
func (s Spec) normal() (Spec, error) {
	var wrong []string
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	s.Labels, s.Env, s.Secrets = maps.Clone(s.Labels), maps.Clone(s.Env), maps.Clone(s.Secrets)
	s.Variables = maps.Clone(s.Variables)
	s.Argv, s.Ports, s.Check.Command = slices.Clone(s.Argv), slices.Clone(s.Ports), slices.Clone(s.Check.Command)

	if !idForm.MatchString(s.ID) {
		fail("ID %q: want up to 100 letters, digits, points, hyphens and underscores", s.ID)
	}
	if !isAbs(s.Bundle) {
		fail("bundle %q: want an absolute path", s.Bundle)
	}
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		fail("there is no program to run")
	}
	for _, a := range slices.Concat(s.Argv, s.Check.Command) {
		if strings.ContainsRune(a, 0) {
			fail("argument %q has a NUL", a)
		}
	}
	s.checkEnv(fail)
	s.checkPorts(fail)
	if s.Limits.Memory < 0 || s.Limits.PIDs < 0 || s.Limits.CPU < 0 || math.IsNaN(s.Limits.CPU) || math.IsInf(s.Limits.CPU, 0) {
		fail("limits %+v: want numbers that are not negative", s.Limits)
	}
	if s.Stop.Signal = strings.TrimPrefix(s.Stop.Signal, "SIG"); s.Stop.Signal == "" {
		s.Stop.Signal = "TERM"
	}
	if !slices.Contains(stopSignals, s.Stop.Signal) {
		fail("stop signal %q: want one of %s", s.Stop.Signal, strings.Join(stopSignals, ", "))
	}
	positive(&s.Stop.Grace, 10*time.Second, "stop grace", fail)
	s.Check.normal(s.Ports, fail)
	if len(wrong) > 0 {
		return s, fmt.Errorf("%w: %s", ErrSpec, strings.Join(wrong, "; "))
	}
	return s, nil
}

func (s *Spec) checkEnv(fail func(string, ...any)) {
	for _, m := range []map[string]string{s.Env, s.Secrets} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			switch {
			case !envForm.MatchString(name):
				fail("%q is no name of a variable", name)
			case name == markerName || slices.Contains(s.portVariables(), name):
				fail("the variable %s is set by the agent", name)
			case strings.ContainsRune(m[name], 0):
				fail("the variable %s has a NUL in it", name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		if _, both := s.Env[name]; both {
			fail("the variable %s is a secret and is not", name)
		}
	}
}

func (s *Spec) checkPorts(fail func(string, ...any)) {
	seen := map[string]string{}
	for _, p := range s.Ports {
		if !portForm.MatchString(p) {
			fail("port %q: want a letter, then letters, digits, hyphens and underscores", p)
		}
		if other, ok := seen[portVariable(p)]; ok {
			fail("the ports %q and %q are both %s", other, p, portVariable(p))
		}
		seen[portVariable(p)] = p
	}
	for _, p := range slices.Sorted(maps.Keys(s.Variables)) {
		v := s.Variables[p]
		if !slices.Contains(s.Ports, p) {
			fail("the variable %s is for the port %q, which is none of the instance's", v, p)
		}
		if !envForm.MatchString(v) {
			fail("%q is no name of a variable", v)
		}
		if other, ok := seen[v]; ok && other != p {
			fail("the ports %q and %q are both %s", other, p, v)
		}
		seen[v] = p
	}
}

// portVariables are all variables that have a port's number.
func (s *Spec) portVariables() (names []string) {
	if len(s.Variables) == 0 {
		names = append(names, "PORT") // also without a port, so that nobody takes a number for one
	}
	for _, p := range s.Ports {
		names = append(names, portVariable(p))
	}
	return append(names, slices.Collect(maps.Values(s.Variables))...)
}

// toldBy is the variable by which people know a port.
func (s *Spec) toldBy(port string) string { return cmp.Or(s.Variables[port], portVariable(port)) }

// portVariable is the environment variable of a port.
func portVariable(name string) string {
	return "PORT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func (c *Check) normal(ports []string, fail func(string, ...any)) {
	switch c.Kind {
	case CheckNone:
	case CheckHTTP, CheckTCP:
		if c.Port == "" && len(ports) > 0 {
			c.Port = ports[0]
		}
		if !slices.Contains(ports, c.Port) {
			fail("the check's port %q is none of the instance's", c.Port)
		}
		if c.Path == "" {
			c.Path = "/"
		}
		if !strings.HasPrefix(c.Path, "/") || strings.ContainsFunc(c.Path, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			fail("the check's path %q: want one that begins with a slash, with spaces escaped", c.Path)
		}
	case CheckCommand:
		if len(c.Command) == 0 || c.Command[0] == "" {
			fail("the check has no command")
		}
	default:
		fail("check %q: want http, tcp, command or nothing", c.Kind)
	}
	positive(&c.Interval, time.Second, "the check's interval", fail)
	positive(&c.Timeout, 3*time.Second, "the check's timeout", fail)
	positive(&c.MinHealthy, time.Second, "the check's minimum healthy time", fail)
	positive(&c.StartWithin, time.Minute, "the check's start deadline", fail)
	positive(&c.EndAfter, 0, "the check's time until it ends an unhealthy one", fail)
	count(&c.Passes, 2, "the check's passes", fail)
	count(&c.Failures, 3, "the check's failures", fail)
	if c.MinHealthy >= c.StartWithin {
		fail("the check's minimum healthy time %v is no less than its start deadline %v", c.MinHealthy, c.StartWithin)
	}
}

func positive(d *time.Duration, standard time.Duration, what string, fail func(string, ...any)) {
	if *d == 0 {
		*d = standard
	}
	if *d < 0 {
		fail("%s %v is negative", what, *d)
	}
}

func count(n *int, standard int, what string, fail func(string, ...any)) {
	if *n == 0 {
		*n = standard
	}
	if *n < 0 {
		fail("%s %d are negative", what, *n)
	}
}
