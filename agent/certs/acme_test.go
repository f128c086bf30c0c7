package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// authority starts an ACME server that looks for every name on this machine, at the port where its challenges shall be answered.
func authority(t *testing.T, httpPort, tlsPort int) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	quiet := log.New(io.Discard, "", 0)
	addr := freeForBoth(t)
	names, err := challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{addr}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	names.SetDefaultDNSIPv4("127.0.0.1")
	names.SetDefaultDNSIPv6("")
	go names.Run()
	t.Cleanup(names.Shutdown)
	until(t, func() bool {
		c, err := net.Dial("tcp", addr) // it answers over both
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "the only one"}})
	web := wfe.New(quiet, store, va.New(quiet, httpPort, tlsPort, true, addr, store), issuer, []string{"ca.example.com"}, true, false, 1, 1)
	s := httptest.NewTLSServer(web.Handler())
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(issuer.GetRootCert(0).Cert)
	return s, pool
}

// freeForBoth is an address where neither UDP nor TCP is in use, which it most likely is not in a moment either.
func freeForBoth(t *testing.T) string {
	t.Helper()
	for range 100 {
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", stream.Addr().String())
		_ = stream.Close()
		if err == nil {
			_ = packets.Close()
			return stream.Addr().String()
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

// TestACME gets a certificate from a real ACME server, by the challenge on the TLS port and by the one over HTTP, and keeps it.
func TestACME(t *testing.T) {
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("challenge over HTTP %v", plain), func(t *testing.T) {
			tlsListener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			httpListener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
			server, pool := authority(t, port(httpListener), port(tlsListener))
			o := ACMEOptions{Dir: t.TempDir(), Hosts: []string{"shop.example.com"}, Directory: server.URL + "/dir", Email: "ann@example.com", AcceptTerms: true, Client: server.Client()}
			a, err := NewACME(o)
			if err != nil {
				t.Fatal(err)
			}
			config := a.TLS()
			if plain {
				config.NextProtos = []string{"h2", "http/1.1"} // without the protocol of the challenge on the TLS port
			}
			passed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "passed on") })
			answer := a.Challenge(passed)
			challenges := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if host, _, err := net.SplitHostPort(req.Host); err == nil && host == "shop.example.com" {
					req.Host = host // at port 80 it would come without its port
				}
				answer.ServeHTTP(w, req)
			})}
			if !plain {
				challenges.Handler = passed
			}
			go challenges.Serve(httpListener)
			t.Cleanup(func() { _ = challenges.Close() })
			web := http.Server{Handler: passed, ErrorLog: log.New(io.Discard, "", 0)}
			go web.Serve(tls.NewListener(tlsListener, config))
			t.Cleanup(func() { _ = web.Close() })

			ask := func(host string) (*x509.Certificate, error) {
				c, err := tls.Dial("tcp", tlsListener.Addr().String(), &tls.Config{ServerName: host, RootCAs: pool})
				if err != nil {
					return nil, err
				}
				defer c.Close()
				return c.ConnectionState().PeerCertificates[0], nil
			}
			cert, err := ask("shop.example.com")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ask("other.example.com"); err == nil {
				t.Error("a host that is not named has a certificate")
			}
			// Without the authority, and after a restart, the same is there.
			server.Close()
			again, err := NewACME(o)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := again.TLS().GetCertificate(&tls.ClientHelloInfo{ServerName: "shop.example.com", SupportedVersions: []uint16{tls.VersionTLS13},
				SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
			if err != nil || !kept.Leaf.Equal(cert) {
				t.Errorf("after a restart there is another certificate, %v", err)
			}
			resp, err := http.Get("http://" + httpListener.Addr().String() + "/other")
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(b) != "passed on" {
				t.Errorf("what is no challenge was answered %q", b)
			}
		})
	}
}

// TestACMEOptions refuses what the authority would, or the operator has to say.
func TestACMEOptions(t *testing.T) {
	ok := ACMEOptions{Dir: t.TempDir(), Hosts: []string{"shop.example.com"}, AcceptTerms: true}
	if _, err := NewACME(ok); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*ACMEOptions){
		"terms of service": func(o *ACMEOptions) { o.AcceptTerms = false },
		"names of hosts":   func(o *ACMEOptions) { o.Hosts = nil },
		"whole DNS names":  func(o *ACMEOptions) { o.Hosts = []string{"*.example.com"} },
		"folder":           func(o *ACMEOptions) { o.Dir = "/dev/null/x" },
	} {
		o := ok
		change(&o)
		if _, err := NewACME(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
