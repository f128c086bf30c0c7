package link

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/certs"
)

// peer is a server as an agent sees one, whose answers the test makes.
type peer struct {
	URL       string
	t         testing.TB
	authority *certs.Authority
	mux       *http.ServeMux

	mu   sync.Mutex
	hits map[string]int
}

// life is how long the certificates are good that it gives out.
const life = 90 * 24 * time.Hour

func newPeer(t testing.TB) *peer {
	a, err := certs.OpenAuthority(t.TempDir(), "Gantry", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, authority: a, mux: http.NewServeMux(), hits: map[string]int{}}
	p.start()
	return p
}

// start serves by a certificate of the peer's authority.
func (p *peer) start() {
	config, err := p.authority.TLS("127.0.0.1")
	if err != nil {
		p.t.Fatal(err)
	}
	config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, p.authority.Pool()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.URL = "https://" + ln.Addr().String()
	s := &http.Server{TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.hits[r.URL.Path]++
		p.mu.Unlock()
		p.mux.ServeHTTP(w, r)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.ServeTLS(ln, "", "")
	}()
	p.t.Cleanup(func() {
		_ = s.Close()
		<-ended
	})
}

func (p *peer) hit(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[path]
}

// token is one of this server, or of another one where the fingerprint is another's.
func (p *peer) token(fingerprint string) string { return TokenPrefix + "c2VjcmV0." + fingerprint }

// sign gives a certificate for a key in PEM.
func (p *peer) sign(public string) string {
	block, _ := pem.Decode([]byte(public))
	if block == nil {
		p.t.Errorf("%.40q is no key", public)
		return ""
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	b, err := p.authority.Sign(crypto.PublicKey(key), certs.Request{Name: "eu-1", Client: true, Life: life})
	if err != nil {
		p.t.Error(err)
	}
	return string(b)
}

// joins answers a join as a server does.
func (p *peer) joins() {
	p.mux.HandleFunc("POST "+PathJoin, func(w http.ResponseWriter, r *http.Request) {
		var j Join
		if err := json.NewDecoder(r.Body).Decode(&j); err != nil || j.Token != p.token(p.authority.Fingerprint()) || j.Name == "" {
			http.Error(w, "bad join", http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(Joined{Name: j.Name, Certificate: p.sign(j.PublicKey), Authority: string(p.authority.PEM())})
	})
}

// joined is a client that has joined.
func (p *peer) joined(now func() time.Time) (*client, string) {
	p.t.Helper()
	dir := p.t.TempDir()
	c, err := newClient(p.URL, now)
	if err != nil {
		p.t.Fatal(err)
	}
	p.joins()
	id, err := c.join(p.t.Context(), dir, p.token(p.authority.Fingerprint()), "eu-1", Info{})
	if err != nil {
		p.t.Fatal(err)
	}
	c.id.Store(id)
	p.t.Cleanup(c.transport.CloseIdleConnections)
	return c, dir
}

// caller is the name in the certificate of who asks.
func caller(r *http.Request) string {
	if len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	return r.TLS.VerifiedChains[0][0].Subject.CommonName
}

func contains(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, and %q was expected", err, text)
	}
}
