package route

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files anew")

// who is a caller for choices.
type who map[string]string

func (w who) header(name string) string { return w["header "+name] }
func (w who) cookie(name string) string { return w["cookie "+name] }
func (w who) address() netip.Addr       { a, _ := netip.ParseAddr(w["address"]); return a }

// compiledService makes a service without a router.
func compiledService(t testing.TB, s Service) *service {
	t.Helper()
	s.Name = "shop"
	c := &compiled{endpoints: map[string]*endpoint{}}
	done, err := c.service(&s, func(service, version string, e Endpoint) *endpoint {
		return newEndpoint(service, version, e, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestWeights sees shares kept, by chance and by key, and that a share that grows takes its callers from the first version alone.
func TestWeights(t *testing.T) {
	arms := func(canary, baseline int) []Arm {
		return []Arm{armOf("stable", 0), armOf("canary", canary), armOf("baseline", baseline), armOf("shadow", 0)}
	}
	const n = 10_000
	for _, sticky := range []Sticky{{}, {By: ByHeader, Name: "User"}, {By: ByCookie, Name: "id"}, {By: ByAddress}} {
		before := map[int]string{}
		for _, weights := range [][2]int{{0, 0}, {100, 0}, {500, 500}, {2500, 2500}, {5000, 5000}} {
			s := compiledService(t, Service{Arms: arms(weights[0], weights[1]), Sticky: sticky})
			count := map[string]int{}
			for i := range n {
				w := who{"header User": fmt.Sprint("user", i), "cookie id": fmt.Sprint("c", i), "address": netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()}
				a, issue := s.choose(w)
				if issue != "" {
					t.Fatal("a cookie is issued without being asked for")
				}
				count[a.version]++
				if sticky.By == ByNothing {
					continue
				}
				if was := before[i]; was != "" && was != "stable" && was != a.version {
					t.Fatalf("caller %d went from %s to %s when shares grew", i, was, a.version)
				}
				before[i] = a.version
			}
			for version, weight := range map[string]int{"canary": weights[0], "baseline": weights[1], "shadow": 0, "stable": Whole - weights[0] - weights[1]} {
				p := float64(weight) / Whole
				// Six standard deviations: chance does not fail this in a lifetime.
				if d := math.Abs(float64(count[version]) - n*p); d > 6*math.Sqrt(n*p*(1-p)) {
					t.Errorf("sticky by %q, %v: %s got %d of %d", sticky.By, weights, version, count[version], n)
				}
			}
		}
	}
	// Two services do not send the same callers to their canaries.
	a, b := compiledService(t, Service{Arms: arms(5000, 0)}), compiledService(t, Service{Arms: arms(5000, 0)})
	b.name = "other"
	same := 0
	for i := range n {
		if a.at(a.point(fmt.Sprint(i))).version == b.at(b.point(fmt.Sprint(i))).version {
			same++
		}
	}
	if math.Abs(float64(same)-n/2) > 6*math.Sqrt(n/4) {
		t.Errorf("of %d callers %d are treated alike by both", n, same)
	}
	// The place of a key must not change from one build to the next: callers would change versions with an upgrade of the agent.
	if p := a.point("user-1"); p != 6354 {
		t.Errorf("the key is at %d", p)
	}
}

// TestRules force versions, before weights.
func TestRules(t *testing.T) {
	s := compiledService(t, Service{
		Arms:  []Arm{armOf("1", 0), armOf("2", 0), armOf("3", Whole)},
		Rules: []Rule{{Header: "Preview", Value: "yes", Version: "2"}, {Cookie: "beta", Version: "1"}},
	})
	for _, c := range []struct {
		who  who
		want string
	}{
		{who{"header Preview": "yes"}, "2"}, {who{"header Preview": "no"}, "3"}, {who{"cookie beta": "x"}, "1"}, {who{}, "3"},
		{who{"header Preview": "yes", "cookie beta": "x"}, "2"},
	} {
		if a, _ := s.choose(c.who); a.version != c.want {
			t.Errorf("%v came to %s", c.who, a.version)
		}
	}
}

// TestIssue gives callers a cookie by which they stay with a version.
func TestIssue(t *testing.T) {
	for _, protocol := range []Protocol{HTTP, HTTP2} {
		r := newRouter(t, Options{})
		one1, two := newInstance(t, "1", nil), newInstance(t, "2", nil)
		addr := apply(t, r, one(protocol, []Arm{armOf("1", 0, one1.Endpoint), armOf("2", 5000, two.Endpoint)}, func(tab *Table) {
			tab.Services[0].Sticky = Sticky{By: ByCookie, Name: "track", Issue: true}
		}))
		c := newClient(t)
		seen := map[string]bool{}
		for range 64 {
			resp, _ := get(t, c, "http://"+addr)
			version := resp.Header.Get("Version")
			seen[version] = true
			cookies := resp.Cookies()
			if len(cookies) != 1 || cookies[0].Name != "track" || len(cookies[0].Value) != 12 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
				t.Fatalf("the cookie is %v", resp.Header["Set-Cookie"])
			}
			for range 3 {
				again, _ := get(t, c, "http://"+addr, func(req *http.Request) { req.AddCookie(&http.Cookie{Name: "track", Value: cookies[0].Value}) })
				if again.Header.Get("Version") != version || len(again.Cookies()) != 0 {
					t.Fatalf("with the cookie version %s came instead of %s, and cookies %v", again.Header.Get("Version"), version, again.Cookies())
				}
			}
		}
		if len(seen) != 2 {
			t.Errorf("in 64 rounds only %v came", seen)
		}
	}
}

// TestBalance spreads requests over a version's instances by how busy they are.
func TestBalance(t *testing.T) {
	s := compiledService(t, Service{Arms: []Arm{armOf("1", 0, Endpoint{"a", "h:1"}, Endpoint{"b", "h:2"}, Endpoint{"c", "h:3"})}})
	count := map[string]int{}
	for range 300 {
		e := s.claim(s.arms[0], nil)
		count[e.id]++
		e.release()
	}
	if count["a"] != 100 || count["b"] != 100 || count["c"] != 100 {
		t.Errorf("idle instances got %v", count)
	}
	busy := s.arms[0].endpoints[0]
	for range 10 {
		busy.claim()
	}
	count = map[string]int{}
	for range 300 {
		e := s.claim(s.arms[0], nil)
		count[e.id]++
		e.release()
	}
	if count["a"] != 0 && count["a"] > 150 {
		t.Errorf("beside a busy one they got %v", count)
	}
	for _, e := range s.arms[0].endpoints[1:] {
		e.close()
	}
	if e := s.claim(s.arms[0], nil); e != busy {
		t.Error("an instance that is closed was claimed")
	}
	if e := s.claim(s.arms[0], busy); e != nil {
		t.Error("the instance to avoid was claimed")
	}
}

// TestRefused has a golden file of what is said of tables that cannot be.
func TestRefused(t *testing.T) {
	var b bytes.Buffer
	files, err := filepath.Glob("testdata/refused/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %d files", err, len(files))
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var table Table
		if err := json.Unmarshal(src, &table); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := newRouter(t, Options{})
		err = r.Apply(table)
		if err == nil || len(r.Addresses()) != 0 {
			t.Errorf("%s was not refused", name)
			continue
		}
		fmt.Fprintf(&b, "%s\n  %s\n", filepath.Base(name), strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	golden := "testdata/refused.txt"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(want, b.Bytes()) {
		t.Errorf("%v, it says\n%s", err, b.Bytes())
	}
}

// FuzzTable feeds tables that may be anything: they are refused or work, and come back from JSON as they were.
func FuzzTable(f *testing.F) {
	files, _ := filepath.Glob("testdata/refused/*.json")
	for _, name := range files {
		if src, err := os.ReadFile(name); err == nil {
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var table Table
		if json.Unmarshal(src, &table) != nil {
			return
		}
		c, err := compile(table, func(string) bool { return true }, func(service, version string, e Endpoint) *endpoint {
			return newEndpoint(service, version, e, nil)
		})
		if err != nil {
			if c != nil || errors.Unwrap(err) == err {
				t.Fatal("half of a table came with an error")
			}
			return
		}
		for _, m := range c.listeners {
			for _, r := range m.routes {
				a, _ := r.service.choose(who{"address": "10.0.0.1"})
				if a == nil || r.service.session(netip.Addr{}, "A", "B") == nil {
					t.Fatal("there is no version to choose")
				}
			}
			m.match("shop.example.com", "/a/b")
		}
		text, err := json.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		var again Table
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if second, _ := json.Marshal(again); !bytes.Equal(text, second) {
			t.Fatalf("it came back as %s instead of %s", second, text)
		}
	})
}

// FuzzCompIDs feeds first messages that may be anything.
func FuzzCompIDs(f *testing.F) {
	f.Add([]byte("8=FIX.4.4\x019=70\x0135=A\x0149=BUYER\x0156=SELLER\x0110=000\x01"))
	f.Add([]byte("8=FIX"))
	f.Add([]byte("8=FIXT.1.1\x0149=\x0156=x\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(b), firstLimit)
		sender, target := compIDs(r)
		if (sender == "") != (target == "") || strings.ContainsAny(sender+target, "\x01") {
			t.Errorf("%q and %q", sender, target)
		}
		all := make([]byte, len(b)+1)
		n, _ := r.Read(all)
		for n < len(b) {
			m, err := r.Read(all[n:])
			if err != nil {
				break
			}
			n += m
		}
		if !bytes.Equal(all[:n], b) {
			t.Error("something was consumed")
		}
	})
}

// TestMatch finds routes by the most exact host and path.
func TestMatch(t *testing.T) {
	services := map[string]*service{}
	var routes []Route
	for name, r := range map[string]Route{
		"all": {}, "api": {Path: "/api"}, "apiv2": {Path: "/api/v2/"}, "host": {Host: "Shop.example.com"}, "hostapi": {Host: "shop.example.com", Path: "/api"},
		"wild": {Host: "*.example.com"}, "deep": {Host: "*.eu.example.com"},
	} {
		r.Service = name
		services[name] = &service{name: name}
		routes = append(routes, r)
	}
	m, err := compileListener(&Listener{Name: "a", Address: ":0", Protocol: HTTP, Routes: routes}, services, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ host, path, want string }{
		{"x", "/", "all"}, {"x", "/api", "api"}, {"x", "/api/", "api"}, {"x", "/apis", "all"}, {"x", "/api/v2", "apiv2"}, {"x", "/api/v2/y", "apiv2"}, {"x", "/api/v20", "api"},
		{"shop.example.com", "/", "host"}, {"shop.example.com", "/api/x", "hostapi"}, {"a.example.com", "/api", "wild"}, {"example.com", "/", "all"}, {"a.eu.example.com", "/", "deep"},
	} {
		if s := m.match(c.host, c.path); s == nil || s.name != c.want {
			t.Errorf("%s%s came to %v", c.host, c.path, s)
		}
	}
}
