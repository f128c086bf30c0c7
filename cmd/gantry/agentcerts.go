package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/certs"
)

// agentCerts has the certificates that listeners name: "files:CERT:KEY", "acme:EMAIL:DIRECTORY" and "local", several of them a line each.
type agentCerts struct {
	dir string
	// terms: the operator agrees to those of ACME authorities.
	terms bool
	log   *slog.Logger
	// host says for which names a listener has routes; it is there before the first caller.
	host atomic.Pointer[agent.Host]

	mu sync.Mutex
	// made are configurations by their source and hosts.
	made  map[string]*tls.Config
	local *certs.Authority
}

// config is a listener's. Its certificates are looked for when a caller comes: by then it is known which hosts the listener has routes for.
func (a *agentCerts) config(name string) *tls.Config {
	sources := strings.Split(name, "\n")
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", "acme-tls/1"}, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		var errs []error
		for _, source := range sources {
			c, err := a.source(source, a.hosts(name))
			if err == nil && c.GetCertificate != nil {
				var cert *tls.Certificate
				if cert, err = c.GetCertificate(hello); err == nil && (hello.ServerName == "" || len(sources) == 1 || hello.SupportsCertificate(cert) == nil) {
					return c, nil
				}
			}
			errs = append(errs, fmt.Errorf("%s: %w", source, cmpErr(err)))
		}
		err := errors.Join(errs...)
		a.log.Warn("a caller was refused: there is no certificate", "host", hello.ServerName, "error", err)
		return nil, err
	}}
}

// cmpErr is an error for a certificate that does not fit.
func cmpErr(err error) error {
	if err == nil {
		return errors.New("it is for other hosts")
	}
	return err
}

// hosts are those that listeners with a certificate of this name have routes for.
func (a *agentCerts) hosts(name string) []string {
	if h := a.host.Load(); h != nil {
		return h.Hosts(name)
	}
	return nil
}

// source is the configuration of one source for some hosts.
func (a *agentCerts) source(source string, hosts []string) (*tls.Config, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := source + "\n" + strings.Join(hosts, "\n")
	if c := a.made[key]; c != nil {
		return c, nil
	}
	c, err := a.make(source, hosts)
	if err != nil {
		return nil, err
	}
	// What listeners offer is negotiated by the inner configuration.
	c = c.Clone()
	for _, p := range []string{"h2", "http/1.1"} {
		if !strings.Contains(strings.Join(c.NextProtos, ","), p) {
			c.NextProtos = append(c.NextProtos, p)
		}
	}
	if a.made == nil {
		a.made = map[string]*tls.Config{}
	}
	a.made[key] = c
	return c, nil
}

func (a *agentCerts) make(source string, hosts []string) (*tls.Config, error) {
	kind, rest, _ := strings.Cut(source, ":")
	switch kind {
	case "files":
		cert, key, ok := strings.Cut(rest, ":")
		if !ok {
			return nil, errors.New("it names no two files")
		}
		f, err := certs.LoadFiles(cert, key)
		if err != nil {
			return nil, err
		}
		f.Renewed = func() { a.log.Info("took up a renewed certificate", "file", cert) }
		f.Refused = func(err error) { a.log.Warn("a changed certificate is not used", "file", cert, "error", err) }
		return f.TLS(), nil
	case "local":
		if a.local == nil {
			var err error
			if a.local, err = certs.OpenAuthority(filepath.Join(a.dir, "authority"), "Gantry agent", nil); err != nil {
				return nil, err
			}
		}
		return a.local.TLS(append(hosts, "localhost", "127.0.0.1", "::1")...)
	case "acme":
		if !a.terms {
			return nil, errors.New("start the agent with --accept-acme-terms where you agree to the authority's terms of service")
		}
		email, directory, _ := strings.Cut(rest, ":")
		sum := sha256.Sum256([]byte(source))
		acme, err := certs.NewACME(certs.ACMEOptions{Dir: filepath.Join(a.dir, "acme-"+hex.EncodeToString(sum[:6])), Hosts: hosts, Directory: directory, Email: email, AcceptTerms: true})
		if err != nil {
			return nil, err
		}
		return acme.TLS(), nil
	}
	return nil, errors.New("it is no source of certificates")
}
