package auth

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	tests := []struct {
		name, peer string
		forwarded  []string
		trusted    []netip.Prefix
		want       string
	}{
		{"no proxy", "192.0.2.1:80", nil, nil, "192.0.2.1"},
		{"nobody is trusted", "10.0.0.1:80", []string{"198.51.100.1"}, nil, "10.0.0.1"},
		{"an untrusted peer", "192.0.2.1:80", []string{"198.51.100.1"}, proxies, "192.0.2.1"},
		{"a proxy", "10.0.0.1:80", []string{"198.51.100.1"}, proxies, "198.51.100.1"},
		{"a proxy that says nothing", "10.0.0.1:80", nil, proxies, "10.0.0.1"},
		{"an invented beginning", "10.0.0.1:80", []string{"203.0.113.1, 198.51.100.1"}, proxies, "198.51.100.1"},
		{"two proxies", "10.0.0.1:80", []string{"203.0.113.1, 198.51.100.1, 10.2.3.4"}, proxies, "198.51.100.1"},
		{"two headers", "10.0.0.1:80", []string{"203.0.113.1", "198.51.100.1", "10.2.3.4"}, proxies, "198.51.100.1"},
		{"proxies alone", "10.0.0.1:80", []string{"10.2.3.4"}, proxies, "10.2.3.4"},
		{"nonsense", "10.0.0.1:80", []string{"198.51.100.1, unknown"}, proxies, "10.0.0.1"},
		{"with a port", "10.0.0.1:80", []string{"198.51.100.1:1234"}, proxies, "198.51.100.1"},
		{"IPv6", "[2001:db8:1::1]:80", []string{"[2001:db8:2::1]:1234"}, proxies, "2001:db8:2::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:80", []string{"::ffff:198.51.100.1"}, proxies, "198.51.100.1"},
		{"a zone", "[fe80::1%eth0]:80", nil, proxies, "fe80::1"},
		{"a socket", "@", []string{"198.51.100.1"}, proxies, "invalid IP"},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.peer
		r.Header["X-Forwarded-For"] = tt.forwarded
		if got := clientAddress(r, tt.trusted); got.String() != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestClientAgent(t *testing.T) {
	f := lite(t)
	for agent, want := range map[string]string{"curl/8": "curl/8", "a\x1b[2J\x7fb": "a[2Jb", strings.Repeat("ü", 150): strings.Repeat("ü", 100), "\xffa": "a"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", agent)
		if got := f.Client(r).Agent; got != want {
			t.Errorf("%q: got %q", agent, got)
		}
	}
}

func FuzzClientAddress(f *testing.F) {
	f.Add("10.0.0.1:80", "203.0.113.1, 10.2.3.4")
	f.Add("[fe80::1%x]:80", ",,,")
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", forwarded)
		trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		got := clientAddress(r, trusted)
		if direct := clientAddress(r, nil); !within(direct, trusted) && got != direct {
			t.Errorf("%s said that it is %s, and was believed", direct, got)
		}
	})
}
