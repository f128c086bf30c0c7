package fleet

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/route"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
)

// previewSuffix marks the route of a preview, whose traffic nobody is judged by. A port's name has no colon.
const previewSuffix = ":preview"

// listeners gathers what an agent listens on. Ports of HTTP share an address where hosts and paths tell them apart; the rule is that of gantry.yaml,
// which cannot see what other projects and environments have on the same host.
type listeners struct {
	all      map[string]*shared
	services []agent.Service
	// problems are those of each placement, joined.
	problems map[place]string
}

// shared is a listener with what led to it.
type shared struct {
	route.Listener
	owner   string
	preview bool
	tls     map[string]bool
	routes  map[[2]string]string // to whom a host and path belong
}

func newListeners() *listeners {
	return &listeners{all: map[string]*shared{}, problems: map[place]string{}}
}

func (l *listeners) problem(p place, format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if before := l.problems[p]; before != "" {
		text = before + "; " + text
	}
	l.problems[p] = text
}

// add has the public ports of a placement listened on. While the old version has a part of the traffic, what it listens on stands, and a port that only
// the new one has is opened when that gets a share; how callers are told apart (rules, sticky keys, shadows) is the new one's to say, since it is about
// the time when there are two. With all of the traffic, the new one's configuration counts alone.
func (l *listeners) add(m *member, g groups, w arms) {
	d := m.Desired.V
	fresh, old := m.fresh, m.old
	if g.fresh == "" || d.New.Instances == 0 {
		fresh = nil
	}
	if g.old == "" || d.Old.Instances+d.Baseline == 0 {
		old = nil
	}
	first, second := old, fresh
	if d.Weight >= release.Whole && fresh != nil || old == nil {
		first, second = fresh, nil
	}
	if first == nil || !w.serves && !w.has {
		return
	}
	for _, p := range first.Ports {
		l.port(m, g, w, p, true)
	}
	if second != nil {
		for _, p := range second.Ports {
			if first.Port(p.Name) == nil {
				l.port(m, g, w, p, d.Weight > 0)
			}
		}
	}
	if fresh != nil && fresh.Strategy.Kind == project.BlueGreen && d.Weight == 0 && !m.Reverting && w.has {
		for _, p := range fresh.Ports {
			if address := fresh.Strategy.Preview[p.Name]; address != "" {
				l.preview(m, g, p, address)
			}
		}
	}
}

// port has one listened on. One that is not open yet is only checked, so that what is in the way is known before there is any traffic.
func (l *listeners) port(m *member, g groups, w arms, p *project.Port, open bool) {
	if p.Listen == "" {
		return
	}
	name := m.routed(p.Name)
	open = open && w.serves
	if !l.listen(m.place, p, p.Listen, name, false, open) || !open {
		return
	}
	d := m.Desired.V
	s := agent.Service{Service: route.Service{Name: name, HTTP2: p.Protocol == project.HTTP2 || p.Protocol == project.GRPC}, Of: m.instances(), Port: p.Name}
	has := func(s *project.Service) bool { return s != nil && s.Port(p.Name) != nil }
	fresh, old := g.fresh != "" && d.New.Instances > 0 && has(m.fresh), g.old != "" && d.Old.Instances > 0 && has(m.old)
	switch {
	case p.Protocol == project.TCP && fresh && d.Weight >= release.Whole:
		// Sessions have no weights: the first version has those that belong to nobody.
		s.Arms = append(s.Arms, route.Arm{Version: g.fresh})
		if old {
			s.Arms = append(s.Arms, route.Arm{Version: g.old})
		}
	case p.Protocol == project.TCP:
		if old {
			s.Arms = append(s.Arms, route.Arm{Version: g.old})
		}
		if fresh {
			s.Arms = append(s.Arms, route.Arm{Version: g.fresh})
			if pin := m.fresh.Port(p.Name).Pin; old && d.Weight > 0 && pin.By == "allow" {
				s.Allow = []route.Allow{{Networks: pin.Networks, CompIDs: pin.CompIDs, Version: g.fresh}}
			}
		}
	default:
		stable, base := g.old, g.baseline
		if w.stand {
			stable, base = base, stable // where the first version has no instance the next one stands in for it, and that shall not be the new one
		}
		if old {
			s.Arms = append(s.Arms, route.Arm{Version: stable})
		}
		if fresh {
			s.Arms = append(s.Arms, route.Arm{Version: g.fresh, Weight: w.fresh})
		}
		if old && d.Baseline > 0 {
			s.Arms = append(s.Arms, route.Arm{Version: base, Weight: w.baseline})
		}
		l.choices(m, g, &s, fresh, old)
	}
	if len(s.Arms) > 0 {
		l.services = append(l.services, s)
	}
}

// choices are what goes before weights, and what is copied.
func (l *listeners) choices(m *member, g groups, s *agent.Service, fresh, old bool) {
	from := m.old
	if fresh {
		from = m.fresh
	}
	if from == nil {
		return
	}
	switch r := from.Routing; r.Sticky {
	case project.StickyAddress:
		s.Sticky = route.Sticky{By: route.ByAddress}
	case project.StickyHeader:
		s.Sticky = route.Sticky{By: route.ByHeader, Name: r.StickyName}
	case project.StickyCookie:
		s.Sticky = route.Sticky{By: route.ByCookie, Name: r.StickyName, Issue: true}
	}
	if !fresh || !old || m.Reverting {
		return // there is nothing to choose from, or nobody shall choose what is withdrawn
	}
	for _, r := range from.Routing.Rules {
		version := g.old
		if r.Version == project.Candidate {
			version = g.fresh
		}
		s.Rules = append(s.Rules, route.Rule{Header: r.Header, Cookie: r.Cookie, Value: r.Value, Version: version})
	}
	if p := from.Shadow.Percent; p > 0 && m.Desired.V.Weight == 0 {
		s.Mirror = &route.Mirror{Version: g.fresh, Share: int(p*release.Whole/100 + 0.5), Methods: from.Shadow.Methods}
	}
}

// preview leads an address of its own to the new version alone.
func (l *listeners) preview(m *member, g groups, p *project.Port, address string) {
	name := m.routed(p.Name) + previewSuffix
	if !l.listen(m.place, p, address, name, true, true) {
		return
	}
	l.services = append(l.services, agent.Service{
		Service: route.Service{Name: name, HTTP2: p.Protocol == project.HTTP2 || p.Protocol == project.GRPC, Arms: []route.Arm{{Version: g.fresh}}},
		Of:      m.instances(), Port: p.Name,
	})
}

// listen takes an address for a port, or says who has it.
func (l *listeners) listen(at place, p *project.Port, address, service string, preview, open bool) bool {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		l.problem(at, "the address %q of the port %s is not host:port", address, p.Name)
		return false
	}
	if host == "0.0.0.0" || host == "::" {
		host = ""
	}
	tls, err := tlsName(p.TLS)
	if err != nil {
		l.problem(at, "the port %s: %v", p.Name, err)
		return false
	}
	protocol := map[project.Protocol]route.Protocol{project.HTTP: route.HTTP, project.HTTP2: route.HTTP2, project.GRPC: route.HTTP2, project.TCP: route.TCP}[p.Protocol]
	canonical := net.JoinHostPort(host, number)
	var mine *shared
	for _, key := range slices.Sorted(maps.Keys(l.all)) {
		other := l.all[key]
		h, n, _ := net.SplitHostPort(key)
		if n != number || h != host && h != "" && host != "" {
			continue
		}
		if h != host || protocol == route.TCP || other.Protocol != protocol || other.preview || preview || (len(other.tls) > 0) != (tls != "") {
			l.problem(at, "the port %s cannot listen on %s of this host: %s does; choose another address, or tell them apart by hosts or paths with the same protocol and tls", p.Name, address, other.owner)
			return false
		}
		mine = other
	}
	routes := pairs(p)
	if mine != nil {
		for _, r := range routes {
			if who := mine.routes[r]; who != "" {
				what := r[0] + r[1]
				if what == "" {
					what = "requests for any host and path"
				}
				l.problem(at, "the port %s cannot have %s on %s of this host: %s has that; tell them apart by hosts or paths", p.Name, what, address, who)
				return false
			}
		}
	}
	if !open {
		return true
	}
	if mine == nil {
		mine = &shared{Listener: route.Listener{Name: canonical, Address: canonical, Protocol: protocol}, owner: service, preview: preview, tls: map[string]bool{}, routes: map[[2]string]string{}}
		l.all[canonical] = mine
	}
	if tls != "" {
		mine.tls[tls] = true
	}
	for _, r := range routes {
		mine.routes[r] = service
		mine.Routes = append(mine.Routes, route.Route{Host: r[0], Path: r[1], Service: service})
	}
	return true
}

// pairs are the hosts and paths of a port, as the router has them.
func pairs(p *project.Port) (out [][2]string) {
	hosts, paths := p.Hosts, p.Paths
	if len(hosts) == 0 || p.Protocol == project.TCP {
		hosts = []string{""}
	}
	if len(paths) == 0 || p.Protocol == project.TCP {
		paths = []string{""}
	}
	for _, h := range hosts {
		for _, path := range paths {
			if one := [2]string{strings.ToLower(h), strings.TrimRight(path, "/")}; !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	}
	return out
}

// tlsName is what a listener's certificates are called on a host: "files:CERT:KEY", "acme:EMAIL:DIRECTORY", "local". CERT and EMAIL have no colon.
func tlsName(t project.TLS) (string, error) {
	switch t.From {
	case project.NoTLS:
		return "", nil
	case project.FromLocal:
		return "local", nil
	case project.FromACME:
		return "acme:" + t.Email + ":" + t.Directory, nil
	case project.FromFiles:
		if strings.Contains(t.Certificate, ":") {
			return "", fmt.Errorf("the path of the certificate %q has a colon in it, which is not supported", t.Certificate)
		}
		return "files:" + t.Certificate + ":" + t.Key, nil
	}
	return "", fmt.Errorf("certificates from %q are not known", t.From)
}

// done returns what was gathered, in an order of its own.
func (l *listeners) done() (all []route.Listener, services []agent.Service) {
	for _, key := range slices.Sorted(maps.Keys(l.all)) {
		s := l.all[key]
		// A listener has certificates of each source that one of its routes names, a line each.
		s.TLS = strings.Join(slices.Sorted(maps.Keys(s.tls)), "\n")
		slices.SortFunc(s.Routes, func(a, b route.Route) int {
			return strings.Compare(a.Host+"\x00"+a.Path+"\x00"+a.Service, b.Host+"\x00"+b.Path+"\x00"+b.Service)
		})
		all = append(all, s.Listener)
	}
	slices.SortFunc(l.services, func(a, b agent.Service) int { return strings.Compare(a.Name, b.Name) })
	return all, l.services
}
