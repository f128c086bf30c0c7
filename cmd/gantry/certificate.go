package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is a server's certificate in files. A renewed one is taken up by new connections, without a restart; while the files do not
// fit together, as between the writing of the two, the last good one is used.
type certificate struct {
	cert, key string
	// renewed hears of each one that was taken up later, refused of files that could not be.
	renewed func()
	refused func(error)

	mu     sync.Mutex
	loaded *tls.Certificate
	// written are the times of the files that were last looked at.
	written [2]time.Time
}

// loadCertificate reads both files.
func loadCertificate(cert, key string) (*certificate, error) {
	c := &certificate{cert: cert, key: key, renewed: func() {}, refused: func(error) {}}
	written, err := c.times()
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s with the key %s: %w", cert, key, err)
	}
	c.loaded, c.written = &pair, written
	return c, nil
}

func (c *certificate) times() (written [2]time.Time, err error) {
	for i, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return written, err
		}
		written[i] = info.ModTime()
	}
	return written, nil
}

// get is a [tls.Config]'s GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	written, err := c.times()
	if err != nil || written == c.written {
		return c.loaded, nil
	}
	c.written = written
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		c.refused(err)
		return c.loaded, nil
	}
	c.loaded = &pair
	c.renewed()
	return c.loaded, nil
}
