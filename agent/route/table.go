package route

import "time"

// Table says where everything goes. It is plain data, and the same as JSON.
type Table struct {
	Listeners []Listener `json:"listeners"`
	Services  []Service  `json:"services"`
}

// Protocol is what a listener speaks.
type Protocol string

const (
	// HTTP is HTTP/1.1, and HTTP/2 too where TLS negotiates it.
	HTTP Protocol = "http"
	// HTTP2 is HTTP/2 by prior knowledge (RFC 9113, 3.3) beside HTTP/1.1, for gRPC without TLS.
	HTTP2 Protocol = "http2"
	// TCP is a stream of bytes; with TLS it is ended here.
	TCP Protocol = "tcp"
)

// Listener is an address that the router owns.
type Listener struct {
	// Name is unique; by it a listener is found again in the next table and by the next router.
	Name string `json:"name"`
	// Address is host:port; an empty host is all addresses, port 0 a free one.
	Address  string   `json:"address"`
	Protocol Protocol `json:"protocol"`
	// TLS names the certificates of [Options.TLS] to use; empty is none.
	TLS string `json:"tls,omitempty"`
	// Routes are tried by the longest host and then the longest path. A TCP listener has exactly one, without host and path.
	Routes []Route `json:"routes"`
}

// Route hands what matches to a service.
type Route struct {
	// Host is a name, a name with its first label replaced by "*", or empty for all. Ports are ignored.
	Host string `json:"host,omitempty"`
	// Path is a prefix that ends where a segment ends: "/api" holds "/api" and "/api/x", not "/apix". Empty is all.
	Path    string `json:"path,omitempty"`
	Service string `json:"service"`
}

// Whole is the sum of weights.
const Whole = 10_000

// Service is what is released: several versions at a time.
type Service struct {
	Name string `json:"name"`
	// Arms are the versions. The first has what the others leave; the second takes its share from the bottom of the hash, the third from its
	// top, so that a share that grows takes nobody from any version but the first. At most three have a weight.
	Arms []Arm `json:"arms"`
	// Sticky is what keeps a caller with a version.
	Sticky Sticky `json:"sticky,omitzero"`
	// Rules force a version; the first that matches counts.
	Rules []Rule `json:"rules,omitempty"`
	// Allow sends the TCP sessions of counterparties to a version; the first that matches counts. TCP sessions have no weights.
	Allow []Allow `json:"allow,omitempty"`
	// Mirror sends copies of requests to a version that answers nobody.
	Mirror *Mirror `json:"mirror,omitempty"`
	// HTTP2 is set where the endpoints speak HTTP/2 without TLS, as gRPC servers do.
	HTTP2 bool `json:"http2,omitempty"`
	// Timeout is how long an endpoint may take until its answer begins; 0 is a minute.
	Timeout Duration `json:"timeout,omitempty"`
}

// Arm is a version of a service.
type Arm struct {
	Version string `json:"version"`
	// Weight is its share in ten-thousandths; the first arm's is not used. Without endpoints its share goes to the first arm.
	Weight    int        `json:"weight,omitempty"`
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is an instance's address.
type Endpoint struct {
	// ID is unique in the table; with it and the address a later table means the same endpoint.
	ID      string `json:"id"`
	Address string `json:"address"`
}

// StickyBy is where a caller's key is read.
type StickyBy string

const (
	ByNothing StickyBy = ""
	// ByAddress is the caller's IP address.
	ByAddress StickyBy = "address"
	// ByHeader is a header; requests without it are spread at random.
	ByHeader StickyBy = "header"
	// ByCookie is a cookie; requests without it are spread at random and, with Issue, given one.
	ByCookie StickyBy = "cookie"
)

// Sticky keeps callers with a version.
type Sticky struct {
	By StickyBy `json:"by"`
	// Name is the header's or the cookie's.
	Name string `json:"name,omitempty"`
	// Issue has the router set the cookie where it is missing.
	Issue bool `json:"issue,omitempty"`
}

// Rule forces a version by a header or a cookie, of which one is set.
type Rule struct {
	Header string `json:"header,omitempty"`
	Cookie string `json:"cookie,omitempty"`
	// Value has to be equal; empty is any value.
	Value   string `json:"value,omitempty"`
	Version string `json:"version"`
}

// Allow is a list of counterparties for a version.
type Allow struct {
	// Networks are CIDR prefixes or addresses.
	Networks []string `json:"networks,omitempty"`
	// CompIDs are "SENDER>TARGET" pairs of a FIX Logon (tags 49 and 56), or a sender alone. With them the router reads a session's first message
	// before it dials.
	CompIDs []string `json:"comp_ids,omitempty"`
	Version string   `json:"version"`
}

// Mirror sends copies. Their answers are dropped; requests with a body of more than 1 MiB, with an upgrade or over HTTP/2 are not copied.
type Mirror struct {
	Version string `json:"version"`
	// Share is how many are copied, in ten-thousandths.
	Share int `json:"share"`
	// Methods are those that are copied; none is all. Copies of others than GET and HEAD may do something a second time.
	Methods []string `json:"methods,omitempty"`
}

// Duration is a time.Duration that is text in JSON: "30s".
type Duration time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}
