package route

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// upgraded is an instance that speaks a protocol of its own after an upgrade: it repeats lines, and says first which version it is.
func upgraded(t testing.TB, version string) *instance {
	return newInstance(t, version, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Upgrade") != "lines" || req.Header.Get("Connection") != "Upgrade" {
			http.Error(w, "an upgrade is required", http.StatusUpgradeRequired)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		// The first words of the protocol come with the head.
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\nVersion: "+version+"\r\n\r\nhello\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				_, _ = io.WriteString(c, "bye")
				return
			}
			_, _ = io.WriteString(c, line)
		}
	})
}

// lines opens such a connection, over TLS where there is a configuration, with its first line sent along.
func lines(t testing.TB, addr string, config *tls.Config) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		c = tls.Client(c, config)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(soon))
	if _, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: lines\r\n\r\none\n"); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, &http.Request{Method: "GET"})
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "lines" || resp.Header.Get("Connection") != "Upgrade" {
		t.Fatalf("answered %v, %v", resp, err)
	}
	for _, want := range []string{"hello\n", "one\n"} {
		if line, err := br.ReadString('\n'); line != want || err != nil {
			t.Fatalf("%q came instead of %q, %v", line, want, err)
		}
	}
	return c, br
}

// TestUpgrade holds connections of another protocol, such as WebSocket, over a release: they stay where they began until the drain's end.
func TestUpgrade(t *testing.T) {
	config, trust := certified(t)
	var tr http.Transport
	trust(&tr)
	for name, front := range map[string]*tls.Config{"plain": nil, "tls": tr.TLSClientConfig} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, Options{TLS: func(string) *tls.Config { return config }})
			old, next := upgraded(t, "1"), upgraded(t, "2")
			withTLS := func(tab *Table) {
				if front != nil {
					tab.Listeners[0].TLS = "local"
				}
			}
			addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, old.Endpoint)}, withTLS))
			stays, br := lines(t, addr, front)
			goes, goesReader := lines(t, addr, front)
			if n := value(t, r, "gantry_sessions", "version", "1"); n != 2 {
				t.Errorf("%v sessions are open", n)
			}
			apply(t, r, one(HTTP, []Arm{armOf("2", 0, next.Endpoint)}, withTLS))
			fresh, _ := lines(t, addr, front)
			defer fresh.Close()
			_, _ = io.WriteString(stays, "two\n")
			if line, err := br.ReadString('\n'); line != "two\n" {
				t.Errorf("after the switch %q came, %v", line, err)
			}
			// One ends by itself.
			if err := goes.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(goesReader); string(rest) != "bye" || err != nil {
				t.Errorf("at the end came %q, %v", rest, err)
			}
			until(t, "one session", func() bool { return value(t, r, "gantry_sessions", "version", "1") == 1 })
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if n, err := r.Drain(ctx, old.ID); n != 1 || err != nil {
				t.Errorf("%d were cut off, %v", n, err)
			}
			if _, err := br.ReadString('\n'); err == nil {
				t.Error("the session goes on after the drain's end")
			}
			// Who refuses an upgrade is heard.
			plain := newInstance(t, "3", nil)
			apply(t, r, one(HTTP, []Arm{armOf("3", 0, plain.Endpoint)}))
			got := raw(t, r.Addresses()["front"], "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: lines\r\n\r\n", nil)
			if !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("a refusal came as %q", got)
			}
		})
	}
}

// grpcLike is an instance over HTTP/2 without TLS that answers while it is asked, and ends with trailers, as gRPC does.
func grpcLike(t testing.TB, version string) *instance {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ProtoMajor != 2 {
			http.Error(w, "HTTP/2 is required", http.StatusHTTPVersionNotSupported)
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		w.Header().Set("Version", version)
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		in := bufio.NewScanner(req.Body)
		for in.Scan() {
			fmt.Fprintln(w, "echo", in.Text())
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	}))
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	s.Config.Protocols = p
	s.Start()
	t.Cleanup(s.Close)
	return &instance{Endpoint{version + "@" + s.Listener.Addr().String(), s.Listener.Addr().String()}, s}
}

// TestHTTP2 streams both ways at a time, over TLS and by prior knowledge, and switches under it.
func TestHTTP2(t *testing.T) {
	config, trust := certified(t)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %v", secure), func(t *testing.T) {
			r := newRouter(t, Options{TLS: func(string) *tls.Config { return config }})
			old, next := grpcLike(t, "1"), grpcLike(t, "2")
			table := func(arms ...Arm) Table {
				return one(HTTP2, arms, func(tab *Table) {
					tab.Services[0].HTTP2 = true
					if secure {
						tab.Listeners[0].TLS = "local"
						tab.Listeners[0].Protocol = HTTP
					}
				})
			}
			addr := apply(t, r, table(armOf("1", 0, old.Endpoint)))
			scheme := "http"
			c := newClient(t, func(tr *http.Transport) {
				tr.Protocols = new(http.Protocols)
				if secure {
					scheme = "https"
					trust(tr)
					tr.Protocols.SetHTTP2(true)
				} else {
					tr.Protocols.SetUnencryptedHTTP2(true)
				}
			})
			// end says that nothing more comes; rest waits for the other side to end the call.
			call := func() (say func(string) string, end, rest func() *http.Response) {
				pr, pw := io.Pipe()
				req, _ := http.NewRequestWithContext(t.Context(), "POST", scheme+"://"+addr+"/pkg.Service/Call", pr)
				req.Header.Set("Te", "trailers")
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				out := bufio.NewReader(resp.Body)
				rest = func() *http.Response {
					_, _ = io.Copy(io.Discard, out)
					_ = resp.Body.Close()
					_ = pw.Close()
					return resp
				}
				return func(s string) string {
						_, _ = io.WriteString(pw, s+"\n")
						line, _ := out.ReadString('\n')
						return line
					}, func() *http.Response {
						_ = pw.Close()
						return rest()
					}, rest
			}
			say, end, _ := call()
			for _, word := range []string{"a", "b"} {
				if got := say(word); got != "echo "+word+"\n" {
					t.Fatalf("%q came back as %q", word, got)
				}
			}
			apply(t, r, table(armOf("2", 0, next.Endpoint)))
			if got := say("c"); got != "echo c\n" {
				t.Errorf("after the switch %q came back", got)
			}
			sayNew, endNew, _ := call()
			if got := sayNew("d"); got != "echo d\n" {
				t.Errorf("the next call got %q", got)
			}
			if resp := endNew(); resp.ProtoMajor != 2 || resp.Header.Get("Version") != "2" || resp.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("the next call ended with %s %v %v", resp.Proto, resp.Header, resp.Trailer)
			}
			if resp := end(); resp.Header.Get("Version") != "1" || resp.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("the first call ended with %v %v", resp.Header, resp.Trailer)
			}
			if n, err := r.Drain(t.Context(), old.ID); n != 0 || err != nil {
				t.Errorf("%d were cut off, %v", n, err)
			}
			if requests(r, "2", "2xx") != 1 {
				t.Error("the call is not counted")
			}
			// A call that does not end is cut off with its drain. That takes a moment, in which one that ended by itself would still come through.
			say, _, rest := call()
			_ = say("e")
			apply(t, r, table(armOf("1", 0, old.Endpoint)))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if n, err := r.Drain(ctx, next.ID); n != 1 || err != nil {
				t.Errorf("%d were cut off, %v", n, err)
			}
			if resp := rest(); resp.Trailer.Get("Grpc-Status") == "0" {
				t.Error("what was cut off looks whole")
			}
		})
	}
}

// TestHTTP2Faults sees what callers of HTTP/2 are told.
func TestHTTP2Faults(t *testing.T) {
	r := newRouter(t, Options{})
	c := newClient(t, func(tr *http.Transport) {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
	})
	i := newInstance(t, "1", nil)
	addr := apply(t, r, one(HTTP2, []Arm{armOf("1", 0, i.Endpoint)}, func(tab *Table) { tab.Listeners[0].Routes[0].Path = "/api" }))
	if resp, body := get(t, c, "http://"+addr+"/api/x"); resp.StatusCode != 200 || body != "GET /api/x " {
		t.Errorf("answered %s %q", resp.Status, body)
	}
	if resp, _ := get(t, c, "http://"+addr+"/api/../other"); resp.StatusCode != 404 {
		t.Errorf("without a route answered %s", resp.Status)
	}
	apply(t, r, one(HTTP2, []Arm{armOf("1", 0, Endpoint{"gone", gone(t)})}))
	if resp, body := get(t, c, "http://"+addr); resp.StatusCode != 502 || !strings.Contains(body, errUnreachable.Error()) {
		t.Errorf("answered %s %q", resp.Status, body)
	}
	apply(t, r, one(HTTP2, []Arm{armOf("1", 0)}))
	if resp, _ := get(t, c, "http://"+addr); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("answered %s", resp.Status)
	}
	// An endpoint of HTTP/2 alone has no answer for callers of HTTP/1.1.
	apply(t, r, one(HTTP, []Arm{armOf("1", 0, i.Endpoint)}, func(tab *Table) { tab.Services[0].HTTP2 = true }))
	if resp, _ := get(t, newClient(t), "http://"+r.Addresses()["front"]); resp.StatusCode != 505 {
		t.Errorf("answered %s", resp.Status)
	}
}

// TestTCP passes sessions through: whole, both ways, with their halves ended apart, and by allow lists.
func TestTCP(t *testing.T) {
	r := newRouter(t, Options{})
	echo := func(version string) Endpoint {
		return Endpoint{version, listen(t, func(c net.Conn) {
			_, _ = io.WriteString(c, version+":")
			_, _ = io.Copy(c, c)
			_, _ = io.WriteString(c, ":end")
			_ = c.(*net.TCPConn).CloseWrite()
		})}
	}
	stable, canary := echo("1"), echo("2")
	table := func(allow ...Allow) Table {
		return one(TCP, []Arm{armOf("1", 0, stable), armOf("2", 0, canary)}, func(tab *Table) { tab.Services[0].Allow = allow })
	}
	session := func(addr, say string) string {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(soon))
		var b bytes.Buffer
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(&b, c) })
		_, _ = io.WriteString(c, say)
		_ = c.(*net.TCPConn).CloseWrite()
		wg.Wait()
		return b.String()
	}
	addr := apply(t, r, table())
	long := strings.Repeat("0123456789abcdef", 1<<16)
	if got := session(addr, long); got != "1:"+long+":end" {
		t.Errorf("of %d bytes %d came back", len(long), len(got)-len("1::end"))
	}
	until(t, "the bytes to be counted", func() bool { return value(t, r, "gantry_session_bytes_total", "direction", "in") == float64(len(long)) })
	apply(t, r, table(Allow{Networks: []string{"192.0.2.0/24"}, Version: "2"}))
	if got := session(addr, "x"); got != "1:x:end" {
		t.Errorf("a counterparty that is not on the list got %q", got)
	}
	apply(t, r, table(Allow{Networks: []string{"::1", "127.0.0.0/8"}, Version: "2"}))
	if got := session(addr, "x"); got != "2:x:end" {
		t.Errorf("a counterparty on the list got %q", got)
	}
	apply(t, r, table(Allow{CompIDs: []string{"BUYER>SELLER", "ANY"}, Version: "2"}))
	logon := func(sender, target string) string {
		return fmt.Sprintf("8=FIX.4.4\x019=70\x0135=A\x0134=1\x0149=%s\x0156=%s\x0152=20261123-08:00:00\x0198=0\x01108=30\x0110=000\x01more", sender, target)
	}
	for _, c := range []struct{ say, want string }{
		{logon("BUYER", "SELLER"), "2"}, {logon("BUYER", "OTHER"), "1"}, {logon("ANY", "OTHER"), "2"}, {logon("ELSE", "SELLER"), "1"},
	} {
		if got := session(addr, c.say); got != c.want+":"+c.say+":end" {
			t.Errorf("%q got %q", c.say, got)
		}
	}
	for _, bad := range []string{"", "GET / HTTP/1.1\r\n", "8=FIX.4.4\x019=5\x0135=0\x0110=000\x01", "8=FIX.4.4\x01" + strings.Repeat("x", 2*firstLimit)} {
		if got := session(addr, bad); got != "" {
			t.Errorf("%.40q got %q", bad, got)
		}
	}
}

// TestTCPDrain cuts sessions off at the drain's end, and passes who comes meanwhile to the next version.
func TestTCPDrain(t *testing.T) {
	r := newRouter(t, Options{})
	hello := func(version string) Endpoint {
		return Endpoint{version, listen(t, func(c net.Conn) {
			_, _ = io.WriteString(c, version+"\n")
			_, _ = io.Copy(io.Discard, c)
		})}
	}
	addr := apply(t, r, one(TCP, []Arm{armOf("1", 0, Endpoint{"dead", gone(t)}, hello("1"))}))
	open := func(want string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(soon))
		if line, err := bufio.NewReader(c).ReadString('\n'); line != want+"\n" {
			t.Fatalf("%q came instead of %q, %v", line, want, err)
		}
		return c
	}
	first, second := open("1"), open("1") // one of both was sent to where nobody is, and then to the other instance
	apply(t, r, one(TCP, []Arm{armOf("2", 0, hello("2"))}))
	third := open("2")
	_ = second.Close()
	until(t, "one session", func() bool { return value(t, r, "gantry_sessions", "version", "1") == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if n, err := r.Drain(ctx, "1"); n != 1 || err != nil {
		t.Errorf("%d were cut off, %v", n, err)
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the session goes on after the drain's end")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a session outlives the router")
	}
}

// TestTLSListener refuses who does not speak TLS, and holds nobody up for it.
func TestTLSListener(t *testing.T) {
	config, trust := certified(t)
	r := newRouter(t, Options{TLS: func(name string) *tls.Config {
		if name == "local" {
			return config
		}
		return nil
	}})
	i := newInstance(t, "1", func(w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, req.Header.Get("X-Forwarded-Proto")) })
	table := one(HTTP, []Arm{armOf("1", 0, i.Endpoint)}, func(tab *Table) { tab.Listeners[0].TLS = "local" })
	addr := apply(t, r, table)
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if got := raw(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", nil); strings.Contains(got, "200") {
		t.Errorf("without TLS %q came", got)
	}
	for _, two := range []bool{false, true} {
		c := newClient(t, trust, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = two })
		resp, body := get(t, c, "https://"+addr)
		if resp.StatusCode != 200 || body != "https" || (resp.ProtoMajor == 2) != two {
			t.Errorf("%s %s, the instance was told %q", resp.Proto, resp.Status, body)
		}
	}
	table.Listeners[0].TLS = "other"
	if err := r.Apply(table); err == nil || !strings.Contains(err.Error(), `no certificates named "other"`) {
		t.Errorf("without certificates: %v", err)
	}
}
