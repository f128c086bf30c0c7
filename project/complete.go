package project

import (
	"slices"
	"strings"
	"time"
)

// complete fills in the defaults that follow from other members.
func (s *Service) complete() {
	if s.Artifact == "" {
		s.Artifact = s.Name
	}
	for _, p := range s.Ports {
		if p.Variable == "" {
			p.Variable = "PORT"
			if len(s.Ports) > 1 && p.Name != "http" {
				p.Variable = "PORT_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_"))
			}
		}
		if p.Protocol == TCP && p.Listen != "" && p.Pin.By == "" {
			p.Pin.By = "port"
		}
	}
	s.completeHealth()
	if s.Metrics.Path != "" {
		if s.Metrics.Port == "" {
			s.Metrics.Port = s.firstPort(Protocol.Weighable)
		}
		if s.Metrics.Interval == 0 {
			s.Metrics.Interval = Duration(15 * time.Second)
		}
	} else {
		s.Metrics = Metrics{}
	}
	if s.Strategy.Kind == "" {
		kind := Rolling
		if s.Weighable() {
			kind = Canary
		}
		s.Strategy.become(kind)
	}
	if a, ok := s.Strategy.Preview[anyPort]; ok {
		delete(s.Strategy.Preview, anyPort)
		s.Strategy.Preview[s.previewPort()] = a
	}
	for i := range s.Strategy.Smoke {
		if m := &s.Strategy.Smoke[i]; m.HTTP != "" && m.Port == "" {
			m.Port = s.firstPort(Protocol.Weighable)
		}
	}
}

func (s *Service) completeHealth() {
	h := &s.Health
	if h.Check == "" {
		h.Check = CheckNone
		if len(s.Ports) > 0 {
			h.Check = CheckTCP
		}
	}
	switch {
	case h.Port != "":
	case h.Check == CheckHTTP:
		h.Port = s.firstPort(func(p Protocol) bool { return p == HTTP || p == HTTP2 })
	case h.Check == CheckTCP:
		h.Port = s.firstPort(func(Protocol) bool { return true })
	}
}

// firstPort returns the name of the first port with such a protocol; one that is not public, as ports for administration are, goes last.
func (s *Service) firstPort(fits func(Protocol) bool) string {
	i := slices.IndexFunc(s.Ports, func(p *Port) bool { return fits(p.Protocol) && p.Listen != "" })
	if i < 0 {
		i = slices.IndexFunc(s.Ports, func(p *Port) bool { return fits(p.Protocol) })
	}
	if i < 0 {
		return ""
	}
	return s.Ports[i].Name
}

// previewPort is the only public port; empty where there is not just one.
func (s *Service) previewPort() string {
	var name string
	for _, p := range s.Ports {
		if p.Listen == "" {
			continue
		}
		if name != "" {
			return ""
		}
		name = p.Name
	}
	return name
}
