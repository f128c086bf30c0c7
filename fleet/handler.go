package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/agent/certs"
	"github.com/gantry-ops/gantry/agent/link"
)

// Handler serves the protocol of package agent/link, on a listener with [Service.TLSConfig]. Long polls, bundles and tunnels take their time: the
// server that it is given to has no timeout for writing.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+link.PathJoin, s.handle(s.join))
	mux.Handle("POST "+link.PathRenew, s.handle(s.renew))
	mux.Handle("GET "+link.PathDesired, s.handle(s.desired))
	mux.Handle("POST "+link.PathReport, s.handle(s.report))
	mux.Handle("GET "+link.PathBundles+"{digest}", s.handle(s.bundle))
	mux.Handle("GET "+link.PathTunnel, s.handle(s.tunnel))
	return mux
}

// TLSConfig is for the listener of [Service.Handler]: a certificate of the authority for whatever host the agent has dialed, and certificates of agents,
// which joining alone does without.
func (s *Service) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: s.certs.get, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: s.o.Authority.Pool(),
		NextProtos: []string{"h2", "http/1.1"}, // tunnels are upgraded, which HTTP/2 does not know
		Time:       s.o.Now,
	}
}

const (
	// serverLife is how long a certificate of the server's is good; it is made anew after half of that.
	serverLife = 30 * 24 * time.Hour
	mostHosts  = 256
)

// serverCerts makes the server's certificates. An agent knows the server by its authority; by which name or address it reaches it is no secret and
// nothing to be configured twice.
type serverCerts struct {
	authority *certs.Authority
	now       func() time.Time

	mu  sync.Mutex
	all map[string]*tls.Certificate
}

func newServerCerts(a *certs.Authority, now func() time.Time) *serverCerts {
	return &serverCerts{authority: a, now: now, all: map[string]*tls.Certificate{}}
}

func (c *serverCerts) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if host == "" {
		// Who asks by address names none (RFC 6066, 3): the address is the one that was dialed.
		host = "localhost"
		if local, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
			host = local.IP.String()
		}
	}
	if len(host) > 253 || strings.ContainsAny(host, " */\\") {
		return nil, fmt.Errorf("no certificate for %.80q", host)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.all[host]; have != nil && c.now().Before(have.Leaf.NotAfter.Add(-serverLife/2)) {
		return have, nil
	}
	if len(c.all) >= mostHosts {
		clear(c.all) // somebody tries names
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	chain, err := c.authority.Sign(&key.PublicKey, certs.Request{Name: "gantry", Hosts: []string{host}, Life: serverLife})
	if err != nil {
		return nil, err
	}
	made := &tls.Certificate{PrivateKey: key}
	for block, rest := decode(chain); block != nil; block, rest = decode(rest) {
		made.Certificate = append(made.Certificate, block)
	}
	if len(made.Certificate) == 0 {
		return nil, errors.New("the authority has signed nothing")
	}
	if made.Leaf, err = x509.ParseCertificate(made.Certificate[0]); err != nil {
		return nil, err
	}
	c.all[host] = made
	return made, nil
}
