package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clock is one that is set by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// shake has a client and a server greet each other, and gives the server's certificate as the client saw it.
func shake(t testing.TB, server, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			served <- err
			return
		}
		defer c.Close()
		s := tls.Server(c, server)
		err = s.Handshake()
		if err == nil {
			_, err = io.WriteString(s, "ok")
		}
		served <- err
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := tls.Client(raw, client)
	_, err = io.ReadFull(c, make([]byte, 2)) // with TLS 1.3 a client hears of a refusal with its first read
	_ = raw.Close()
	if err := errors.Join(err, <-served); err != nil {
		return nil, err
	}
	return c.ConnectionState().PeerCertificates[0], nil
}

// TestAuthority serves hosts by certificates of its own, and makes them anew in time.
func TestAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	c := &clock{time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)}
	a, err := OpenAuthority(dir, "Gantry on example.com", c.now)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "root-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key's mode is %v, %v", info.Mode(), err)
	}
	again, err := OpenAuthority(dir, "other", c.now)
	if err != nil || again.Fingerprint() != a.Fingerprint() || len(a.Fingerprint()) != 64 || string(again.PEM()) != string(a.PEM()) {
		t.Fatalf("opened again it is another: %v", err)
	}
	server, err := again.TLS("shop.example.com", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	client := func(name string) *tls.Config {
		return &tls.Config{RootCAs: a.Pool(), ServerName: name, Time: c.now}
	}
	server.Time = c.now
	first, err := shake(t, server, client("shop.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shake(t, server, client("127.0.0.1")); err != nil {
		t.Errorf("by address: %v", err)
	}
	if _, err := shake(t, server, client("other.example.com")); err == nil {
		t.Error("another host has a certificate")
	}
	if _, err := shake(t, server, &tls.Config{ServerName: "shop.example.com", Time: c.now, RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("who does not trust the authority was served")
	}
	same, _ := shake(t, server, client("shop.example.com"))
	c.at = c.at.Add(61 * 24 * time.Hour)
	renewed, err := shake(t, server, client("shop.example.com"))
	if err != nil || !same.Equal(first) || renewed.Equal(first) || !renewed.NotAfter.After(first.NotAfter) {
		t.Errorf("after two thirds of its time the certificate is good until %v instead of %v, %v", renewed.NotAfter, first.NotAfter, err)
	}
	c.at = a.root.NotAfter.Add(-24 * time.Hour)
	last, err := shake(t, server, client("shop.example.com"))
	if err != nil || last.NotAfter.After(a.root.NotAfter) {
		t.Errorf("near the authority's end: %v", err)
	}
	c.at = a.root.NotAfter.Add(time.Second)
	if _, err := OpenAuthority(dir, "", c.now); err == nil || !strings.Contains(err.Error(), "ended at") {
		t.Errorf("an authority that has ended: %v", err)
	}
}

// TestMutual has a client known by its certificate, as agents are.
func TestMutual(t *testing.T) {
	a, err := OpenAuthority(t.TempDir(), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenAuthority(t.TempDir(), "b", nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := a.TLS("server.example.com")
	if err != nil {
		t.Fatal(err)
	}
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config := func(by *Authority, r Request) *tls.Config {
		t.Helper()
		chain, err := by.Sign(&key.PublicKey, r)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{RootCAs: a.Pool(), ServerName: "server.example.com", Certificates: []tls.Certificate{pair}}
	}
	if _, err := shake(t, server, config(a, Request{Name: "agent-1", Client: true})); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]*tls.Config{
		"of another authority": config(other, Request{Name: "agent-1", Client: true}),
		"of a server":          config(a, Request{Name: "agent-1", Hosts: []string{"agent-1.example.com"}}),
		"that ended":           config(a, Request{Name: "agent-1", Client: true, Life: time.Nanosecond}),
		"missing":              {RootCAs: a.Pool(), ServerName: "server.example.com"},
	} {
		if _, err := shake(t, server, c); err == nil {
			t.Errorf("a certificate %s was taken", name)
		}
	}
	for _, r := range []Request{{}, {Name: "x"}, {Client: true}} {
		if _, err := a.Sign(&key.PublicKey, r); err == nil {
			t.Errorf("%+v was signed", r)
		}
	}
	if _, err := a.Sign("no key", Request{Name: "x", Client: true}); err == nil {
		t.Error("something that is no key was signed")
	}
}

// TestDamaged opens folders in which something is wrong: nothing is overwritten.
func TestDamaged(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"half a certificate": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "root.pem"), []byte("-----BEGIN"), 0o644)
		},
		"no key": func(dir string) error { return os.Remove(filepath.Join(dir, "root-key.pem")) },
		"another's key": func(dir string) error {
			other, err := os.MkdirTemp(dir, "")
			if err != nil {
				return err
			}
			if _, err := OpenAuthority(other, "b", nil); err != nil {
				return err
			}
			return os.Rename(filepath.Join(other, "root-key.pem"), filepath.Join(dir, "root-key.pem"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := OpenAuthority(dir, "a", nil); err != nil {
				t.Fatal(err)
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(filepath.Join(dir, "root.pem"))
			if _, err := OpenAuthority(dir, "a", nil); err == nil {
				t.Error("it was opened")
			}
			if after, _ := os.ReadFile(filepath.Join(dir, "root.pem")); string(after) != string(before) {
				t.Error("it was changed")
			}
		})
	}
	// A death between both files leaves a key without a certificate; the next start makes both anew.
	dir := t.TempDir()
	if _, err := OpenAuthority(dir, "a", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "root.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAuthority(dir, "a", nil); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("%v is left over", left)
	}
}

// until waits for a condition.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it never came to it")
		}
	}
}
