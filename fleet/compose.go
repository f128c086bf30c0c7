package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
)

// member is a placement that has a part on the agent that is composed.
type member struct {
	placementRow
	// parts are those of all agents.
	parts []partRow
	// fresh and old are what the configurations of the two candidates say of the region; nil where there is no such candidate.
	fresh, old *project.Service
}

// here is the part of one agent.
func (m *member) here(agent string) *partRow {
	for i := range m.parts {
		if m.parts[i].Agent == agent {
			return &m.parts[i]
		}
	}
	return &partRow{}
}

// compose says what a host shall be, and what of it cannot be, by the placement's name. It depends on its arguments alone: the same again is the same.
// Placements are in the order of their age, which is the order in which addresses are theirs.
func compose(name string, members []member) (wanted, map[place]string) {
	w := wanted{Secrets: map[string]secretNames{}}
	l := newListeners()
	for i := range members {
		m := &members[i]
		g := groupsOf(m.Desired.V)
		part := m.here(name)
		add := func(group string, c release.Candidate, s *project.Service) {
			if group == "" || s == nil {
				return
			}
			for _, n := range part.Numbers.V[group] {
				in := instance(m.place, s, c, group, n)
				if names := secretsOf(m.place, s); len(names.Names) > 0 {
					w.Secrets[in.Spec.ID] = names
				}
				w.Instances = append(w.Instances, in)
			}
		}
		add(g.fresh, m.Desired.V.New.Candidate, m.fresh)
		add(g.old, m.Desired.V.Old.Candidate, m.old)
		add(g.baseline, m.Desired.V.Old.Candidate, m.old)
		l.add(m, g, weigh(m.Desired.V, g, m.parts, name))
	}
	if len(w.Secrets) == 0 {
		w.Secrets = nil
	}
	slices.SortFunc(w.Instances, func(a, b agent.Instance) int { return strings.Compare(a.Spec.ID, b.Spec.ID) })
	w.Listeners, w.Services = l.done()
	return w, l.problems
}

// secretsOf are the secrets of a service, by variable.
func secretsOf(p place, s *project.Service) secretNames {
	names := secretNames{Project: p.Project, Environment: p.Environment, Names: map[string]string{}}
	for _, one := range s.Secrets {
		names.Names[one.Variable] = one.Name
	}
	return names
}

// instanceID names an instance on its host: which service, which version, and which of them, so that people can read it; and where it belongs, as 6
// digits of a hash, so that the same candidate in another region, environment or project is another one.
func instanceID(p place, version string, number int) string {
	return p.Service + "-" + version + "-" + strconv.Itoa(number) + "-" + p.short()
}

// short tells the place from others.
func (p place) short() string {
	sum := sha256.Sum256([]byte(p.instances()))
	return hex.EncodeToString(sum[:3])
}

// instance says how one is run.
func instance(p place, s *project.Service, c release.Candidate, version string, number int) agent.Instance {
	return agent.Instance{
		Service: p.instances(), Version: version, Bundle: c.Artifact, Drain: drain(s),
		Spec: process.Spec{
			ID: instanceID(p, version, number), Argv: s.Command.Argv(), Env: environ(p, s, c), Ports: ports(s), Variables: variables(s), Limits: limits(s), Check: check(s),
			Stop: process.Stop{Signal: s.Stop.Signal, Grace: s.Stop.Grace.Duration()},
		},
	}
}

// drain is how long who uses an instance has. None at all is a moment: 0 is the agent's own default.
func drain(s *project.Service) time.Duration { return max(s.Drain.Duration(), time.Millisecond) }

// environ are an instance's plain variables: its own, and those by which it knows what it is. A baseline is told the version that it is of.
func environ(p place, s *project.Service, c release.Candidate) map[string]string {
	env := maps.Clone(s.Environment)
	if env == nil {
		env = map[string]string{}
	}
	env["GANTRY_PROJECT"], env["GANTRY_SERVICE"], env["GANTRY_ENVIRONMENT"], env["GANTRY_REGION"] = p.Project, p.Service, p.Environment, p.Region
	env["GANTRY_VERSION"] = c.Version()
	return env
}

func ports(s *project.Service) []string {
	var names []string
	for _, p := range s.Ports {
		names = append(names, p.Name)
	}
	return names
}

func variables(s *project.Service) map[string]string {
	if len(s.Ports) == 0 {
		return nil
	}
	names := map[string]string{}
	for _, p := range s.Ports {
		names[p.Name] = p.Variable
	}
	return names
}

func limits(s *project.Service) process.Limits {
	return process.Limits{Memory: int64(s.Resources.Memory), CPU: s.Resources.CPU, PIDs: int64(s.Resources.PIDs)}
}

func check(s *project.Service) process.Check {
	h := s.Health
	c := process.Check{
		Port: h.Port, Interval: h.Interval.Duration(), Timeout: h.Timeout.Duration(), Passes: h.Passes, Failures: h.Failures,
		// None at all is a moment: 0 is the supervisor's own default.
		MinHealthy: max(h.MinHealthy.Duration(), time.Millisecond), StartWithin: h.Deadline.Duration(),
	}
	switch h.Check {
	case project.CheckHTTP:
		c.Kind, c.Path = process.CheckHTTP, h.HTTP
	case project.CheckTCP:
		c.Kind = process.CheckTCP
	case project.CheckCommand:
		c.Kind, c.Command = process.CheckCommand, h.Command.Argv()
	default:
		c.Kind = process.CheckNone
	}
	return c
}
