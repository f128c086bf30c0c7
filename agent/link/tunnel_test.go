package link

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gantry-ops/gantry/agent"
)

// offered has the connections that an agent offers.
func (p *peer) offered() <-chan net.Conn {
	conns := make(chan net.Conn, 100)
	p.mux.HandleFunc("GET "+PathTunnel, func(w http.ResponseWriter, r *http.Request) {
		if caller(r) != "eu-1" || r.Header.Get("Upgrade") != tunnelProtocol {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			p.t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+tunnelProtocol+"\r\n\r\n")
		conns <- conn
	})
	return conns
}

// tunneling keeps an agent's tunnels open until the test ends.
func tunneling(t *testing.T, c *client) {
	t.Helper()
	host, err := agent.Open(t.Context(), agent.Options{Dir: t.TempDir(), Source: c, Log: quietLog()})
	if err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewRegistry()
	n := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "n"}, []string{"service"})
	r.MustRegister(n)
	n.WithLabelValues("shop/production/eu/web/http").Inc()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { newTunnels(c, host, r, quietLog()).run(ctx) })
	t.Cleanup(func() {
		cancel()
		all.Wait()
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
}

// ask writes a line to an offered connection and reads the answer.
func ask(t *testing.T, conn net.Conn, line string) (TunnelAnswer, *bufio.Reader) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	b, err := r.ReadBytes('\n')
	var a TunnelAnswer
	if err != nil || json.Unmarshal(b, &a) != nil {
		t.Fatalf("%q, %v", b, err)
	}
	return a, r
}

func TestTunnels(t *testing.T) {
	p := newPeer(t)
	c, _ := p.joined(time.Now)
	conns := p.offered()
	tunneling(t, c)

	conn := <-conns
	if a, r := ask(t, conn, `{"to": "metrics"}`); a.Error != "" {
		t.Error(a.Error)
	} else {
		q, _ := http.NewRequest(http.MethodGet, "http://agent/metrics", nil)
		if err := q.Write(conn); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(r, q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Contains(b, []byte(`n{project="shop",environment="production",region="eu",service="web",port="http"} 1`)) {
			t.Errorf("%s, %v", b, err)
		}
	}
	_ = conn.Close()

	conn = <-conns
	if a, r := ask(t, conn, `{"to": "logs"}`); a.Error != "" {
		t.Error(a.Error)
	} else {
		for path, want := range map[string]int{"/logs?instance=none&tail=5": 404, "/logs?instance=none": 400, "/logs?instance=none&tail=999999": 400, "/other?tail=1": 400} {
			q, _ := http.NewRequest(http.MethodGet, "http://agent"+path, nil)
			if err := q.Write(conn); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(r, q)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if res.StatusCode != want {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
	}
	_ = conn.Close()

	for line, want := range map[string]string{
		`{"to": "shell"}`:                                      "there is no way to",
		`{"to": "instance", "instance": "none"}`:               "there is no instance",
		`{"to": "instance", "instance": "../x", "port": "22"}`: "there is no instance",
		`{}`: "there is no way to",
	} {
		conn := <-conns
		if a, _ := ask(t, conn, line); !strings.Contains(a.Error, want) {
			t.Errorf("%s: %q", line, a.Error)
		}
		// A refusal ends the connection; the next is offered.
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the connection is still open", line)
		}
		_ = conn.Close()
	}
	for _, line := range []string{"{", strings.Repeat("x", 3*tunnelLine)} {
		conn := <-conns
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, line+"\n")
		if b, _ := io.ReadAll(conn); len(b) > 0 {
			t.Errorf("%.20q was answered %q", line, b)
		}
		_ = conn.Close()
	}
	// It is still there after all of that.
	conn = <-conns
	if a, _ := ask(t, conn, `{"to": "metrics"}`); a.Error != "" {
		t.Error(a.Error)
	}
	_ = conn.Close()
}

// TestNoTunnels: whatever a server answers instead of a connection, the agent goes on offering one.
func TestNoTunnels(t *testing.T) {
	p := newPeer(t)
	c, _ := p.joined(time.Now)
	asked := make(chan struct{}, 100)
	codes := []int{200, 204, 302, 404, 503}
	n := 0
	var mu sync.Mutex
	p.mux.HandleFunc("GET "+PathTunnel, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		code := codes[n%len(codes)]
		n++
		mu.Unlock()
		w.WriteHeader(code)
		asked <- struct{}{}
	})
	tunneling(t, c)
	for range 2 * len(codes) {
		<-asked
	}
}

// TestHalfClosed: what has said all still hears the answer.
func TestHalfClosed(t *testing.T) {
	p := newPeer(t)
	c, _ := p.joined(time.Now)
	conns := p.offered()
	tn := newTunnels(c, nil, prometheus.NewRegistry(), quietLog())
	conn, err := tn.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs := <-conns
	target, ours := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		join(conn, &halfPipe{ours})
	}()
	// The target has ended its side; what comes the other way still arrives.
	go func() { _, _ = io.WriteString(target, "bye"); _ = target.Close() }()
	b := make([]byte, 3)
	if _, err := io.ReadFull(theirs, b); err != nil || string(b) != "bye" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := theirs.Read(b); err != io.EOF {
		t.Errorf("the end has not come through: %v", err)
	}
	if _, err := io.WriteString(theirs, "still here"); err != nil {
		t.Errorf("the other direction was closed as well: %v", err)
	}
	_ = theirs.Close()
	<-done
}

// halfPipe takes what is written after its other end is closed.
type halfPipe struct{ net.Conn }

func (h *halfPipe) Write(p []byte) (int, error) {
	if n, err := h.Conn.Write(p); err == nil {
		return n, nil
	}
	return len(p), nil
}

func (h *halfPipe) CloseWrite() error { return nil }
