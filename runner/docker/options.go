package docker

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/google/shlex"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/spf13/pflag"
)

// role is what a container is for; options differ.
type role int

const (
	forJob role = iota
	forService
	forStep
)

// createSpec is a container to be made, in the API's terms.
type createSpec struct {
	config   container.Config
	host     container.HostConfig
	endpoint network.EndpointSettings
	name     string
	platform string
	pull     Pull
}

// refused are the options of docker create that cannot be honoured, with the reason.
var refused = map[string]string{
	"attach":        "output is always collected",
	"cidfile":       "the container's ID is job.container.id",
	"env-file":      "set env: instead",
	"label-file":    "use --label instead",
	"link":          "containers of a job reach each other by name",
	"link-local-ip": "it needs a network set up by hand",
	"isolation":     "it exists on Windows only",
	"kernel-memory": "the engine no longer has it",
	"network":       "the job has a network of its own",
	"net":           "the job has a network of its own",
}

// parseOptions adds a command line of docker create options to a container. The whole line is looked at; all faults are
// reported together, each with the option's name.
func parseOptions(r role, line string, c *createSpec) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	argv, err := shlex.Split(line)
	if err != nil {
		return fmt.Errorf("options %q: %w", line, err)
	}
	f := pflag.NewFlagSet("options", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "dns-opt" {
			name = "dns-option"
		}
		return pflag.NormalizedName(name)
	})
	p := &optionSet{FlagSet: f}
	for name, why := range refused {
		p.refuse(name, why)
	}
	if r == forJob {
		p.refuse("entrypoint", "the container of a job is kept up by an entrypoint of its own")
	}
	p.identity(c)
	p.resources(c)
	p.isolation(c)
	p.network(c)
	p.health(c)
	p.storage(c)
	if err := f.Parse(argv); err != nil {
		return fmt.Errorf("options %q: %w", line, err)
	}
	if f.NArg() > 0 {
		p.faults = append(p.faults, fmt.Errorf("unexpected argument %q: only options of docker create can stand here", f.Arg(0)))
	}
	for _, finish := range p.finish {
		if err := finish(); err != nil {
			p.faults = append(p.faults, err)
		}
	}
	if len(p.faults) > 0 {
		return fmt.Errorf("options %q: %w", line, errors.Join(p.faults...))
	}
	return nil
}

// optionSet declares options by functions that apply one value each.
type optionSet struct {
	*pflag.FlagSet
	faults []error
	finish []func() error
}

// funcValue is a pflag.Value that calls a function for each value given.
type funcValue struct {
	kind  string
	apply func(string) error
}

func (v *funcValue) Set(s string) error { return v.apply(s) }
func (v *funcValue) String() string     { return "" }
func (v *funcValue) Type() string       { return v.kind }

// each declares an option that takes a value and may be given more than once. names is "name" or "name,n" with a short form.
func (p *optionSet) each(names string, apply func(string) error) *pflag.Flag {
	name, short, _ := strings.Cut(names, ",")
	if p.Lookup(name) != nil {
		return nil // refused for this role
	}
	return p.VarPF(&funcValue{kind: "string", apply: apply}, name, short, "")
}

func (p *optionSet) refuse(name, why string) {
	p.each(name, func(string) error {
		p.faults = append(p.faults, fmt.Errorf("--%s is not supported: %s", name, why))
		return nil
	}).NoOptDefVal = "true" // a flag without a value is refused by the same words
}

func (p *optionSet) text(names string, to *string) {
	p.each(names, func(s string) error { *to = s; return nil })
}

func (p *optionSet) list(names string, to *[]string) {
	p.each(names, func(s string) error { *to = append(*to, s); return nil })
}

func (p *optionSet) flag(names string, set func(bool)) {
	p.each(names, func(s string) error {
		b, err := strconv.ParseBool(s)
		if err == nil {
			set(b)
		}
		return err
	}).NoOptDefVal = "true"
}

func (p *optionSet) integer(names string, set func(int64)) {
	p.each(names, func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		set(n)
		return nil
	})
}

// size declares an option in bytes, with the units b, k, m, g.
func (p *optionSet) size(names string, set func(int64)) {
	p.each(names, func(s string) error {
		n, err := units.RAMInBytes(s)
		if err != nil {
			return err
		}
		set(n)
		return nil
	})
}

// pairs declares an option of the form key=value.
func (p *optionSet) pairs(names string, to *map[string]string) {
	p.each(names, func(s string) error {
		k, v, _ := strings.Cut(s, "=")
		if k == "" {
			return fmt.Errorf("%q has no name", s)
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[k] = v
		return nil
	})
}

// identity are the options that say what runs and as whom.
func (p *optionSet) identity(c *createSpec) {
	p.each("env,e", func(s string) error {
		k, _, ok := strings.Cut(s, "=")
		switch {
		case k == "":
			return fmt.Errorf("%q has no name", s)
		case !ok:
			v, set := os.LookupEnv(k) // as docker does: the variable of the caller
			if !set {
				return nil
			}
			s = k + "=" + v
		}
		c.config.Env = append(c.config.Env, s)
		return nil
	})
	p.each("entrypoint", func(s string) error {
		c.config.Entrypoint = []string{s}
		return nil
	})
	p.text("user,u", &c.config.User)
	p.text("workdir,w", &c.config.WorkingDir)
	p.text("hostname,h", &c.config.Hostname)
	p.text("domainname", &c.config.Domainname)
	p.text("name", &c.name)
	p.text("platform", &c.platform)
	p.each("pull", func(s string) (err error) {
		c.pull, err = ParsePull(s)
		return err
	})
	p.pairs("label,l", &c.config.Labels)
	p.pairs("annotation", &c.host.Annotations)
	p.flag("tty,t", func(b bool) { c.config.Tty = b })
	p.flag("interactive,i", func(b bool) { c.config.OpenStdin = b })
	p.flag("init", func(b bool) { c.host.Init = &b })
	// Containers are removed when their job ends, so that --rm asks for nothing more.
	p.flag("rm", func(bool) {})
	p.text("stop-signal", &c.config.StopSignal)
	p.integer("stop-timeout", func(n int64) { s := int(n); c.config.StopTimeout = &s })
	p.list("group-add", &c.host.GroupAdd)
	p.text("runtime", &c.host.Runtime)
	p.each("restart", func(s string) error {
		mode, count, limited := strings.Cut(s, ":")
		switch m := container.RestartPolicyMode(mode); m {
		case container.RestartPolicyDisabled, container.RestartPolicyAlways, container.RestartPolicyUnlessStopped, container.RestartPolicyOnFailure:
			c.host.RestartPolicy.Name = m
		default:
			return fmt.Errorf("%q is none of no, always, unless-stopped, on-failure[:count]", s)
		}
		if !limited {
			return nil
		}
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 || mode != string(container.RestartPolicyOnFailure) {
			return fmt.Errorf("%q: only on-failure takes a count, a whole number", s)
		}
		c.host.RestartPolicy.MaximumRetryCount = n
		return nil
	})
	p.text("log-driver", &c.host.LogConfig.Type)
	p.pairs("log-opt", &c.host.LogConfig.Config)
}

// isolation are the options about the rights of the container and the namespaces it shares.
func (p *optionSet) isolation(c *createSpec) {
	p.flag("privileged", func(b bool) { c.host.Privileged = b })
	p.list("cap-add", &c.host.CapAdd)
	p.list("cap-drop", &c.host.CapDrop)
	p.each("security-opt", func(s string) error {
		opt, err := securityOption(s)
		if err == nil {
			c.host.SecurityOpt = append(c.host.SecurityOpt, opt)
		}
		return err
	})
	p.pairs("sysctl", &c.host.Sysctls)
	p.flag("read-only", func(b bool) { c.host.ReadonlyRootfs = b })
	p.each("ipc", func(s string) error { c.host.IpcMode = container.IpcMode(s); return nil })
	p.each("pid", func(s string) error { c.host.PidMode = container.PidMode(s); return nil })
	p.each("uts", func(s string) error { c.host.UTSMode = container.UTSMode(s); return nil })
	p.each("userns", func(s string) error { c.host.UsernsMode = container.UsernsMode(s); return nil })
	p.each("cgroupns", func(s string) error {
		c.host.CgroupnsMode = container.CgroupnsMode(s)
		if !c.host.CgroupnsMode.Valid() {
			return fmt.Errorf("%q is neither private nor host", s)
		}
		return nil
	})
	p.text("cgroup-parent", &c.host.CgroupParent)
}

// maxProfile is the largest seccomp profile that is read, in bytes.
const maxProfile = 1 << 20

// securityOption reads the profile that a seccomp option names: the engine takes its content.
func securityOption(s string) (string, error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok {
		key, value, ok = strings.Cut(s, ":") // the older form
	}
	if !ok || key != "seccomp" || value == "unconfined" || value == "builtin" {
		return s, nil
	}
	info, err := os.Stat(value)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxProfile) {
		err = fmt.Errorf("%s is not a file of at most %d bytes", value, maxProfile)
	}
	var profile []byte
	if err == nil {
		profile, err = os.ReadFile(value)
	}
	if err != nil {
		return "", fmt.Errorf("read the seccomp profile: %w", err)
	}
	return "seccomp=" + string(profile), nil
}

// network are the options about names, addresses and ports.
func (p *optionSet) network(c *createSpec) {
	p.list("network-alias", &c.endpoint.Aliases)
	p.list("net-alias", &c.endpoint.Aliases)
	p.each("add-host", func(s string) error {
		name, ip, ok := strings.Cut(s, ":")
		if n, i, eq := strings.Cut(s, "="); eq {
			name, ip, ok = n, i, true
		}
		if _, err := netip.ParseAddr(strings.Trim(ip, "[]")); !ok || name == "" || err != nil && ip != "host-gateway" {
			return fmt.Errorf("%q is not of the form name:address", s)
		}
		c.host.ExtraHosts = append(c.host.ExtraHosts, name+":"+strings.Trim(ip, "[]"))
		return nil
	})
	p.each("dns", func(s string) error {
		a, err := netip.ParseAddr(s)
		if err == nil {
			c.host.DNS = append(c.host.DNS, a)
		}
		return err
	})
	p.list("dns-option", &c.host.DNSOptions)
	p.list("dns-search", &c.host.DNSSearch)
	p.each("publish,p", c.publish)
	p.each("expose", c.expose)
	p.flag("publish-all,P", func(b bool) { c.host.PublishAllPorts = b })
	p.each("mac-address", func(s string) error { return c.endpoint.MacAddress.UnmarshalText([]byte(s)) })
	address := func(to func(netip.Addr)) func(string) error {
		return func(s string) error {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return err
			}
			if c.endpoint.IPAMConfig == nil {
				c.endpoint.IPAMConfig = &network.EndpointIPAMConfig{}
			}
			to(a)
			return nil
		}
	}
	p.each("ip", address(func(a netip.Addr) { c.endpoint.IPAMConfig.IPv4Address = a }))
	p.each("ip6", address(func(a netip.Addr) { c.endpoint.IPAMConfig.IPv6Address = a }))
}

// health are the options of the health check.
func (p *optionSet) health(c *createSpec) {
	check := func() *container.HealthConfig {
		if c.config.Healthcheck == nil {
			c.config.Healthcheck = &container.HealthConfig{}
		}
		return c.config.Healthcheck
	}
	p.each("health-cmd", func(s string) error { check().Test = []string{"CMD-SHELL", s}; return nil })
	duration := func(name string, set func(time.Duration)) {
		p.each(name, func(s string) error {
			d, err := time.ParseDuration(s)
			if err != nil {
				return err
			}
			if d < 0 {
				return fmt.Errorf("%q is negative", s)
			}
			if d > 0 && d < time.Millisecond {
				return fmt.Errorf("%q is shorter than a millisecond", s)
			}
			set(d)
			return nil
		})
	}
	duration("health-interval", func(d time.Duration) { check().Interval = d })
	duration("health-timeout", func(d time.Duration) { check().Timeout = d })
	duration("health-start-period", func(d time.Duration) { check().StartPeriod = d })
	duration("health-start-interval", func(d time.Duration) { check().StartInterval = d })
	p.integer("health-retries", func(n int64) { check().Retries = int(n) })
	none := false
	p.flag("no-healthcheck", func(b bool) { none = b })
	p.finish = append(p.finish, func() error {
		if !none {
			return nil
		}
		if c.config.Healthcheck != nil {
			return errors.New("--no-healthcheck contradicts the --health options")
		}
		c.config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		return nil
	})
}
