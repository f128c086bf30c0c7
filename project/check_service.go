package project

import (
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

func portNames(s *Service) []string {
	var names []string
	for _, p := range s.Ports {
		names = append(names, p.Name)
	}
	return names
}

func (c *checker) checkPorts(s *Service) {
	for _, p := range s.Ports {
		n := c.at(s, p)
		wrong := func(ptr any, hint, format string, args ...any) {
			c.r.Report(pipeline.Error, c.at(s, ptr, p), codePort, hint, format, args...)
		}
		if p.Protocol == TCP {
			if p.Hosts != nil {
				wrong(&p.Hosts, "remove hosts", "a TCP port cannot be routed by hosts")
			}
			if p.Paths != nil {
				wrong(&p.Paths, "remove paths", "a TCP port cannot be routed by paths")
			}
		} else if p.Pin.By != "" {
			wrong(p, "remove pin; requests go by weights and rules", "the port %s is not TCP, and has no sessions to pin", p.Name)
		}
		if p.Listen == "" && (p.Hosts != nil || p.Paths != nil || p.TLS.From != NoTLS || p.Pin.By != "") {
			c.r.Report(pipeline.Error, n, codePort, "add listen: and an address", "the port %s is not public: hosts, paths, tls and pin need an address to listen on", p.Name)
		}
		if p.TLS.From == FromFiles && (p.TLS.Certificate == "" || p.TLS.Key == "") {
			c.r.Report(pipeline.Error, n, codePort, "a certificate needs cert and key", "the certificate of the port %s has no %s", p.Name, missing(p.TLS.Certificate == "", "cert", "key"))
		}
		if p.TLS.From != FromFiles && p.TLS.Key != "" {
			c.r.Report(pipeline.Error, n, codePort, "remove key", "the port %s has a key that belongs to no certificate", p.Name)
		}
		if p.TLS.From == FromACME {
			if len(p.Hosts) == 0 {
				c.r.Report(pipeline.Error, n, codePort, "add hosts: and the names that the certificate is for", "an ACME certificate for the port %s needs names", p.Name)
			}
			for i, h := range p.Hosts {
				if strings.HasPrefix(h, "*.") {
					wrong(&p.Hosts[i], "name the hosts one by one, or use certificates from files", "an ACME certificate for %s would need changes of DNS records", h)
				}
			}
		}
	}
	if s.Shadow.Percent > 0 && !s.Weighable() {
		c.r.Report(pipeline.Error, c.at(s, &s.Shadow.Percent), codePort, "remove shadow, or add a public port of HTTP", "%s has no public port whose requests could be mirrored", s.Name)
	}
}

func missing(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func (c *checker) checkHealth(s *Service) {
	h := &s.Health
	if h.Check == CheckHTTP || h.Check == CheckTCP {
		switch p := s.Port(h.Port); {
		case h.Port == "":
			c.r.Report(pipeline.Error, c.at(s, &h.HTTP, h), codePort, "add a port, or check by a command", "the health of %s is asked for on a port, and it has none that fits", s.Name)
		case p == nil:
			c.unknown(c.at(s, &h.Port), "port", h.Port, portNames(s))
		case h.Check == CheckHTTP && (p.Protocol == TCP || p.Protocol == GRPC):
			c.r.Report(pipeline.Error, c.at(s, &h.Port), codePort, "name a port of HTTP, or check by tcp", "the port %s speaks %s, and the health check HTTP", p.Name, p.Protocol)
		}
	}
	if s.Health.Deadline < s.Health.MinHealthy {
		c.r.Report(pipeline.Error, c.at(s, &h.MinHealthy, &h.Deadline), codePort, "make the deadline longer", "%s has to be healthy for %s within %s", s.Name, h.MinHealthy, h.Deadline)
	}
	if m := &s.Metrics; m.Path != "" {
		switch p := s.Port(m.Port); {
		case m.Port == "":
			c.r.Report(pipeline.Error, c.at(s, &m.Path), codePort, "add a port of HTTP", "the metrics of %s need a port, and it has none that fits", s.Name)
		case p == nil:
			c.unknown(c.at(s, &m.Port), "port", m.Port, portNames(s))
		case p.Protocol == TCP:
			c.r.Report(pipeline.Error, c.at(s, &m.Port), codePort, "name a port of HTTP", "the port %s speaks tcp, and metrics are asked for by HTTP", p.Name)
		}
	}
}

// checkVariables: a variable has one value.
func (c *checker) checkVariables(s *Service) {
	from := map[string]string{}
	for _, v := range sortedKeys(s.Environment) {
		from[v] = "environment"
	}
	for i := range s.Secrets {
		v := &s.Secrets[i]
		if other := from[v.Variable]; other != "" {
			c.r.Report(pipeline.Error, c.at(s, &v.Name, &s.Secrets), codeVariable, "remove one of them", "the variable %s of %s comes from %s as well", v.Variable, s.Name, other)
		}
		from[v.Variable] = "secrets"
	}
	for _, p := range s.Ports {
		if other := from[p.Variable]; other != "" {
			c.r.Report(pipeline.Error, c.at(s, &p.Variable, p), codeVariable, "name another one by `variable`, or remove it there; the agent hands out ports", "the variable %s of the port %s of %s comes from %s as well", p.Variable, p.Name, s.Name, other)
		}
		from[p.Variable] = "the port " + p.Name
	}
}

func (c *checker) checkStrategy(e *Environment, s *Service) {
	y := &s.Strategy
	switch y.Kind {
	case Canary:
		if !s.Weighable() {
			why, hint := "it has no public port", "use rolling or blue-green for it"
			if slices.ContainsFunc(s.Ports, func(p *Port) bool { return p.Listen != "" }) {
				why, hint = "its public ports are TCP, whose sessions have no weights", "use blue-green for it; `pin` with an allow list lets some counterparties in first"
			}
			c.r.Report(pipeline.Error, c.at(s, &y.Steps, &s.Strategy), codeStrategy, hint, "%s cannot be released as a canary in %s: %s", s.Name, e.Name, why)
		}
		c.checkSteps(s)
	case BlueGreen:
		for _, name := range sortedKeys(y.Preview) {
			n := c.places[s].AtKey(&y.Preview, name)
			if n == nil {
				n = c.at(s, &y.Preview)
			}
			switch p := s.Port(name); {
			case name == anyPort:
				c.r.Report(pipeline.Error, n, codeStrategy, "write a mapping from the names of ports to addresses", "the preview of %s is for one public port, and it does not have just one", s.Name)
			case p == nil:
				c.unknown(n, "port", name, portNames(s))
			case p.Listen == "":
				c.r.Report(pipeline.Error, n, codeStrategy, "", "the port %s is not public, and cannot have a preview", name)
			}
		}
		for i := range y.Smoke {
			m := &y.Smoke[i]
			if m.HTTP == "" {
				continue
			}
			switch p := s.Port(m.Port); {
			case m.Port == "":
				c.r.Report(pipeline.Error, c.at(s, &m.HTTP), codeStrategy, "use a command", "%s has no port that a smoke check could ask by HTTP", s.Name)
			case p == nil:
				c.unknown(c.at(s, &m.Port, &m.HTTP), "port", m.Port, portNames(s))
			case p.Protocol == TCP:
				c.r.Report(pipeline.Error, c.at(s, &m.Port), codeStrategy, "name a port of HTTP, or use a command", "the port %s speaks tcp, and the smoke check HTTP", p.Name)
			}
		}
	case Rolling:
		if y.Batch.Count > s.Instances {
			c.r.Report(pipeline.Warning, c.at(s, &y.Batch, &s.Instances), codeStrategy, "", "the batch of %d is more than %s has instances: %d", y.Batch.Count, s.Name, s.Instances)
		}
	}
}

// checkSteps wants weights that grow.
func (c *checker) checkSteps(s *Service) {
	last := 0.0
	for i := range s.Strategy.Steps {
		t := &s.Strategy.Steps[i]
		n := c.at(s, &t.Weight, t, &s.Strategy.Steps)
		if t.Weight <= last {
			c.r.Report(pipeline.Error, n, codeWeights, "weights grow from step to step; what follows the last is everything", "the weight %g does not come after %g", t.Weight, last)
		}
		last = t.Weight
		if t.Within > 0 && t.Requests == 0 {
			c.r.Report(pipeline.Error, c.at(s, &t.Within, t), codeWeights, "add requests, or use for", "within says how long requests may take, and the step counts none")
		}
		if t.Weight > 50 && t.Weight < 100 && s.Analysis.Baseline == BaselineEqual {
			c.r.Report(pipeline.Note, n, codeBaseline, "baseline: stable says so for all steps", "at %g %% there is no room for a baseline of equal weight: the candidate is compared with the stable version", t.Weight)
		}
	}
}

func (c *checker) checkAnalysis(_ *Environment, s *Service) {
	for _, q := range s.Analysis.Queries {
		if q.Worse != "" && !strings.Contains(q.Query, "$version") {
			c.r.Report(pipeline.Error, c.at(s, &q.Query, q), codeQuery, `select by the label of the version: {version="$version"}`,
				"the query %s compares versions and does not say $version: both sides would be the same", q.Name)
		}
	}
}
