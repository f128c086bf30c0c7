package link

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/agent/disk"
)

// identityFile has all that an agent is known by, in one file, so that no part of it is ever older than another.
const identityFile = "identity.json"

// identity is who the agent is to its server. On disk it is readable for its owner alone.
type identity struct {
	Name string `json:"name"`
	// Server is the URL that it joined at.
	Server string `json:"server"`
	// Key is the private key, Certificate the chain for client authentication, Authority the server's root; all in PEM.
	Key         string `json:"key"`
	Certificate string `json:"certificate"`
	Authority   string `json:"authority"`

	pair tls.Certificate
	pool *x509.CertPool
}

// readIdentity reads what a join has left; nil where the agent has not joined yet.
func readIdentity(dir string) (*identity, error) {
	name := filepath.Join(dir, identityFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the agent's identity: %w", err)
	}
	id := &identity{}
	if err := json.Unmarshal(b, id); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w (remove it, and join again with a new token)", name, err)
	}
	if err := id.complete(); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w (remove it, and join again with a new token)", name, err)
	}
	return id, nil
}

// complete parses what is kept as text.
func (id *identity) complete() (err error) {
	if id.pair, err = tls.X509KeyPair([]byte(id.Certificate), []byte(id.Key)); err != nil {
		return err
	}
	if id.pair.Leaf == nil {
		if id.pair.Leaf, err = x509.ParseCertificate(id.pair.Certificate[0]); err != nil {
			return err
		}
	}
	id.pool = x509.NewCertPool()
	if !id.pool.AppendCertsFromPEM([]byte(id.Authority)) {
		return errors.New("the authority is no certificate")
	}
	return nil
}

// due is when the certificate is to be renewed: after two thirds of its life.
func (id *identity) due() time.Time {
	from, to := id.pair.Leaf.NotBefore, id.pair.Leaf.NotAfter
	return from.Add(to.Sub(from) * 2 / 3)
}

// write keeps the identity: as a whole or not at all, whenever the machine dies.
func (id *identity) write(dir string) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	if err := disk.WriteFile(filepath.Join(dir, identityFile), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the agent's identity: %w", err)
	}
	return nil
}

// newKey makes a key pair: the private half and the public one, both in PEM.
func newKey() (private, public string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})), nil
}

// fingerprint is the part of a join token by which the server's authority is known.
func fingerprint(token string) (string, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(token), TokenPrefix)
	secret, print, found := strings.Cut(rest, ".")
	if raw, err := hex.DecodeString(print); !ok || !found || secret == "" || err != nil || len(raw) != sha256.Size {
		return "", errors.New("this is no join token: one begins with " + TokenPrefix + " and is made by gantry agents add NAME")
	}
	return strings.ToLower(print), nil
}

// pinned verifies a server by its authority's fingerprint alone: the authority is in the chain that it shows, and has signed its certificate for the host.
func pinned(print, host string, now func() time.Time) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		known := false
		for _, c := range s.PeerCertificates {
			sum := sha256.Sum256(c.Raw)
			if hex.EncodeToString(sum[:]) == print {
				roots.AddCert(c)
				known = true
				continue
			}
			between.AddCert(c)
		}
		if !known || len(s.PeerCertificates) == 0 {
			return fmt.Errorf("the server at %s is not the one that the token is from: its authority is another one. Is it the address for agents (gantry up --agents-listen)?", host)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: host, CurrentTime: now()})
		return err
	}
}

// holds reports whether a root that a server has answered with is the one of the fingerprint.
func holds(authority, print string) bool {
	block, rest := pem.Decode([]byte(authority))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return false
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:]) == print
}

// verifyBy holds a server against an identity's authority.
func verifyBy(id *identity, host string, now time.Time) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: id.pool, Intermediates: between, DNSName: host, CurrentTime: now})
		return err
	}
}

// keyFile keeps the key of a join that was not answered yet: the server gives a token's certificate to the same key again.
const keyFile = "joining.pem"

// keptKey returns the key that an unanswered join has left, or makes one.
func keptKey(dir string) (private, public string, err error) {
	name := filepath.Join(dir, keyFile)
	if b, err := os.ReadFile(name); err == nil {
		if block, _ := pem.Decode(b); block != nil {
			if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				if k, ok := key.(*ecdsa.PrivateKey); ok {
					der, err := x509.MarshalPKIXPublicKey(k.Public())
					return string(b), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
				}
			}
		}
	}
	if private, public, err = newKey(); err != nil {
		return "", "", err
	}
	return private, public, disk.WriteFile(name, []byte(private), 0o600)
}

// forgetKey removes it: the identity has it.
func forgetKey(dir string) { _ = os.Remove(filepath.Join(dir, keyFile)) }
