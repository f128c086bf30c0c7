package certs

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// Files is a certificate in two PEM files. A renewed one is taken up by new connections; while the files do not fit together, as between the
// writing of the two, the last good one is used.
type Files struct {
	cert, key string
	// Renewed, which may be set before first use, hears of each certificate that was taken up later; Refused of files that could not be.
	Renewed func()
	Refused func(error)

	mu     sync.Mutex
	loaded *tls.Certificate
	// written are the times of the files that were last looked at.
	written [2]time.Time
}

// LoadFiles reads both files.
func LoadFiles(cert, key string) (*Files, error) {
	f := &Files{cert: cert, key: key, Renewed: func() {}, Refused: func(error) {}}
	written, err := f.times()
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s with the key %s: %w", cert, key, err)
	}
	f.loaded, f.written = &pair, written
	return f, nil
}

func (f *Files) times() (written [2]time.Time, err error) {
	for i, name := range []string{f.cert, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			return written, err
		}
		written[i] = info.ModTime()
	}
	return written, nil
}

// Certificate is a [tls.Config]'s GetCertificate. It looks at the files' times each time.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	written, err := f.times()
	if err != nil || written == f.written {
		return f.loaded, nil
	}
	f.written = written
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		f.Refused(err)
		return f.loaded, nil
	}
	f.loaded = &pair
	f.Renewed()
	return f.loaded, nil
}

// TLS is a configuration for servers: TLS 1.2 at least, by the files.
func (f *Files) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: f.Certificate}
}
