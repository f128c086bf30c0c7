package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate makes a self-signed certificate with a serial number, and says that its files were written at a time.
func writeCertificate(t *testing.T, cert, key string, serial int64, at time.Time) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: at, NotAfter: at.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := LoadFiles(cert, key); err == nil || !strings.Contains(err.Error(), "cert.pem") {
		t.Fatalf("a missing file: %v, want an error with its name", err)
	}
	begin := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	writeCertificate(t, cert, key, 1, begin)
	c, err := LoadFiles(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	renewed, refused := 0, 0
	c.Renewed, c.Refused = func() { renewed++ }, func(error) { refused++ }
	check := func(when string, serial int64, wantRenewed, wantRefused int) {
		t.Helper()
		pair, err := c.Certificate(nil)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if leaf.SerialNumber.Int64() != serial || renewed != wantRenewed || refused != wantRefused {
			t.Errorf("%s: certificate %d, %d renewed, %d refused; want %d, %d, %d", when, leaf.SerialNumber, renewed, refused, serial, wantRenewed, wantRefused)
		}
	}
	check("at the start", 1, 0, 0)
	check("when nothing has changed", 1, 0, 0)
	if err := os.WriteFile(cert, []byte("half of a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(cert, begin.Add(time.Minute), begin.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	check("while it is written", 1, 0, 1)
	check("when asked again", 1, 0, 1)
	writeCertificate(t, cert, key, 2, begin.Add(2*time.Minute))
	check("after it was renewed", 2, 1, 1)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	check("when a file is gone", 2, 1, 1)
}
