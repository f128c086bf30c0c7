package auth

import (
	"net/http"
	"net/netip"
	"strings"
)

// Client is where a request comes from.
type Client struct {
	// Address is the client's, behind trusted proxies what they say.
	Address netip.Addr
	// Agent is its User-Agent, cut to 200 bytes.
	Agent string
}

// Client returns where a request comes from.
func (s *Service) Client(r *http.Request) Client {
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	if len(agent) > 200 {
		agent = strings.ToValidUTF8(agent[:200], "")
	}
	return Client{Address: clientAddress(r, s.o.TrustedProxies), Agent: strings.Map(printable, agent)}
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// clientAddress is the address that a connection comes from; while that is a trusted proxy's, the one before it in X-Forwarded-For,
// from the right: what stands further left may be invented.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a Unix socket, say
	}
	address := peer.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(address, trusted); i-- {
		hop := strings.TrimSpace(hops[i])
		next, err := netip.ParseAddr(hop)
		if err != nil {
			withPort, err := netip.ParseAddrPort(hop)
			if err != nil {
				break
			}
			next = withPort.Addr()
		}
		address = next.Unmap().WithZone("")
	}
	return address
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// text is the address as events have it; empty where there is none.
func (c Client) text() string {
	if !c.Address.IsValid() {
		return ""
	}
	return c.Address.String()
}
