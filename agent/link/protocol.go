// Package link is what an agent and its server say to each other: JSON over HTTP/2 with mutual TLS, always begun by the agent, so that a host needs no
// open port for its server.
//
//	POST /agent/v1/join      Join → Joined     with a one-time token and no certificate of its own
//	POST /agent/v1/renew     Renewal → Renewed
//	GET  /agent/v1/desired   ?generation=N&wait=SECONDS → [agent.Desired], or 204 when there is no newer one after that time
//	POST /agent/v1/report    Report → 204
//	GET  /agent/v1/bundles/{digest}            the artifact, as it was uploaded; Range is understood
//	     /agent/v1/tunnel    HTTP/1.1 Upgrade: gantry-tunnel; see [TunnelRequest]
//
// Errors are RFC 9457 problems: 401 for a certificate or a token that is not (or no longer) good, 404 for what is not there, 409 for a name that another
// host has. Whatever else fails is tried again; the host serves on meanwhile.
package link

import (
	"time"

	"github.com/gantry-ops/gantry/agent"
)

// Paths of the protocol.
const (
	PathJoin    = "/agent/v1/join"
	PathRenew   = "/agent/v1/renew"
	PathDesired = "/agent/v1/desired"
	PathReport  = "/agent/v1/report"
	PathBundles = "/agent/v1/bundles/"
	PathTunnel  = "/agent/v1/tunnel"
)

// TokenPrefix begins every join token: "gja_SECRET.FINGERPRINT", the second part being the SHA-256 of the server's authority in hexadecimal, so that an
// agent knows its server before it says anything to it.
const TokenPrefix = "gja_"

// Join asks to become an agent of the server.
type Join struct {
	Token string `json:"token"`
	// Name is what the agent wants to be called, 1 to 63 small letters, digits and hyphens; a token may prescribe it.
	Name string `json:"name"`
	// PublicKey is the agent's, as PEM "PUBLIC KEY" (PKIX). Its private key never leaves the host.
	PublicKey string `json:"public_key"`
	Info      Info   `json:"info"`
}

// Joined is the answer to Join.
type Joined struct {
	Name string `json:"name"`
	// Certificate is a chain in PEM, for client authentication; Authority the server's root in PEM.
	Certificate string `json:"certificate"`
	Authority   string `json:"authority"`
}

// Renewal asks for a certificate for a public key, by the certificate that still holds.
type Renewal struct {
	PublicKey string `json:"public_key"`
}

// Renewed is the answer to Renewal.
type Renewed struct {
	Certificate string `json:"certificate"`
}

// Info is what an agent tells of its host.
type Info struct {
	Version  string            `json:"version"`
	Hostname string            `json:"hostname"`
	OS       string            `json:"os"`
	Arch     string            `json:"arch"`
	CPUs     int               `json:"cpus"`
	Memory   int64             `json:"memory,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// Report is sent once a second, and at once when something changes that a rollout may wait for.
type Report struct {
	// Boot is drawn anew by each agent process: with another one, counters may begin again at zero.
	Boot string `json:"boot"`
	// Seq grows with each report of a boot, so that one that comes late changes nothing.
	Seq      int64          `json:"seq"`
	Info     Info           `json:"info"`
	Observed agent.Observed `json:"observed"`
	// Traffic is what the router has counted since Boot, by the name of the route's service and the version.
	Traffic map[string]map[string]Traffic `json:"traffic,omitempty"`
}

// Traffic counts requests that have ended. Counters only grow.
type Traffic struct {
	Requests int64 `json:"requests"`
	// Errors are those answered with 5xx, with a grpc-status that is a server's fault, or not at all.
	Errors int64 `json:"errors,omitempty"`
	// Latency are the requests by the buckets of analysis.DefaultBuckets, as pairs of a bucket's number and its count, in order.
	Latency [][2]int64 `json:"latency,omitempty"`
}

// TunnelRequest is the line of JSON that the server writes to a tunnel that it wants to use; the agent answers with a line of [TunnelAnswer], and
// after a good one the connection is the target's. An agent keeps a few tunnels open that wait for such a line.
type TunnelRequest struct {
	// To is "metrics" (the agent's own, by HTTP/1.1 on the connection), "logs" (HTTP/1.1: GET /logs?instance=ID&tail=LINES&follow=1), or "instance"
	// (bytes to the port of an instance).
	To       string `json:"to"`
	Instance string `json:"instance,omitempty"`
	// Port is a port's name.
	Port string `json:"port,omitempty"`
}

// TunnelAnswer says whether the target was reached.
type TunnelAnswer struct {
	Error string `json:"error,omitempty"`
}

// ReportEvery is the time between two reports.
const ReportEvery = time.Second
