package route

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestBroken lets instances fail in each way that there is, and sees what the caller is told and what is counted.
func TestBroken(t *testing.T) {
	reply := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, text)
		}
	}
	stuck := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for _, c := range []struct {
		name    string
		serve   func(net.Conn)
		status  int
		body    string
		failure string
	}{
		{"closes at once", func(net.Conn) {}, 502, "ended the connection", "broken"},
		{"closes after the request", reply(""), 502, "ended the connection", "broken"},
		{"speaks something else", reply("220 mail.example.com ESMTP\r\n\r\n"), 502, "not HTTP", "broken"},
		{"closes within its head", reply("HTTP/1.1 200 OK\r\nContent-"), 502, "", "broken"},
		{"closes within a short body", reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), 502, "ended the connection", "broken"},
		{"never answers", stuck, 504, "in time", "timeout"},
		{"changes the protocol unasked", reply("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), 502, "changed the protocol", "broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRouter(t, Options{})
			e := Endpoint{"e", listen(t, c.serve)}
			addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, e)}, func(tab *Table) {
				if c.status == 504 {
					tab.Services[0].Timeout = Duration(50 * time.Millisecond)
				}
			}))
			for _, method := range []string{"GET", "POST"} {
				req, _ := http.NewRequestWithContext(t.Context(), method, "http://"+addr, strings.NewReader("x"))
				resp, err := newClient(t).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != c.status || !strings.Contains(string(b), c.body) {
					t.Errorf("%s was answered %s %q, %v", method, resp.Status, b, err)
				}
			}
			if n := value(t, r, "gantry_upstream_failures_total", "reason", c.failure); n != 2 {
				t.Errorf("%v failures of the kind %s were counted", n, c.failure)
			}
			until(t, "no claim", func() bool { return r.table.Load().endpoints["e"].claims.Load() == 0 })
		})
	}
	t.Run("nobody is there", func(t *testing.T) {
		r := newRouter(t, Options{})
		addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, Endpoint{"e", gone(t)})}))
		if resp, body := get(t, newClient(t), "http://"+addr); resp.StatusCode != 502 || !strings.Contains(body, "does not accept") {
			t.Errorf("answered %s %q", resp.Status, body)
		}
		// With another instance there is an answer, and the failure is still counted.
		i := newInstance(t, "1", nil)
		apply(t, r, one(HTTP, []Arm{armOf("1", 0, i.Endpoint), armOf("2", Whole, Endpoint{"e2", gone(t)})}))
		if resp, body := get(t, newClient(t), "http://"+addr); resp.StatusCode != 200 {
			t.Errorf("answered %s %q", resp.Status, body)
		}
		if requests(r, "2", "5xx") != 1 || requests(r, "1", "2xx") != 1 {
			t.Error("the failure of the second version is not counted")
		}
		// Without any, the caller is told to come again.
		apply(t, r, one(HTTP, []Arm{armOf("1", 0)}))
		if resp, _ := get(t, newClient(t), "http://"+addr); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("answered %s %v", resp.Status, resp.Header)
		}
	})
	t.Run("closes within a long body", func(t *testing.T) {
		r := newRouter(t, Options{})
		for n, head := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked"} {
			e := Endpoint{fmt.Sprint("e", n), listen(t, reply("HTTP/1.1 200 OK\r\n"+head+"\r\n\r\n10\r\n0123456789abcdef\r\n"))}
			addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, e)}))
			resp, err := newClient(t).Get("http://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%s: what was cut off looks whole: %q", head, b)
			}
			_ = resp.Body.Close()
			until(t, "no claim", func() bool { return r.table.Load().endpoints[e.ID].claims.Load() == 0 })
		}
	})
}

// gone is an address where nobody listens.
func gone(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// value reads a metric with a label.
func value(t testing.TB, r *Router, name, label, want string) float64 {
	t.Helper()
	families, err := r.o.Registry.(interface {
		Gather() ([]*metric, error)
	}).Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == want {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return sum
}

// TestOnce counts what instances get that die with a request: one that may have acted on it never gets it again.
func TestOnce(t *testing.T) {
	r := newRouter(t, Options{})
	var got atomic.Int32
	kill := make(chan struct{}, 16)
	ln := listen(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			got.Add(1)
			select {
			case <-kill:
				return // after it has taken the request, and before it answers
			default:
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, Endpoint{"e", ln})}))
	c := newClient(t)
	for _, method := range []string{"POST", "PATCH"} {
		warm, _ := get(t, c, "http://"+addr) // leaves a connection to the instance
		_ = warm.Body.Close()
		before := got.Load()
		kill <- struct{}{}
		req, _ := http.NewRequestWithContext(t.Context(), method, "http://"+addr, strings.NewReader("buy"))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 502 || got.Load()-before != 1 {
			t.Errorf("%s was answered %s after it was sent %d times", method, resp.Status, got.Load()-before)
		}
	}
	// What may be repeated is, once, when the connection was an old one.
	_, _ = get(t, c, "http://"+addr)
	before := got.Load()
	kill <- struct{}{}
	if resp, _ := get(t, c, "http://"+addr); resp.StatusCode != 200 || got.Load()-before != 2 {
		t.Errorf("GET was answered %s after it was sent %d times", resp.Status, got.Load()-before)
	}
}

// TestStale lets an instance close its idle connections: no request is sent on one.
func TestStale(t *testing.T) {
	r := newRouter(t, Options{})
	i := newInstance(t, "1", nil)
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, i.Endpoint)}))
	c := newClient(t)
	for n := range 20 {
		resp, err := c.Post("http://"+addr, "text/plain", strings.NewReader(fmt.Sprint(n)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("request %d was answered %s", n, resp.Status)
		}
		e := r.table.Load().endpoints[i.ID]
		i.CloseClientConnections()
		until(t, "the end of the connection", func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			for _, c := range e.idle {
				c.since = time.Now().Add(-restFor) // has rested
				if quiet(c.Conn) {
					return false
				}
			}
			return true
		})
	}
}

// TestDrainDeadline sees who is left cut off, with the reason, and their number told.
func TestDrainDeadline(t *testing.T) {
	r := newRouter(t, Options{})
	arrived := make(chan struct{}, 8)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	old := newInstance(t, "1", func(w http.ResponseWriter, req *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-req.Context().Done():
		}
	})
	next := newInstance(t, "2", nil)
	addr := apply(t, r, one(HTTP, []Arm{armOf("1", 0, old.Endpoint)}))
	type reply struct {
		status int
		body   string
	}
	replies := make(chan reply, 2)
	for range 2 {
		go func() {
			resp, body := get(t, newClient(t), "http://"+addr)
			replies <- reply{resp.StatusCode, body}
		}()
		<-arrived
	}
	if _, err := r.Drain(t.Context(), old.ID); err == nil {
		t.Error("an endpoint of the table was drained")
	}
	apply(t, r, one(HTTP, []Arm{armOf("2", 0, next.Endpoint)}))
	if resp, _ := get(t, newClient(t), "http://"+addr); resp.Header.Get("Version") != "2" {
		t.Errorf("the next request was answered by %q", resp.Header.Get("Version"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if n, err := r.Drain(ctx, old.ID); n != 2 || err != nil {
		t.Errorf("%d were cut off, %v", n, err)
	}
	for range 2 {
		if got := <-replies; got.status != 502 || !strings.Contains(got.body, errDrained.Error()) {
			t.Errorf("who was cut off was told %+v", got)
		}
	}
	if n, err := r.Drain(t.Context(), old.ID); n != 0 || err != nil {
		t.Errorf("a second time %d were cut off, %v", n, err)
	}
}
