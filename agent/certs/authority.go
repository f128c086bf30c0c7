package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/agent/disk"
)

const (
	// rootLife is how long an authority is good.
	rootLife = 10 * 365 * 24 * time.Hour
	// leafLife is how long one of its certificates is, unless its root ends before. A third of it before the end there is a new one.
	leafLife = 90 * 24 * time.Hour
	// skew is how far clocks of other machines may be behind.
	skew = time.Hour
)

// Authority is a certification authority of one's own. Its key never leaves its folder.
type Authority struct {
	root *x509.Certificate
	key  crypto.Signer
	pem  []byte
	now  func() time.Time

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// OpenAuthority reads the authority in a folder, or makes one there: root.pem, to be given to who shall trust it, and root-key.pem, readable for
// its owner alone. now is the clock; nil is the machine's.
func OpenAuthority(dir, name string, now func() time.Time) (*Authority, error) {
	if now == nil {
		now = time.Now
	}
	a := &Authority{now: now, leaves: map[string]*tls.Certificate{}}
	certFile, keyFile := filepath.Join(dir, "root.pem"), filepath.Join(dir, "root-key.pem")
	cert, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err := a.create(dir, name, certFile, keyFile); err != nil {
			return nil, fmt.Errorf("make a certification authority in %s: %w", dir, err)
		}
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the certification authority: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certification authority in %s: %w", dir, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("read the certification authority in %s: root.pem is not an authority's certificate", dir)
	}
	if left := pair.Leaf.NotAfter.Sub(now()); left <= 0 {
		return nil, fmt.Errorf("the certification authority in %s ended at %v; move the folder away to have a new one made, and have it trusted", dir, pair.Leaf.NotAfter)
	}
	a.root, a.key, a.pem = pair.Leaf, key, cert
	return a, nil
}

func (a *Authority) create(dir, name, certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := a.now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-skew), NotAfter: now.Add(rootLife), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLenZero: true,
	}
	der, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	a.key, a.pem = key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The key comes first: a certificate without its key would be taken for an authority.
	if err := disk.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return disk.WriteFile(certFile, a.pem, 0o644)
}

// sign gives a template a serial number of 128 random bits (RFC 5280, 4.1.2.2 allows 160) and has it signed.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	return x509.CreateCertificate(rand.Reader, template, parent, public, key)
}

// PEM is the authority's certificate, for who shall trust it.
func (a *Authority) PEM() []byte { return slices.Clone(a.pem) }

// Pool trusts the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.root)
	return p
}

// Fingerprint is the SHA-256 of the authority's certificate in hexadecimal, by which people and join tokens tell it.
func (a *Authority) Fingerprint() string { return Fingerprint(a.root) }

// Fingerprint is the SHA-256 of a certificate in hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return fmt.Sprintf("%x", sum)
}

// Request is what a certificate is asked for.
type Request struct {
	// Name is the subject's common name.
	Name string
	// Hosts are the DNS names and IP addresses that a server's certificate is for.
	Hosts []string
	// Client is for who authenticates itself to a server, beside or instead of being one.
	Client bool
	// Life is how long it is good; 0 is 90 days. It never outlives its authority.
	Life time.Duration
}

// Sign makes a certificate for a public key, with the authority's after it, as PEM. Who asked for it, and whether they may have it, is the caller's
// to know: of a signing request nothing but the key should be believed.
func (a *Authority) Sign(public crypto.PublicKey, r Request) ([]byte, error) {
	der, err := a.sign(public, r)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), a.pem...), nil
}

func (a *Authority) sign(public crypto.PublicKey, r Request) ([]byte, error) {
	if r.Name == "" || len(r.Hosts) == 0 && !r.Client {
		return nil, errors.New("sign a certificate: it needs a name, and hosts or a client")
	}
	if r.Life <= 0 {
		r.Life = leafLife
	}
	now := a.now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: r.Name}, NotBefore: now.Add(-skew), NotAfter: now.Add(r.Life), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if template.NotAfter.After(a.root.NotAfter) {
		template.NotAfter = a.root.NotAfter
	}
	for _, h := range r.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	if len(r.Hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if r.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	der, err := sign(template, a.root, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate for %s: %w", r.Name, err)
	}
	return der, nil
}

// TLS is a configuration for a server of the given hosts, DNS names or IP addresses. Its certificates are made when a caller first asks for a host,
// and made anew in time. A caller that names none is answered with the first; one that names another is refused.
func (a *Authority) TLS(hosts ...string) (*tls.Config, error) {
	if len(hosts) == 0 {
		return nil, errors.New("a server's certificate needs a host")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
		if host == "" {
			host = hosts[0]
			// Who asks by address names none: the address is the one that was dialed.
			if local, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok && slices.Contains(hosts, local.IP.String()) {
				host = local.IP.String()
			}
		} else if !slices.Contains(hosts, host) {
			return nil, fmt.Errorf("no certificate for %q", host)
		}
		return a.leaf(host)
	}}, nil
}

// leaf gives a host's certificate, made anew when two thirds of its time are over.
func (a *Authority) leaf(host string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[host]; c != nil {
		life := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)
		if a.now().Before(c.Leaf.NotAfter.Add(-life / 3)) {
			return c, nil
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := a.sign(&key.PublicKey, Request{Name: host, Hosts: []string{host}})
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der, a.root.Raw}, PrivateKey: key, Leaf: leaf}
	a.leaves[host] = c
	return c, nil
}
