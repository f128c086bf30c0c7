package project

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Protocol is what a port speaks.
type Protocol string

const (
	// HTTP is HTTP/1.1, with WebSocket, and HTTP/2 where TLS negotiates it. The workload is spoken to in HTTP/1.1.
	HTTP Protocol = "http"
	// HTTP2 is HTTP/2 also without TLS (RFC 9113, 3.3), to the workload as well.
	HTTP2 Protocol = "http2"
	// GRPC is HTTP2 whose errors are counted by grpc-status.
	GRPC Protocol = "grpc"
	// TCP is a stream of bytes.
	TCP Protocol = "tcp"
)

// Weighable reports whether requests can be spread over versions by weights. TCP sessions cannot: they are pinned.
func (p Protocol) Weighable() bool { return p != TCP }

// Port is a port of a workload. The agent hands out a free one to each instance; the workload learns it by a variable.
type Port struct {
	Name     string   `json:"name"`
	Protocol Protocol `json:"protocol"`
	// Listen is the public address host:port that the agent owns; an empty host is all addresses. Without one the port is for the agent
	// alone, for health checks and metrics.
	Listen string `json:"listen,omitempty"`
	// Hosts are the names that requests are for: a name, or a name whose first label is "*". None is all.
	Hosts []string `json:"hosts,omitempty"`
	// Paths are prefixes that end where a segment ends: "/api" holds "/api/x", not "/apix". None is all.
	Paths []string `json:"paths,omitempty"`
	TLS   TLS      `json:"tls,omitzero"`
	// Variable is the environment variable by which the workload learns the number of its port. Default: PORT for the only port and for one
	// called "http", PORT_<NAME> for others.
	Variable string `json:"variable"`
	// Pin says how the sessions of a TCP port move to another version.
	Pin Pin `json:"pin,omitzero"`
}

// CertificateSource says where a port's certificate comes from.
type CertificateSource string

const (
	NoTLS CertificateSource = ""
	// FromFiles is a certificate and a key in PEM files on the agent's machine, read again when they change.
	FromFiles CertificateSource = "files"
	// FromACME is a certificate that an ACME authority (RFC 8555) gives for the port's hosts.
	FromACME CertificateSource = "acme"
	// FromLocal is a certificate of the agent's own authority, for machines that trust it.
	FromLocal CertificateSource = "local"
)

// TLS is how a port's listener is secured.
type TLS struct {
	From CertificateSource `json:"from,omitempty"`
	// Certificate and Key are paths on the agent's machine.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// Email and Directory are the ACME account's contact, and the authority; empty is Let's Encrypt.
	Email     string `json:"email,omitempty"`
	Directory string `json:"directory,omitempty"`
}

// Pin says which sessions of a TCP port a candidate gets. A session stays where it began; it moves when it is made anew.
type Pin struct {
	// By is "port" (all new sessions at once, when the candidate is promoted) or "allow" (first those of the counterparties below).
	By string `json:"by,omitempty"`
	// Networks are addresses or CIDR prefixes.
	Networks []string `json:"networks,omitempty"`
	// CompIDs are senders of FIX logons, or "SENDER>TARGET" (tags 49 and 56).
	CompIDs []string `json:"comp_ids,omitempty"`
}

var (
	hostText    = lazy.New(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	prefixText  = lazy.New(`^/[!"$-~]*$`)
	httpsText   = lazy.New(`^https?://[!-~]+$`)
	emailText   = lazy.New(`^[^@ ]+@[^@ ]+$`)
	networkText = lazy.New(`^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`)
	compIDText  = lazy.New(`^[^>=\s]+(>[^>=\s]+)?$`)
)

// newPort returns a port with what its name says about it.
func newPort(name string) *Port {
	p := &Port{Name: name, Protocol: HTTP}
	switch Protocol(name) {
	case HTTP2, GRPC, TCP:
		p.Protocol = Protocol(name)
	}
	return p
}

func (p *Port) value() bind.Value {
	listen := address(&p.Listen, "the public address")
	return bind.Either("a port", listen, bind.Of(bind.Object{
		Def: "port", What: "a port",
		Members: []bind.Member{
			{Key: "protocol", Value: bind.Words(&p.Protocol, "the protocol", HTTP, HTTP2, GRPC, TCP), Doc: "What the port speaks. Default: the port's name where that is a protocol, else `http`."},
			{Key: "listen", Value: listen, Doc: "The public address that the agent owns and routes from. Without one, the port is for health checks and metrics alone."},
			{Key: "hosts", Value: bind.Items(&p.Hosts, "the hosts", 1, hostValue), Doc: "Names that requests are for; `*.example.com` stands for one more label. Default: all."},
			{Key: "paths", Value: bind.Items(&p.Paths, "the paths", 1, prefixValue), Doc: "Prefixes of paths, by whole segments. Default: all."},
			{Key: "tls", Value: p.TLS.value(), Doc: "Where the certificate comes from. Default: no TLS."},
			{Key: "variable", Value: variable(&p.Variable, "the variable"), Doc: "The environment variable that tells the workload its port. Default: `PORT` for the only port and for one called `http`, else `PORT_<NAME>`."},
			{Key: "pin", Value: p.Pin.value(), Doc: "For `tcp`: which sessions a candidate gets. `port`: all new ones once it is promoted; with an allow list, those of these counterparties before. Default: `port`."},
		},
	}))
}

func hostValue(s *string) bind.Value {
	return bind.Parsed(s, "a host", bind.Grammar[string]{
		Form: "a host name such as api.example.com or *.example.com", Pattern: hostText,
		Parse: func(text string) (string, error) { return strings.ToLower(text), nil },
	})
}

func prefixValue(s *string) bind.Value {
	return bind.Parsed(s, "a path prefix", bind.Grammar[string]{Form: "a path that begins with '/'", Pattern: prefixText, Parse: asIs})
}

func (t *TLS) value() bind.Value {
	words := bind.Words(&t.From, "tls", FromACME, FromLocal)
	return bind.Either("tls", words.Then(func() { *t = TLS{From: t.From} }), bind.Of(bind.Object{
		What: "tls",
		Members: []bind.Member{
			{Key: "cert", Value: bind.String(&t.Certificate, "the certificate's file").Then(func() { t.From = FromFiles }), Doc: "A PEM file with the certificate and its chain, on the agent's machine."},
			{Key: "key", Value: bind.String(&t.Key, "the key's file"), Doc: "A PEM file with the private key."},
			{Key: "acme", Value: bind.Of(bind.Object{
				What: "acme",
				Members: []bind.Member{
					{Key: "email", Value: bind.Parsed(&t.Email, "the e-mail address", bind.Grammar[string]{Form: "an e-mail address", Pattern: emailText, Parse: asIs}), Doc: "Where the authority tells about certificates that run out."},
					{Key: "directory", Value: bind.Parsed(&t.Directory, "the directory", bind.Grammar[string]{Form: "a URL", Pattern: httpsText, Parse: asIs}), Doc: "The authority's directory. Default: Let's Encrypt."},
				},
			}).Then(func() { t.From = FromACME }), Doc: "A certificate for the port's hosts from an ACME authority."},
		},
		Choices: []bind.Choice{{Sets: [][]string{{"cert", "key"}, {"acme"}}, Need: true, Reset: func() { *t = TLS{} }}},
	})).Form("acme, local or a mapping with cert and key")
}

func (p *Pin) value() bind.Value {
	port := bind.Word("pin", "port", func(*bind.Node) { *p = Pin{By: "port"} })
	return bind.Either("pin", port, bind.Of(bind.Object{
		What: "pin",
		Members: []bind.Member{
			{Key: "networks", Value: bind.Items(&p.Networks, "the networks", 1, networkValue), Doc: "Addresses or CIDR prefixes of counterparties."},
			{Key: "comp-ids", Value: bind.Items(&p.CompIDs, "the CompIDs", 1, compIDValue), Doc: "Senders of FIX logons, or `SENDER>TARGET`."},
		},
		Choices: []bind.Choice{{Sets: [][]string{{"networks", "comp-ids"}}, Need: true, Reset: func() { *p = Pin{By: "allow"} }}},
	})).Form("port or a mapping with networks or comp-ids")
}

func networkValue(s *string) bind.Value {
	return bind.Parsed(s, "a network", bind.Grammar[string]{
		Form: "an address or a CIDR prefix such as 192.0.2.0/24", Pattern: networkText,
		Parse: func(text string) (string, error) {
			if _, err := netip.ParseAddr(text); err == nil {
				return text, nil
			}
			if _, err := netip.ParsePrefix(text); err != nil {
				return "", errors.New("it is neither an address nor a CIDR prefix")
			}
			return text, nil
		},
	})
}

func compIDValue(s *string) bind.Value {
	return bind.Parsed(s, "a CompID", bind.Grammar[string]{Form: "SENDER or SENDER>TARGET", Pattern: compIDText, Parse: asIs})
}
