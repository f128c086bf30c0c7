package docker

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/docker/go-connections/nat"
	"github.com/moby/moby/api/types/network"
)

// publish adds a port as docker takes it: "80" (any port of the machine), "8080:80", "127.0.0.1:53:53/udp", "7000-7009:7000-7009".
func (c *createSpec) publish(s string) error {
	mappings, err := nat.ParsePortSpec(strings.TrimSpace(s))
	if err != nil {
		return fmt.Errorf("port %q is not of the form [[address:]port:]port[/protocol]: %w", s, err)
	}
	for _, m := range mappings {
		port, err := network.ParsePort(string(m.Port))
		if err != nil {
			return fmt.Errorf("port %q: %w", s, err)
		}
		b := network.PortBinding{HostPort: m.Binding.HostPort}
		if m.Binding.HostIP != "" {
			if b.HostIP, err = netip.ParseAddr(m.Binding.HostIP); err != nil {
				return fmt.Errorf("port %q: %w", s, err)
			}
		}
		if c.host.PortBindings == nil {
			c.host.PortBindings = network.PortMap{}
		}
		c.host.PortBindings[port] = append(c.host.PortBindings[port], b)
		c.exposePort(port)
	}
	return nil
}

// expose adds a port, or a range of them, that other containers may use.
func (c *createSpec) expose(s string) error {
	if strings.Contains(s, ":") {
		return fmt.Errorf("%q names a port of the machine: --publish does that", s)
	}
	r, err := network.ParsePortRange(s)
	if err != nil {
		return err
	}
	for p := range r.All() {
		c.exposePort(p)
	}
	return nil
}

func (c *createSpec) exposePort(p network.Port) {
	if c.config.ExposedPorts == nil {
		c.config.ExposedPorts = network.PortSet{}
	}
	c.config.ExposedPorts[p] = struct{}{}
}

// publishedPorts gives the machine's port for each of a container's, by number; where a number is published for more than one
// protocol, TCP comes first and the others are named "53/udp".
func publishedPorts(ports network.PortMap) map[string]string {
	out := map[string]string{}
	for port, bindings := range ports {
		if len(bindings) == 0 {
			continue
		}
		if port.Proto() == network.TCP {
			out[port.Port()] = bindings[0].HostPort
			continue
		}
		out[port.String()] = bindings[0].HostPort
	}
	for port, bindings := range ports {
		if _, taken := out[port.Port()]; !taken && len(bindings) > 0 {
			out[port.Port()] = bindings[0].HostPort
		}
	}
	return out
}
