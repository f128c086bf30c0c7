package route

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// compiled is a table that requests are routed by. It is never changed; endpoints are shared with the tables before and after it.
type compiled struct {
	listeners map[string]*matcher
	endpoints map[string]*endpoint
}

// matcher is a listener's routes, the most exact first.
type matcher struct {
	Listener
	routes []compiledRoute
}

type compiledRoute struct {
	host, suffix string // a suffix stands for "*" and a name: ".example.com"
	path         string
	service      *service
}

// service is one as requests see it.
type service struct {
	name     string
	arms     []*arm
	versions map[string]*arm
	// points below low are the bottom's, and from high on the top's.
	low, high   uint64
	bottom, top *arm
	sticky      Sticky
	rules       []compiledRule
	allow       []compiledAllow
	peek        bool
	mirror      *arm
	share       uint64
	copied      []string // methods; none is all
	http2       bool
	timeout     time.Duration
}

type compiledRule struct {
	Rule
	arm *arm
}

type compiledAllow struct {
	networks []netip.Prefix
	compIDs  map[string]bool
	arm      *arm
}

// compile checks a table and makes it ready. find gives the endpoint that is known already, or a new one; a table that is refused makes none known.
func compile(t Table, tls func(string) bool, find func(service, version string, e Endpoint) *endpoint) (*compiled, error) {
	c := &compiled{listeners: map[string]*matcher{}, endpoints: map[string]*endpoint{}}
	services := map[string]*service{}
	var errs []error
	for i := range t.Services {
		s := &t.Services[i]
		if s.Name == "" || services[s.Name] != nil {
			errs = append(errs, fmt.Errorf("service %d: the name %q is empty or there twice", i+1, s.Name))
			continue
		}
		done, err := c.service(s, find)
		if err != nil {
			errs = append(errs, fmt.Errorf("service %s: %w", s.Name, err))
			done = &service{name: s.Name} // so that routes to it are no mistakes of their own
		}
		services[s.Name] = done
	}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		m, err := compileListener(l, services, tls)
		if err == nil && c.listeners[l.Name] != nil {
			err = errors.New("the name is there twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("listener %s (%s): %w", cmp.Or(l.Name, strconv.Itoa(i+1)), l.Address, err))
			continue
		}
		c.listeners[l.Name] = m
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

func compileListener(l *Listener, services map[string]*service, tls func(string) bool) (*matcher, error) {
	m := &matcher{Listener: *l}
	if l.Name == "" {
		return nil, errors.New("it has no name")
	}
	if _, port, err := net.SplitHostPort(l.Address); err != nil {
		return nil, fmt.Errorf("the address is not host:port: %w", err)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, fmt.Errorf("the port %q is not a number from 0 to 65535", port)
	}
	switch l.Protocol {
	case HTTP, HTTP2:
	case TCP:
		if len(l.Routes) != 1 || l.Routes[0].Host != "" || l.Routes[0].Path != "" {
			return nil, errors.New("a tcp listener has one route, without host and path")
		}
	default:
		return nil, fmt.Errorf("the protocol %q is none of http, http2, tcp", l.Protocol)
	}
	if l.TLS != "" && !tls(l.TLS) {
		return nil, fmt.Errorf("there are no certificates named %q", l.TLS)
	}
	for _, r := range l.Routes {
		s := services[r.Service]
		if s == nil {
			return nil, fmt.Errorf("a route leads to the service %q, which is not in the table", r.Service)
		}
		if l.Protocol != TCP && s.peek {
			return nil, fmt.Errorf("the service %s tells sessions apart by FIX CompIDs, which needs a tcp listener", s.name)
		}
		if r.Path != "" && r.Path[0] != '/' {
			return nil, fmt.Errorf("the path %q does not begin with a slash", r.Path)
		}
		done := compiledRoute{host: strings.ToLower(r.Host), path: strings.TrimRight(r.Path, "/"), service: s}
		if rest, ok := strings.CutPrefix(done.host, "*."); ok {
			done.host, done.suffix = "", "."+rest
		}
		if strings.ContainsAny(done.host+done.suffix, "*/: ") {
			return nil, fmt.Errorf("the host %q is neither a name nor a name after \"*.\"", r.Host)
		}
		m.routes = append(m.routes, done)
	}
	rank := func(r compiledRoute) int {
		switch {
		case r.host != "":
			return 1 << 20
		case r.suffix != "":
			return len(r.suffix)
		}
		return 0
	}
	slices.SortStableFunc(m.routes, func(a, b compiledRoute) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(len(b.path), len(a.path)))
	})
	for i := range m.routes {
		if r := m.routes[i]; i > 0 && r.host == m.routes[i-1].host && r.suffix == m.routes[i-1].suffix && r.path == m.routes[i-1].path {
			return nil, fmt.Errorf("two routes match host %q and path %q", r.host+r.suffix, r.path)
		}
	}
	return m, nil
}

func (c *compiled) service(s *Service, find func(service, version string, e Endpoint) *endpoint) (*service, error) {
	done := &service{name: s.Name, versions: map[string]*arm{}, sticky: s.Sticky, http2: s.HTTP2, timeout: time.Duration(s.Timeout), high: Whole}
	if done.timeout < 0 {
		return nil, fmt.Errorf("the timeout %v is negative", done.timeout)
	} else if done.timeout == 0 {
		done.timeout = defaultTimeout
	}
	if len(s.Arms) == 0 {
		return nil, errors.New("it has no version")
	}
	var sum, weighted int
	for i, a := range s.Arms {
		if a.Version == "" || done.versions[a.Version] != nil {
			return nil, fmt.Errorf("the version %q is empty or there twice", a.Version)
		}
		made := &arm{version: a.Version}
		for _, e := range a.Endpoints {
			if _, _, err := net.SplitHostPort(e.Address); err != nil || e.ID == "" {
				return nil, fmt.Errorf("version %s: the endpoint %q at %q needs an id and host:port", a.Version, e.ID, e.Address)
			}
			if c.endpoints[e.ID] != nil {
				return nil, fmt.Errorf("version %s: the endpoint %s is there twice", a.Version, e.ID)
			}
			known := find(s.Name, a.Version, e)
			c.endpoints[e.ID] = known
			made.endpoints = append(made.endpoints, known)
		}
		done.arms = append(done.arms, made)
		done.versions[a.Version] = made
		if i == 0 || a.Weight == 0 {
			continue
		}
		if a.Weight < 0 || a.Weight > Whole {
			return nil, fmt.Errorf("version %s: the weight %d is not from 0 to %d", a.Version, a.Weight, Whole)
		}
		switch weighted++; weighted {
		case 1:
			done.low, done.bottom = uint64(a.Weight), made
		case 2:
			done.high, done.top = Whole-uint64(a.Weight), made
		default:
			return nil, errors.New("more than three versions share the traffic")
		}
		sum += a.Weight
	}
	if sum > Whole {
		return nil, fmt.Errorf("the weights add up to %d of %d", sum, Whole)
	}
	if err := done.choices(s); err != nil {
		return nil, err
	}
	return done, nil
}

// choices compiles what goes before weights.
func (done *service) choices(s *Service) error {
	switch by := s.Sticky.By; {
	case by != ByNothing && by != ByAddress && by != ByHeader && by != ByCookie:
		return fmt.Errorf("sticky by %q is none of address, header, cookie", by)
	case (by == ByHeader || by == ByCookie) != (s.Sticky.Name != ""):
		return errors.New("sticky by header or cookie needs its name, and others have none")
	case s.Sticky.Issue && by != ByCookie:
		return errors.New("only a cookie can be issued")
	}
	version := func(what, v string) (*arm, error) {
		a := done.versions[v]
		if a == nil {
			return nil, fmt.Errorf("%s names the version %q, which is not there", what, v)
		}
		return a, nil
	}
	for _, r := range s.Rules {
		a, err := version("a rule", r.Version)
		if err != nil {
			return err
		}
		if (r.Header == "") == (r.Cookie == "") {
			return errors.New("a rule has either a header or a cookie")
		}
		done.rules = append(done.rules, compiledRule{r, a})
	}
	for _, l := range s.Allow {
		a, err := version("an allow list", l.Version)
		if err != nil {
			return err
		}
		made := compiledAllow{arm: a, compIDs: map[string]bool{}}
		for _, n := range l.Networks {
			p, err := netip.ParsePrefix(n)
			if err != nil {
				ip, err := netip.ParseAddr(n)
				if err != nil {
					return fmt.Errorf("an allow list: %q is neither an address nor a prefix such as 10.0.0.0/8", n)
				}
				p = netip.PrefixFrom(ip, ip.BitLen())
			}
			made.networks = append(made.networks, p.Masked())
		}
		for _, id := range l.CompIDs {
			made.compIDs[id] = true
			done.peek = true
		}
		done.allow = append(done.allow, made)
	}
	if m := s.Mirror; m != nil {
		a, err := version("the mirror", m.Version)
		if err != nil {
			return err
		}
		if m.Share < 0 || m.Share > Whole {
			return fmt.Errorf("the mirror's share %d is not from 0 to %d", m.Share, Whole)
		}
		done.mirror, done.share, done.copied = a, uint64(m.Share), m.Methods
	}
	return nil
}

// match finds the service for a host, without its port and in lower case, and a path; nil is none.
func (m *matcher) match(host, path string) *service {
	for i := range m.routes {
		r := &m.routes[i]
		if r.host != "" && r.host != host || r.suffix != "" && !strings.HasSuffix(host, r.suffix) {
			continue
		}
		if rest, ok := strings.CutPrefix(path, r.path); ok && (rest == "" || rest[0] == '/') || r.path == "" {
			return r.service
		}
	}
	return nil
}
