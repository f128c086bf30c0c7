package project

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/bind"
)

// listener is an address that an agent is to listen on, and for what.
type listener struct {
	address     string
	environment string
	region      string
	service     *Service
	port        *Port
	preview     bool
	node        *bind.Node
}

func (l *listener) String() string {
	what := fmt.Sprintf("the port %s of %s in %s", l.port.Name, l.service.Name, l.environment)
	if l.region != DefaultRegion {
		what += " (" + l.region + ")"
	}
	if l.preview {
		return "the preview of " + what
	}
	return what
}

// spot is a port number of an agent, or of those with some labels.
type spot struct{ agent, number string }

// taken is what listens on a spot: by addresses, and there by hosts and paths.
type taken struct {
	first  map[string]*listener
	routes map[string]*listener
}

// checkListeners finds addresses that two would listen on. HTTP ports share an address where hosts and paths tell them apart. Agents that are
// chosen by different labels may be the same; nobody can tell here.
func (c *checker) checkListeners() {
	spots := map[spot]*taken{}
	left := maxRoutes
	for _, e := range c.p.Environments {
		for _, p := range e.Placements {
			for _, l := range c.listeners(e, p) {
				for _, agent := range agents(p.Targets) {
					if left -= max(1, len(l.port.Hosts)) * max(1, len(l.port.Paths)); left < 0 {
						c.r.Report(pipeline.Error, l.node, codeTooMany, "split the file", "there are more than %d routes on all agents", maxRoutes)
						return
					}
					host, number := splitAddress(l.address)
					at := spot{agent, number}
					if spots[at] == nil {
						spots[at] = &taken{first: map[string]*listener{}, routes: map[string]*listener{}}
					}
					if other := spots[at].add(host, l); other != nil {
						c.r.Report(pipeline.Error, l.node, codeListen, conflictHint(l, other), "%s cannot listen on %s of the agent %s: %s does", l, l.address, agent, other)
					}
				}
			}
		}
	}
}

func conflictHint(a, b *listener) string {
	if a.environment != b.environment || a.service.Name == b.service.Name {
		return "give one of them other agents by targets, or another address: under services of the environment or of the region"
	}
	return "choose another address, or tell them apart by hosts or paths, with the same tls"
}

// listeners are what a service needs in an environment.
func (c *checker) listeners(e *Environment, in *Placement) []*listener {
	s := in.Service
	var out []*listener
	for _, p := range s.Ports {
		if p.Listen != "" {
			out = append(out, &listener{address: p.Listen, environment: e.Name, region: in.Region, service: s, port: p, node: c.at(s, &p.Listen, p)})
		}
		if a := s.Strategy.Preview[p.Name]; a != "" && s.Strategy.Kind == BlueGreen {
			out = append(out, &listener{address: a, environment: e.Name, region: in.Region, service: s, port: p, preview: true, node: c.at(s, &s.Strategy.Preview)})
		}
	}
	return out
}

// agents are the names of those that targets choose, or the labels that choose them.
func agents(targets []Target) []string {
	var out []string
	for _, t := range targets {
		out = append(out, t.Agents...)
		if t.Agents == nil {
			var labels []string
			for _, k := range sortedKeys(t.Labels) {
				labels = append(labels, k+"="+t.Labels[k])
			}
			out = append(out, strings.Join(labels, ","))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// add returns who is in the way.
func (t *taken) add(host string, l *listener) *listener {
	if host == "0.0.0.0" || host == "::" {
		host = ""
	}
	for _, h := range sortedKeys(t.first) {
		other := t.first[h]
		if h != host && h != "" && host != "" {
			continue
		}
		if h != host || !sharable(l, other) {
			return other
		}
	}
	if t.first[host] == nil {
		t.first[host] = l
	}
	for _, r := range routes(l.port) {
		key := host + " " + r
		if other := t.routes[key]; other != nil {
			return other
		}
		t.routes[key] = l
	}
	return nil
}

// sharable: one listener can serve both.
func sharable(a, b *listener) bool {
	family := func(p Protocol) Protocol {
		if p == GRPC {
			return HTTP2
		}
		return p
	}
	return a.port.Protocol != TCP && family(a.port.Protocol) == family(b.port.Protocol) && !a.preview && !b.preview &&
		(a.port.TLS.From == NoTLS) == (b.port.TLS.From == NoTLS)
}

// routes are a port's pairs of host and path.
func routes(p *Port) []string {
	hosts, paths := p.Hosts, p.Paths
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	var out []string
	for _, h := range hosts {
		for _, path := range paths {
			if path != "/" {
				path = strings.TrimSuffix(path, "/")
			}
			out = append(out, h+path)
		}
	}
	return out
}
