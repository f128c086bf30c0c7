package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACME gets certificates from a public authority (RFC 8555), keeps them in a folder, and renews them 30 days before their end.
type ACME struct {
	manager *autocert.Manager
}

// ACMEOptions say how.
type ACMEOptions struct {
	// Dir is where the account's key and the certificates are kept; it is made for its owner alone.
	Dir string
	// Hosts are the names that certificates are asked for; others are refused, so that strangers cannot use up the authority's limits.
	Hosts []string
	// Directory is the authority's URL; empty is Let's Encrypt's.
	Directory string
	// Email is where the authority writes to; it may be empty.
	Email string
	// AcceptTerms has to be true: the authority's terms of service are the operator's to accept.
	AcceptTerms bool
	// Client is used to speak to the authority; nil is the default.
	Client *http.Client
}

// NewACME checks the options. Nothing is asked for until a caller comes.
func NewACME(o ACMEOptions) (*ACME, error) {
	switch {
	case !o.AcceptTerms:
		return nil, errors.New("certificates by ACME need the authority's terms of service to be accepted")
	case len(o.Hosts) == 0:
		return nil, errors.New("certificates by ACME need the names of hosts")
	case slices.ContainsFunc(o.Hosts, func(h string) bool { return strings.ContainsAny(h, "*:/ ") || !strings.Contains(h, ".") }):
		return nil, fmt.Errorf("certificates by ACME are for whole DNS names, not for all of %q", o.Hosts)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for certificates: %w", err)
	}
	if o.Directory == "" {
		o.Directory = acme.LetsEncryptURL
	}
	return &ACME{&autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Dir), HostPolicy: autocert.HostWhitelist(o.Hosts...), Email: o.Email,
		Client: &acme.Client{DirectoryURL: o.Directory, HTTPClient: o.Client, UserAgent: "gantry"},
	}}, nil
}

// TLS is a configuration for servers. It also answers the authority's challenge on the TLS port itself (RFC 8737).
func (a *ACME) TLS() *tls.Config {
	c := a.manager.TLSConfig()
	c.MinVersion = tls.VersionTLS12
	return c
}

// Challenge answers the authority's challenge over HTTP on port 80 (RFC 8555, 8.3), and passes on what is none.
func (a *ACME) Challenge(next http.Handler) http.Handler { return a.manager.HTTPHandler(next) }
